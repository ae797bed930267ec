//! What a person asks for by hand, or a script for them: one thing at a time, as themselves. All policy is the planner's; here
//! is what is said of it, to people and to programs.

mod backup;
mod check;
mod copies;
mod judgement;
mod restore;
mod verify;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use cas_core::account::{Account, Paths};
use cas_core::config::{self, Config, ConfigError};
use cas_core::deadline::Deadline;
use cas_core::machine::Machine;
use cas_core::outcome::{Finding, Outcome};
use cas_core::planner::{Errand, Mode};
use cas_core::requests::Requests;
use cas_core::run::{Ended, Parts, Run};
use cas_core::state_directory::{Lock, StateDirectory, StateError};
use cas_core::store::user_store::UserStore;
use cas_core::timestamp::Timestamp;
use cas_core::verdict::Verifier;
use serde::Serialize;

pub(crate) use self::backup::backup;
pub(crate) use self::check::check;
pub(crate) use self::restore::restore;
pub(crate) use self::verify::verify;
use crate::published::Shelf;
use crate::report::Report;
use crate::sync::{self, Verification, variable};
use crate::{complain, fail};

/// How long a command may take, once it has the lock.
const DEADLINE: Duration = Duration::from_secs(480);
/// How long it waits for a sync that is at work; one that lets Claude Code refresh the login takes minutes.
const PATIENCE: Duration = Duration::from_secs(20);
/// What every JSON object says first: members may be added, and none changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The person whose command this is, and how their machine is set up.
struct Hand {
    account: Account,
    paths: Paths,
    config: Config,
    state: StateDirectory,
    requests: Requests,
    shelf: Shelf,
    now: Timestamp,
}

impl Hand {
    /// The caller's.
    ///
    /// # Errors
    /// For root, without a home, and when the configuration cannot be used.
    fn of_caller() -> Result<Self> {
        sync::keep_secrets_in_memory()?;
        let account = sync::own_account()?;
        // Their logins know nothing of another name in the store.
        let requests = Requests::of(&account.name);
        let shelf = Shelf::of(&account.name, account.uid.as_raw());
        let account = sync::named_as_asked(account)?;
        let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
        if account.home_is_yet_to_come(&paths) {
            bail!(Later::HomeIsAway(account.home));
        }
        let (mut config, misunderstood) = Config::load(Path::new(config::DIRECTORY))?;
        misunderstood.iter().for_each(|what| complain(&anyhow::anyhow!("configuration: {what}")));
        config.override_from(variable);
        let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
        Ok(Self { account, paths, config, state, requests, shelf, now: sync::now() })
    }

    /// Does what was asked, under the sync's lock, and leaves word of what was changed.
    ///
    /// # Errors
    /// When another run keeps the lock for longer than [`PATIENCE`], or there can be no lock.
    fn done(&self, errand: Errand, verifies: bool) -> Result<Ended> {
        let locked = match self.state.lock(Lock::Sync, &Deadline::after(PATIENCE)) {
            Err(StateError::Busy(lock)) => bail!(Later::Busy(lock)),
            locked => locked?,
        };
        let store = UserStore::open(&self.config, &self.account, &self.paths, &self.state, self.now);
        let mut ended = self.run(errand, store, verifies).until_reported();
        ended.outcome = sync::addressed(ended.outcome, &self.account);
        let outcome = &ended.outcome;
        if outcome.has_changed_anything() {
            self.report().record(outcome);
        }
        if outcome.wants_sync {
            self.requests.leave();
        }
        drop(locked);
        self.requests.hand_back();
        Ok(ended)
    }

    fn run(&self, errand: Errand, store: Result<UserStore, cas_core::store::Failure>, verifies: bool) -> Run {
        let verifier: Option<Box<dyn Verifier>> =
            verifies.then(|| sync::claude(&self.config, &self.account, &self.paths, self.now));
        Run::new(Parts {
            account: self.account.clone(),
            paths: &self.paths,
            settings: self.config.settings(Mode::Hand(errand)),
            store,
            now: self.now,
            deadline: Deadline::after(DEADLINE),
            machine: Machine::this(Path::new("/etc/machine-id")),
            verifier,
            asked_at: None,
        })
    }

    fn report(&self) -> Report {
        let verification = Verification::LeftToOthers;
        Report {
            user: self.account.name.clone(),
            state: self.state.clone(),
            shelf: self.shelf.clone(),
            now: self.now,
            verification,
        }
    }
}

/// What passes by itself.
#[derive(Debug)]
enum Later {
    /// The home is missing, or an empty place for it.
    HomeIsAway(PathBuf),
    /// Another run holds this lock.
    Busy(PathBuf),
}

impl fmt::Display for Later {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HomeIsAway(home) => {
                let home = home.display();
                write!(
                    formatter,
                    "the home {home} is not there, not mounted, or not in use yet; try again when it is"
                )
            }
            Self::Busy(lock) => {
                let lock = lock.display();
                write!(formatter, "another run is at work, and holds {lock}; try again when it has ended")
            }
        }
    }
}

impl std::error::Error for Later {}

/// The exit code of a command that could not begin.
fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() {
        78
    } else if error.is::<Later>() {
        75
    } else {
        1
    }
}

/// Carries a command out: what it answers is its exit code, and what it cannot do is told.
fn answered(command: impl FnOnce(&Hand) -> Result<u8>) -> ExitCode {
    match Hand::of_caller().and_then(|hand| command(&hand)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error, code_of(&error)),
    }
}

/// A value on the command line that cannot be meant.
fn misused(option: &str, value: &str, why: &impl fmt::Display) -> ExitCode {
    fail(&anyhow::anyhow!("{option} {value:?}: {why}"), 2)
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
    login: Option<LoginWords>,
}

/// A login, without its secrets. Times are milliseconds since the epoch.
#[derive(Serialize)]
struct LoginWords {
    generation: String,
    access_token_expires_at_ms: Timestamp,
    login_expires_at_ms: Option<Timestamp>,
}

impl Answer {
    fn of(hand: &Hand, outcome: &Outcome, exit_code: u8) -> Self {
        Self {
            schema: SCHEMA,
            user: hand.account.name.clone(),
            status: outcome.status.to_string(),
            exit_code,
            text: outcome.to_string(),
            finding: outcome.finding_word(),
            verdict: outcome.verdict_word(),
            login: outcome.login().map(LoginWords::of),
        }
    }
}

impl LoginWords {
    fn of(login: &cas_core::oauth_login::LoginSummary) -> Self {
        Self {
            generation: login.generation.to_string(),
            access_token_expires_at_ms: login.expires_at,
            login_expires_at_ms: login.login_expires_at,
        }
    }
}

/// What there is to say where a login is whole and was therefore not touched.
fn is_whole(finding: &Finding) -> bool {
    matches!(finding, Finding::Login { .. } | Finding::Stale { .. } | Finding::Refreshing(_))
}
