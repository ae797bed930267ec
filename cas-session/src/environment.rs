//! `cas-session environment`: the caller's own setup-token as one line `NAME=value`, or nothing. For login shells that came
//! without the PAM module, and for the user manager of systemd. Total, bounded, without network.

use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::account::{Account, Paths};
use cas_core::enrolment;
use cas_core::env_file::{Content, EnvFile};
use cas_core::setup_token::VARIABLE;
use nix::unistd::Uid;

use crate::arguments::complain;

/// A session waits for this: a directory server or a file system that hangs is not waited for any longer.
const LIMIT: Duration = Duration::from_secs(2);

/// What it ends with then: try later.
const TOO_LATE: i32 = 75;

/// Prints the line, where there is one.
pub(crate) fn run() -> ExitCode {
    // Not an alarm: nss-systemd blocks that signal while it waits, for 45 seconds.
    thread::spawn(|| {
        thread::sleep(LIMIT);
        complain("the user database or the home does not answer; setup-token not used");
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
    match EnvFile::new(paths.env_file, account.uid.as_raw()).read() {
        Content::Token(token) => {
            let mut stdout = io::stdout().lock();
            let printed = writeln!(stdout, "{VARIABLE}={}", token.expose());
            printed.and_then(|()| stdout.flush()).context("cannot print the line")
        }
        Content::Absent => Ok(()),
        Content::Malformed(why) | Content::Unreadable(why) => {
            complain(&format!("setup-token not used: {why}"));
            Ok(())
        }
    }
}
