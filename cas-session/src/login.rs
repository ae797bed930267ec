//! `cas-session login`: runs the engine while the user waits for the prompt, and prints the reply
//! line.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cas_core::config::StoreKind;
use cas_core::config::{self, Config};
use cas_core::engine::{Engine, EngineInput, RunResult};
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;
use cas_core::state::sync_requests::SyncRequests;
use cas_core::store::StoreError;
use cas_core::system::account::{Account, Paths};
use cas_core::system::identity::Identities;
use cas_core::system::machine_id::MachineId;
use cas_core::system::privileges;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths;
use cas_protocol::reply::Reply;

use crate::arguments::{Login, print_error};

/// The part of the deadline that is reserved for the reply.
const REPLY_RESERVE: Duration = Duration::from_millis(100);

/// Handles a login and writes the reply.
pub(crate) fn run(request: &Login) -> ExitCode {
    let deadline = Deadline::after(request.deadline.saturating_sub(REPLY_RESERVE));
    match handle(request, deadline).and_then(|reply| write_reply(&reply)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("{error:#}"));
            let finding = Finding::Skipped(format!("{error:#}"));
            let outcome = Outcome::new(Status::Warn, finding);
            syslog::log_outcome(&request.user, &outcome);
            ExitCode::FAILURE
        }
    }
}

fn handle(request: &Login, deadline: Deadline) -> Result<Reply> {
    let account = match Account::from_name(&request.user) {
        // The module also sends names that may be another spelling of an enrolled one.
        Err(_) if !paths::is_enrolled(&request.user) => return Ok(Reply(None)),
        account => account?,
    };
    if account.uid.as_raw() < request.minimum_uid || account.uid.is_root() {
        return Ok(Reply(None));
    }
    privileges::raise_resource_limits();
    let account = privileges::become_user(&account)?;
    // The module sends the name as it was typed. The name of the account decides.
    if !paths::is_enrolled(&account.name) {
        return Ok(Reply(None));
    }
    if let Err(error) = Identities::open().check(&account) {
        syslog::log_message(&account.name, Status::Fail, &error.to_string());
        return Ok(Reply(None));
    }
    let name = account.name.clone();
    let paths = Paths::new(&account.home, |_| None);
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let requests = SyncRequests::new(state.clone());
    let result = run_engine(account, &paths, state, requests.last_activity(), deadline);
    if result.outcome.should_log() || request.debug {
        syslog::log_outcome(&name, &result.outcome);
    }
    if result.outcome.wants_sync || requests.has_unrecorded() {
        requests.submit();
    }
    Ok(Reply(result.token))
}

fn run_engine(
    account: Account,
    paths: &Paths,
    state: StateDirectory,
    asked_at: Option<Timestamp>,
    deadline: Deadline,
) -> RunResult {
    let now = now();
    let (config, store) = match Config::load(Path::new(config::CONFIG_DIR)) {
        Ok((config, _)) => {
            let store = cas_vault::open(&config, &account, paths, &state, now);
            (config, store)
        }
        Err(error) => (Config { store: StoreKind::Vault, ..Config::default() }, Err(unusable(&error))),
    };
    let settings = Settings::from_config(&config, Mode::Login);
    let machine = MachineId::read(Path::new("/etc/machine-id"));
    let result = Engine::new(EngineInput {
        account,
        paths,
        settings,
        store,
        now,
        deadline,
        machine,
        verifier: None,
        asked_at,
    })
    .run();
    if !deadline.is_expired() {
        // A sync writes the notice if this fails.
        drop(notice_file::update(&result.outcome, Mode::Login, &state));
    }
    result
}

/// Returns the error for the store of an invalid configuration. Local backups are still used.
fn unusable(error: &config::ConfigError) -> StoreError {
    StoreError::Misconfigured { reason: error.to_string(), remedy: "an administrator must correct it".into() }
}

fn write_reply(reply: &Reply) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(reply.to_line().as_bytes()).and_then(|()| stdout.flush()).context("cannot reply")
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters the program")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0)
        .saturating_add(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
