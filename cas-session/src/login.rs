//! `cas-session login`: one run of the planner while somebody waits, and one line in reply.

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
use cas_core::state::sync_requests::Requests;
use cas_core::store::StoreError;
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::system::privileges;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::reply::Reply;

use crate::arguments::{Login, print_error};

/// What is kept back of the deadline for the reply itself.
const REPLY_RESERVE: Duration = Duration::from_millis(100);

/// Does what a login needs, and replies.
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
    let account = Account::from_name(&request.user)?;
    if account.uid.as_raw() < request.minimum_uid || account.uid.is_root() {
        return Ok(Reply(None));
    }
    privileges::become_user(&account)?;
    let name = account.name.clone();
    let requests = Requests::of(&name);
    let ended = run_engine(account, &requests, deadline);
    if ended.outcome.should_log() || request.debug {
        syslog::log_outcome(&name, &ended.outcome);
    }
    if ended.outcome.wants_sync {
        requests.leave();
    }
    Ok(Reply(ended.token))
}

fn run_engine(account: Account, requests: &Requests, deadline: Deadline) -> RunResult {
    let now = now();
    let paths = Paths::new(&account.home, |_| None);
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let (config, store) = match Config::load(Path::new(config::CONFIG_DIR)) {
        Ok((config, _)) => {
            let store = cas_vault::open(&config, &account, &paths, &state, now);
            (config, store)
        }
        Err(error) => (Config { store: StoreKind::Vault, ..Config::default() }, Err(unusable(&error))),
    };
    let settings = Settings::from_config(&config, Mode::Login);
    let machine = MachineId::read(Path::new("/etc/machine-id"));
    let asked_at = requests.asked_at();
    let ended = Engine::new(EngineInput {
        account,
        paths: &paths,
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
        // The sync makes up for what cannot be written here.
        drop(notice_file::update(&ended.outcome, Mode::Login, &state));
    }
    ended
}

/// A configuration that cannot be read keeps the store out of it; what this machine knows still helps.
fn unusable(error: &config::ConfigError) -> StoreError {
    StoreError::Misconfigured { reason: error.to_string(), remedy: "an admin has to mend it".into() }
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
