//! `cas-session notice`: the caller's own notice as one line, where there is one that is due. For login shells with a terminal.
//! Total, bounded, without network.

use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::account::{Account, Paths};
use cas_core::enrolment;
use cas_core::notice_file;
use cas_core::state_directory::StateDirectory;
use nix::unistd::Uid;

use crate::arguments::complain;
use crate::login::now;

/// A prompt waits for this: a directory server or a file system that hangs is not waited for any longer.
const LIMIT: Duration = Duration::from_secs(2);

/// What it ends with then: try later.
const TOO_LATE: i32 = 75;

/// Prints the line, where there is one that is due.
pub(crate) fn run() -> ExitCode {
    // As in `environment`: not an alarm, which some libraries hold back.
    thread::spawn(|| {
        thread::sleep(LIMIT);
        complain("the user database or the home does not answer; the notice is shown next time");
        process::exit(TOO_LATE);
    });
    match print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// As at a login, the environment has no say in where the file lies: after `su` it is somebody else's.
fn print() -> Result<()> {
    let account = Account::of_uid(Uid::effective())?;
    if !enrolment::has_marker(&account.name) {
        return Ok(());
    }
    let paths = Paths::new(&account.home, |_| None);
    let state = StateDirectory::new(paths.state_directory, account.uid.as_raw());
    let Some(line) = notice_file::due(&state, account.uid.as_raw(), now()) else { return Ok(()) };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("cannot print the line")
}
