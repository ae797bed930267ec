//! `cas-sync run`: one run of the planner with all the time it needs, told to the terminal, the journal and the log.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::state::directory::{StateError, StateLock};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::os::environment::{harden_process, now};
use crate::term::stderr::{exit_with_error, print_error};
use crate::user::context::UserContext;
use crate::user::identity::CallingUser;
use crate::user::notify::NotifyCommand;
use crate::user::report::Report;
use crate::user::verification::VerifyMode;

/// Looks after the caller's own login.
pub(crate) fn run(verification: VerifyMode) -> ExitCode {
    let caller = match CallingUser::current() {
        Ok(caller) => caller,
        Err(error) => return exit_with_error(&error, 1),
    };
    // The path unit starts this again and again as long as there is a request, whatever comes of it here.
    if verification == VerifyMode::Verify {
        caller.requests.take().unwrap_or_else(|stays| print_error(&stays.into()));
    }
    let caller = match caller.with_name_override() {
        Ok(caller) => caller,
        Err(error) => return exit_with_error(&error, 1),
    };
    let now = now();
    let (user, state, shelf) =
        (caller.account.name.clone(), caller.state.clone(), caller.published_dir.clone());
    if caller.is_home_unavailable() {
        caller.requests.settle().unwrap_or_else(|stays| print_error(&stays.into()));
        let why = "the home is not there, not mounted, or not in use yet";
        let why = format!("{why}: {}", caller.account.home.display());
        drop(writeln!(io::stdout(), "{} {why}", Status::Skip));
        let told = shelf.write_skipped(&user, now, &why).context("the state is not published");
        told.unwrap_or_else(|error| print_error(&error));
        return ExitCode::SUCCESS;
    }
    let report = Report { user, state, shelf, now, verification };
    match run_sync(caller, now, verification) {
        Ok((outcome, notify)) => {
            report.publish_all(&outcome, notify.as_ref());
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => ExitCode::from(report.report_failure(&error)),
    }
}

fn run_sync(
    caller: CallingUser,
    now: Timestamp,
    verification: VerifyMode,
) -> Result<(Outcome, Option<NotifyCommand>)> {
    harden_process()?;
    let person = UserContext::configured(caller, now)?;
    match person.state.lock(StateLock::Sync, &Deadline::after(Duration::ZERO)) {
        Ok(locked) => {
            // Before looking: a request that comes while we look is for the next run.
            let settled = match verification {
                VerifyMode::Verify => person.requests.settle(),
                VerifyMode::Skip => Ok(()),
            };
            let verifies = person.config.verify && verification == VerifyMode::Verify;
            let outcome = person.run_sync(now, person.verifier(verifies));
            drop(locked);
            match settled {
                Ok(()) => person.requests.hand_back(),
                Err(stays) => print_error(&stays.into()),
            }
            Ok((outcome, person.notify()))
        }
        Err(StateError::Busy(_)) => Ok((Outcome::new(Status::Skip, Finding::AnotherRunActive), None)),
        Err(error) => Err(error.into()),
    }
}
