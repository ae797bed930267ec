//! `cas-sync run`: one run of the planner with all the time it needs, told to the terminal, the journal and the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use cas_core::account::{Account, Paths};
use cas_core::config::{self, Config, ConfigError};
use cas_core::deadline::Deadline;
use cas_core::enrolment::{self, REQUEST, REQUESTS};
use cas_core::journal;
use cas_core::machine::Machine;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::run::{Parts, Run};
use cas_core::state_directory::{Lock, StateDirectory, StateError};
use cas_core::store::user_store::UserStore;
use cas_core::timestamp::Timestamp;
use nix::unistd::Uid;

use crate::{fail, sync_log};

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// The exit code for a configuration that cannot be used (`EX_CONFIG` of sysexits.h).
const CONFIGURATION: u8 = 78;

/// Looks after the caller's own login.
pub(crate) fn run() -> ExitCode {
    match look_after_own_login() {
        Ok(outcome) => {
            println!("{} {outcome}", outcome.status);
            ExitCode::from(outcome.exit_code())
        }
        Err(error) if error.is::<ConfigError>() => fail(&error, CONFIGURATION),
        Err(error) => fail(&error, 1),
    }
}

fn look_after_own_login() -> Result<Outcome> {
    if Uid::effective().is_root() {
        bail!(
            "this looks after the caller's own login, and root has none; run it as the person: runuser -u NAME -- cas-sync run"
        );
    }
    let account = own_account()?;
    let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
    let mut config = configuration()?;
    config.override_from(variable);
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let now = now();
    let name = account.name.clone();
    let outcome = match state.lock(Lock::Sync, &Deadline::after(Duration::ZERO)) {
        Ok(_locked) => tend(account, &paths, config, &state, now),
        Err(StateError::Busy(_)) => busy(),
        Err(error) => return Err(error.into()),
    };
    journal::write(&name, &outcome);
    sync_log::append(&state.file("sync.log"), now, &outcome)
        .context("the run is over, but its log was not written")?;
    if outcome.status != Status::Skip {
        settle_request(&Path::new(REQUESTS).join(&name))?;
    }
    Ok(outcome)
}

fn tend(account: Account, paths: &Paths, config: Config, state: &StateDirectory, now: Timestamp) -> Outcome {
    let store = UserStore::open(&config, &account, paths, state, now);
    let settings = config.settings(Mode::Sync);
    let machine = Machine::this(Path::new("/etc/machine-id"));
    let deadline = Deadline::after(DEADLINE);
    Run::new(Parts { account, paths, settings, store, now, deadline, machine }).until_reported().outcome
}

/// The caller; `CLAUDE_AUTH_USER` may name them otherwise in the store and in the journal, as the former script allowed.
fn own_account() -> Result<Account> {
    let account = Account::of_uid(Uid::effective())?;
    match variable("CLAUDE_AUTH_USER").filter(|name| !name.is_empty()) {
        Some(name) if enrolment::is_plain_name(name.as_bytes()) => Ok(Account { name, ..account }),
        Some(name) => {
            bail!("CLAUDE_AUTH_USER={name:?} cannot be a user's name; unset it, or set it to a login name")
        }
        None => Ok(account),
    }
}

fn configuration() -> Result<Config, ConfigError> {
    let (config, warnings) = Config::load(Path::new(config::DIRECTORY))?;
    for warning in warnings {
        eprintln!("cas-sync: {warning}");
    }
    Ok(config)
}

/// A request that led to this run is answered by it.
fn settle_request(directory: &Path) -> Result<()> {
    match fs::remove_file(directory.join(REQUEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("the request in {} stays", directory.display()))
        }
        _ => Ok(()),
    }
}

fn busy() -> Outcome {
    Outcome { status: Status::Skip, finding: Finding::Busy, notes: Vec::new(), wants_sync: false }
}

#[expect(clippy::disallowed_methods, reason = "the overrides are a contract")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters the program")]
fn now() -> Timestamp {
    Timestamp::from_millis(0)
        .plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
