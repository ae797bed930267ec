//! `cas-sync run`: one run of the planner with all the time it needs, told to the terminal, the journal and the log.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cas_core::deadline::Deadline;
use cas_core::identity::IdentityError;
use cas_core::journal;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::state_directory::{Lock, StateError};
use cas_core::timestamp::Timestamp;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

use crate::caller::Caller;
use crate::notify::Notify;
use crate::person::Person;
use crate::report::Report;
use crate::{complain, fail};

/// Whether a run puts credentials to the test of real inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Where the configuration allows it.
    Wanted,
    /// Not at all: Claude Code has just written what is to be backed up. Requests ask for more than that, and wait for
    /// another run.
    LeftToOthers,
}

/// Looks after the caller's own login.
pub(crate) fn run(verification: Verification) -> ExitCode {
    let caller = match Caller::find() {
        Ok(caller) => caller,
        Err(error) => {
            if let Some(IdentityError::Reused { name, .. } | IdentityError::Unreadable { name, .. }) =
                error.downcast_ref()
            {
                journal::say(name, Status::Fail, &error.to_string());
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

/// Neither a debugger of the same user nor a core dump may see what is read from here on.
pub(crate) fn keep_secrets_in_memory() -> Result<()> {
    prctl::set_dumpable(false).context("cannot become undumpable")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core dumps")
}

#[expect(clippy::disallowed_methods, reason = "the overrides are a contract")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The whole environment, as far as it is text.
#[expect(clippy::disallowed_methods, reason = "what Claude Code would see is looked at")]
pub(crate) fn variables() -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters the program")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0)
        .plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
