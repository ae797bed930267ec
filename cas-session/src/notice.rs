//! `cas-session notice`: prints the user's notice as one line, if it is due. For login shells with
//! a terminal.

use std::process::ExitCode;

use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;

use crate::bounded_output;
use crate::login::now;

/// Prints the line, if it is due.
pub(crate) fn run() -> ExitCode {
    bounded_output::print_line("the notice is shown next time", |account, paths| {
        let owner = account.uid.as_raw();
        notice_file::take_due_line(&StateDirectory::new(paths.state_directory, owner), owner, now())
    })
}
