//! Prints a line from the user's own files for a shell that waits for it: total, bounded, without
//! network.

use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::outcome::ExitStatus;
use cas_core::system::account::{Account, Paths};
use cas_core::system::identity::Identities;
use cas_protocol::paths;
use nix::unistd::Uid;

use crate::arguments::print_error;

/// The time limit if a directory server or a file system hangs.
const LIMIT: Duration = Duration::from_secs(2);

/// Prints the line that `line` returns for the calling user, if the user is enrolled. After a
/// timeout prints `on_timeout` and exits. As at a login, the environment is not used for paths,
/// because after `su` it is the previous user's.
pub(crate) fn print_line(
    on_timeout: &'static str,
    line: impl FnOnce(&Account, Paths) -> Option<String>,
) -> ExitCode {
    // Not an alarm: nss-systemd blocks SIGALRM while it waits, up to 45 seconds.
    thread::spawn(move || {
        thread::sleep(LIMIT);
        print_error(&format!("the user database or the home does not answer; {on_timeout}"));
        process::exit(ExitStatus::TryLater.code().into());
    });
    match print_if_enrolled(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns the login name of the session.
#[expect(clippy::disallowed_methods, reason = "nothing else distinguishes two names with one uid")]
pub(crate) fn login_name() -> Option<String> {
    std::env::var("LOGNAME").ok()
}

fn print_if_enrolled(line: impl FnOnce(&Account, Paths) -> Option<String>) -> Result<()> {
    let account = Account::for_session(Uid::effective(), login_name().as_deref())?;
    if !paths::is_enrolled(&account.name) || Identities::open().check(&account).is_err() {
        return Ok(());
    }
    let paths = Paths::new(&account.home, |_| None);
    let Some(line) = line(&account, paths) else { return Ok(()) };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("cannot print the line")
}
