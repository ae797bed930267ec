//! `cas-sync run`: one complete run of the planner, reported on the terminal, in the journal and in
//! the log.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use cas_core::outcome::{ExitStatus, Finding, Outcome, Status};
use cas_core::state::directory::{StateError, StateLock};
use cas_core::state::publication::Publication;
use cas_core::system::identity::{IdentityError, ReusedName};
use cas_core::system::privileges::harden_process;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::os::environment::now;
use crate::systemd;
use crate::term::stderr::exit_with_error;
use crate::user::context::UserContext;
use crate::user::identity::CallingUser;
use crate::user::notify::NotifyCommand;
use crate::user::report::Report;
use crate::user::verification::VerifyMode;

/// Runs a sync for the calling user.
pub(crate) fn run(verification: VerifyMode) -> ExitCode {
    let caller = match CallingUser::current() {
        Ok(caller) => caller,
        Err(error) => {
            if let Some(
                IdentityError::Reused(ReusedName { name, .. }) | IdentityError::Unreadable { name, .. },
            ) = error.downcast_ref()
            {
                syslog::log_message(name, Status::Fail, &error.to_string());
            }
            return exit_with_error(&error, ExitStatus::Failure);
        }
    };
    let caller = match caller.with_name_override() {
        Ok(caller) => caller,
        Err(error) => return exit_with_error(&error, ExitStatus::Failure),
    };
    let now = now();
    let (user, state, requests) =
        (caller.account.name.clone(), caller.state.clone(), caller.requests.clone());
    if let Some(problem) = caller.home_problem() {
        drop(writeln!(io::stdout(), "{} {problem}", Status::Skip));
        return ExitCode::SUCCESS;
    }
    // A command by hand has just done all that a sync does: its state is published when this
    // service ends.
    let is_sync_service = verification == VerifyMode::Verify && systemd::runs_in_sync_service();
    if is_sync_service && Publication::new(&state, &requests).take(now) {
        return ExitCode::SUCCESS;
    }
    let report = Report { user, state, requests, now, verification };
    match run_sync(caller, now, verification) {
        Ok((outcome, notify)) => {
            report.publish_all(&outcome, notify.as_ref());
            outcome.exit_status().into()
        }
        Err(error) => report.report_failure(&error).into(),
    }
}

fn run_sync(
    caller: CallingUser,
    now: Timestamp,
    verification: VerifyMode,
) -> Result<(Outcome, Option<NotifyCommand>)> {
    harden_process()?;
    let user = UserContext::configured(caller, now)?;
    match user.state.lock(StateLock::Sync, &Deadline::after(Duration::ZERO)) {
        Ok(locked) => {
            if verification == VerifyMode::Verify {
                Publication::new(&user.state, &user.requests).note_sync_begin();
            }
            let verifies = user.config.verify && verification == VerifyMode::Verify;
            let outcome = user.run_sync(now, user.verifier(verifies));
            drop(locked);
            Ok((outcome, user.notify()))
        }
        Err(StateError::Busy(_)) => {
            // The event that started this run may be newer than what the other run has seen: run
            // again after it.
            if verification == VerifyMode::Verify {
                user.request_sync();
            }
            Ok((Outcome::new(Status::Skip, Finding::AnotherRunActive), None))
        }
        Err(error) => match error.obstacle() {
            Some(obstacle) => {
                Ok((Outcome::obstructed("no sync is possible".into(), obstacle), user.notify()))
            }
            None => Err(error.into()),
        },
    }
}
