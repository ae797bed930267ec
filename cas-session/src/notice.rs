//! `cas-session notice`: the caller's own notice as one line, where there is one that is due. For login shells with a terminal.

use std::process::ExitCode;

use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;

use crate::login::now;
use crate::of_the_caller;

/// Prints the line, where there is one that is due.
pub(crate) fn run() -> ExitCode {
    of_the_caller::print_line("the notice is shown next time", |account, paths| {
        let owner = account.uid.as_raw();
        notice_file::take_due_line(&StateDirectory::new(paths.state_directory, owner), owner, now())
    })
}
