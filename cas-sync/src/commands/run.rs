//! `cas-sync run`: one run of the planner with all the time it needs, told to the terminal, the journal and the log.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::state::directory::{Lock, StateError};
use cas_core::system::identity::IdentityError;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::os::environment::{keep_secrets_in_memory, now};
use crate::term::stderr::{complain, fail};
use crate::user::context::Person;
use crate::user::identity::Caller;
use crate::user::notify::Notify;
use crate::user::report::Report;
use crate::user::verification::Verification;

/// Looks after the caller's own login.
pub(crate) fn run(verification: Verification) -> ExitCode {
    let caller = match Caller::find() {
        Ok(caller) => caller,
        Err(error) => {
            if let Some(IdentityError::Reused { name, .. } | IdentityError::Unreadable { name, .. }) =
                error.downcast_ref()
            {
                syslog::say(name, Status::Fail, &error.to_string());
            }
            return fail(&error, 1);
        }
    };
    // The path unit starts this again and again as long as there is a request, whatever comes of it here.
    if verification == Verification::Wanted {
        caller.requests.take().unwrap_or_else(|stays| complain(&stays.into()));
    }
    let caller = match caller.named_as_asked() {
        Ok(caller) => caller,
        Err(error) => return fail(&error, 1),
    };
    let now = now();
    let (user, state, shelf) = (caller.account.name.clone(), caller.state.clone(), caller.shelf.clone());
    if caller.home_is_yet_to_come() {
        caller.requests.settle().unwrap_or_else(|stays| complain(&stays.into()));
        let why = "the home is not there, not mounted, or not in use yet";
        let why = format!("{why}: {}", caller.account.home.display());
        drop(writeln!(io::stdout(), "{} {why}", Status::Skip));
        let told = shelf.publish_skip(&user, now, &why).context("the state is not published");
        told.unwrap_or_else(|error| complain(&error));
        return ExitCode::SUCCESS;
    }
    let report = Report { user, state, shelf, now, verification };
    match look_after(caller, now, verification) {
        Ok((outcome, notify)) => {
            report.tell(&outcome, notify.as_ref());
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => ExitCode::from(report.tell_failure(&error)),
    }
}

fn look_after(
    caller: Caller,
    now: Timestamp,
    verification: Verification,
) -> Result<(Outcome, Option<Notify>)> {
    keep_secrets_in_memory()?;
    let person = Person::configured(caller, now)?;
    match person.state.lock(Lock::Sync, &Deadline::after(Duration::ZERO)) {
        Ok(locked) => {
            // Before looking: a request that comes while we look is for the next run.
            let settled = match verification {
                Verification::Wanted => person.requests.settle(),
                Verification::LeftToOthers => Ok(()),
            };
            let verifies = person.config.verify && verification == Verification::Wanted;
            let outcome = person.tended(now, person.verifier(verifies));
            drop(locked);
            match settled {
                Ok(()) => person.requests.hand_back(),
                Err(stays) => complain(&stays.into()),
            }
            Ok((outcome, person.notify()))
        }
        Err(StateError::Busy(_)) => Ok((Outcome::new(Status::Skip, Finding::Busy), None)),
        Err(error) => Err(error.into()),
    }
}
