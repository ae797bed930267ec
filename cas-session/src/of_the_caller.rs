//! What is printed of a person's own files for the shell they wait for: total, bounded, without network.

use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::system::account::{Account, Paths};
use cas_protocol::paths;
use nix::unistd::Uid;

use crate::arguments::print_error;

/// A session waits for this: a directory server or a file system that hangs is not waited for any longer.
const LIMIT: Duration = Duration::from_secs(2);

/// What it ends with then: try later.
const EX_TEMPFAIL: i32 = 75;

/// Prints the line that `line` finds for the caller, if they are enrolled and there is one; `otherwise` is said of it where
/// that takes too long. As at a login, the environment has no say in where the files lie: after `su` it is somebody else's.
pub(crate) fn print_line(
    otherwise: &'static str,
    line: impl FnOnce(&Account, Paths) -> Option<String>,
) -> ExitCode {
    // Not an alarm: nss-systemd blocks that signal while it waits, for 45 seconds.
    thread::spawn(move || {
        thread::sleep(LIMIT);
        print_error(&format!("the user database or the home does not answer; {otherwise}"));
        process::exit(EX_TEMPFAIL);
    });
    match print_at_most_one(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn print_at_most_one(line: impl FnOnce(&Account, Paths) -> Option<String>) -> Result<()> {
    let account = Account::from_uid(Uid::effective())?;
    if !paths::is_enrolled(&account.name) {
        return Ok(());
    }
    let paths = Paths::new(&account.home, |_| None);
    let Some(line) = line(&account, paths) else { return Ok(()) };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("cannot print the line")
}
