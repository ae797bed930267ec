//! What a person asks for by hand, or a script for them: one thing at a time, as themselves. All policy is the planner's; here
//! is what is said of it, to people and to programs.

mod backup;
mod check;
mod judge;
mod restore;
mod restore_list;
mod verify;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use cas_core::engine::{Inspection, RunResult};
use cas_core::outcome::{Finding, Outcome};
use cas_core::planner::{Command, Mode};
use cas_core::store::{Store, StoreError};
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

pub(crate) use self::backup::backup;
pub(crate) use self::check::check;
pub(crate) use self::restore::restore;
pub(crate) use self::verify::verify;
use crate::term::stderr::exit_with_error;
use crate::user::context::UserContext;
use crate::user::error::CommandError;
use crate::user::verification::VerifyMode;

/// What every JSON object says first: members may be added, and none changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Does what was asked, and notes it, under the sync's lock, and leaves word of what was changed.
///
/// # Errors
/// [`CommandError`] when another run keeps the lock for too long, or there can be no lock.
fn run_planner(
    person: &UserContext,
    errand: Command,
    verifies: bool,
    note: impl FnOnce(&Outcome),
) -> Result<RunResult, CommandError> {
    let locked = person.lock()?;
    let run = person.run(Mode::Command(errand), person.now, person.store(), person.verifier(verifies));
    let mut ended = run.run();
    ended.outcome = person.with_login_email(ended.outcome);
    let outcome = &ended.outcome;
    if outcome.has_changed_anything() {
        person.report(person.now, VerifyMode::Skip).record(outcome);
    }
    note(outcome);
    if outcome.wants_sync {
        person.requests.leave();
    }
    drop(locked);
    person.requests.hand_back();
    Ok(ended)
}

/// What that would look at; nothing is written.
fn survey(
    person: &UserContext,
    errand: Command,
    store: Result<Box<dyn Store>, StoreError>,
    asks_store: bool,
) -> Inspection {
    person.run(Mode::Command(errand), person.now, store, None).inspect(asks_store)
}

/// A value on the command line that cannot be meant.
fn usage_error(option: &str, value: &str, why: &impl fmt::Display) -> ExitCode {
    exit_with_error(&anyhow::anyhow!("{option} {value:?}: {why}"), 2)
}

/// Prints for people, or for programs. A reader who is gone changes nothing about what was done.
fn print(json: bool, machine: &impl Serialize, human: &str) -> Result<()> {
    let text = if json { serde_json::to_string_pretty(machine)? } else { human.trim_end().to_owned() };
    drop(writeln!(io::stdout(), "{text}"));
    Ok(())
}

/// What every answer about a run has in common.
#[derive(Serialize)]
struct Answer {
    schema: u32,
    user: String,
    status: String,
    exit_code: u8,
    /// The line for people.
    text: String,
    finding: &'static str,
    verdict: Option<&'static str>,
    /// The login it was about.
    login: Option<LoginSummaryJson>,
}

/// A login, without its secrets. Times are milliseconds since the epoch.
#[derive(Serialize)]
struct LoginSummaryJson {
    generation: String,
    access_token_expires_at_ms: Timestamp,
    login_expires_at_ms: Option<Timestamp>,
}

impl Answer {
    fn of(person: &UserContext, outcome: &Outcome, exit_code: u8) -> Self {
        Self {
            schema: SCHEMA,
            user: person.account.name.clone(),
            status: outcome.status.to_string(),
            exit_code,
            text: outcome.to_string(),
            finding: outcome.finding_code(),
            verdict: outcome.verification_code(),
            login: outcome.login().map(LoginSummaryJson::of),
        }
    }
}

impl LoginSummaryJson {
    fn of(login: &cas_core::credential::login::LoginSummary) -> Self {
        Self {
            generation: login.generation.to_string(),
            access_token_expires_at_ms: login.expires_at,
            login_expires_at_ms: login.login_expires_at,
        }
    }
}

/// What there is to say where a login is whole and was therefore not touched.
fn is_intact(finding: &Finding) -> bool {
    matches!(finding, Finding::Login { .. } | Finding::Stale { .. } | Finding::Refreshing(_))
}
