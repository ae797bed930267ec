//! The commands `check`, `verify`, `backup` and `restore`, which a user or a script runs as the
//! user. The planner decides; these commands print its decision as text or JSON.

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
use cas_core::outcome::{ExitStatus, Finding, Outcome};
use cas_core::planner::{Command, Mode};
use cas_core::store::{Store, StoreError};
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

pub(crate) use self::backup::backup;
pub(crate) use self::check::check;
pub(crate) use self::restore::restore;
pub(crate) use self::verify::verify;
use crate::precedence::{Sources, sources};
use crate::term::json;
use crate::term::stderr::exit_with_error;
use crate::user::context::UserContext;
use crate::user::error::CommandError;
use crate::user::verification::VerifyMode;

/// Runs the command under the sync's lock, records the outcome and reports changes.
///
/// # Errors
/// Returns [`CommandError`] if the lock cannot be taken in time or cannot be created.
fn run_planner(
    user: &UserContext,
    command: Command,
    can_verify: bool,
    record: impl FnOnce(&Outcome),
) -> Result<RunResult, CommandError> {
    let locked = user.lock()?;
    let run = user.run(Mode::Command(command), user.now, user.store(), user.verifier(can_verify));
    let mut result = run.run();
    result.outcome = user.with_login_email(result.outcome);
    let outcome = &result.outcome;
    if outcome.has_changed_anything() {
        user.report(user.now, VerifyMode::Skip).record(outcome);
    }
    record(outcome);
    drop(locked);
    if result.outcome.wants_sync {
        user.request_sync();
    }
    Ok(result)
}

/// Collects the credentials that Claude Code can use in the environment of this command.
fn gather_sources(user: &UserContext) -> Sources {
    sources::gather_here(&user.account, &user.paths, user.now)
}

/// Collects the facts for a command. Nothing is written.
fn inspect(
    user: &UserContext,
    command: Command,
    store: Result<Box<dyn Store>, StoreError>,
    read_store: bool,
) -> Inspection {
    user.run(Mode::Command(command), user.now, store, None).inspect(read_store)
}

/// Reports an invalid option value as a usage error.
fn usage_error(option: &str, value: &str, why: &impl fmt::Display) -> ExitCode {
    exit_with_error(&anyhow::anyhow!("{option} {value:?}: {why}"), ExitStatus::UsageError)
}

/// Prints JSON or text. A closed standard output does not change the result.
fn print(as_json: bool, value: &impl Serialize, message: &str) {
    match as_json {
        true => json::print(value),
        false => drop(writeln!(io::stdout(), "{}", message.trim_end())),
    }
}

/// The members that all results of a run have.
#[derive(Serialize)]
struct Answer {
    user: String,
    status: String,
    exit_code: ExitStatus,
    /// The message of `sync.log`.
    text: String,
    finding: &'static str,
    verification: Option<&'static str>,
    /// The login that was processed.
    login: Option<LoginSummaryJson>,
}

/// A login without its secrets. Times are milliseconds since the epoch.
#[derive(Serialize)]
struct LoginSummaryJson {
    generation: String,
    access_token_expires_at_ms: Timestamp,
    login_expires_at_ms: Option<Timestamp>,
}

impl Answer {
    fn new(user: &UserContext, outcome: &Outcome, exit_code: ExitStatus) -> Self {
        Self {
            user: user.account.name.clone(),
            status: outcome.status.to_string(),
            exit_code,
            text: outcome.to_string(),
            finding: outcome.finding_code(),
            verification: outcome.verification_code(),
            login: outcome.login().map(LoginSummaryJson::from_summary),
        }
    }
}

impl Answer {
    /// Returns the answer with an addition to its text.
    fn with_note(mut self, note: &str) -> Self {
        self.text.push_str(note);
        self
    }
}

impl LoginSummaryJson {
    fn from_summary(login: &cas_core::credential::login::LoginSummary) -> Self {
        Self {
            generation: login.generation.to_string(),
            access_token_expires_at_ms: login.expires_at,
            login_expires_at_ms: login.login_expires_at,
        }
    }
}

/// Returns true if the login was usable and was therefore not changed.
fn is_intact(finding: &Finding) -> bool {
    matches!(finding, Finding::Login { .. } | Finding::Stale { .. } | Finding::Refreshing(_))
}
