//! `cas-sync status`: the state of the caller's login or, as root, of all users. It sends no
//! network requests, does not start `claude` and changes nothing.

mod json;
pub(crate) mod self_report;
mod self_view;
mod table;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use cas_core::config::StoreKind;
use cas_core::config::{self, Config};
use cas_core::fs::owned_file::{self, Ownership};
use cas_core::outcome::ExitStatus;
use cas_core::outcome::state_report::FILE_NAME;
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::system::account::HomeProblem;
use cas_core::system::privileges::harden_process;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths;
use nix::unistd::{Uid, gethostname};

use self::self_report::{Schedule, SelfReport, StoreContact};
use crate::cli::Status as Request;
use crate::os::environment::{env_var, now};
use crate::precedence::sources;
use crate::published_state::accounts::Accounts;
use crate::published_state::report::PublishedReport;
use crate::published_state::rows::{self, UserRow};
use crate::published_state::{MAX_SIZE, read};
use crate::systemd::{self, Units};
use crate::term::stderr::exit_with_error;
use crate::term::{self, Terminal};
use crate::user::identity::CallingUser;
use cas_protocol::paths::STATE_DIR;

/// Prints the state.
pub(crate) fn run(request: &Request) -> ExitCode {
    let view = match Uid::effective().is_root() {
        true => view_all(&request.user),
        false => view_self(&request.user),
    };
    match view {
        Ok(view) => {
            view.print(request.json);
            ExitCode::from(view.exit_code)
        }
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

/// The output of one run.
struct View {
    exit_code: u8,
    lines: Vec<String>,
    json: serde_json::Value,
}

impl View {
    fn print(&self, as_json: bool) {
        match as_json {
            true => term::json::print(&self.json),
            // A reader such as head(1) may close the pipe early.
            false => drop(writeln!(io::stdout(), "{}", self.lines.join("\n"))),
        }
    }
}

fn terminal() -> Terminal {
    Terminal::for_stdout()
}

fn view_all(users: &[String]) -> Result<View> {
    let (rows, now) = if users.is_empty() { rows::read_all()? } else { view_users(users)? };
    Ok(View {
        exit_code: rows::exit_code(&rows),
        lines: table::lines(&rows, now, terminal()),
        json: json::all_users(&rows, now),
    })
}

fn view_users(users: &[String]) -> Result<(Vec<UserRow>, Timestamp)> {
    let now = now();
    let user_state = |user: &String| {
        ensure!(
            paths::is_enrolled(user),
            "{user:?} is not enrolled; run `cas-sync enroll` to enroll the user, or `cas-sync status` to list all users"
        );
        Ok(read::read_one(Path::new(STATE_DIR), Accounts::look_up, user))
    };
    let entries = users.iter().map(user_state).collect::<Result<_>>()?;
    Ok((rows::worst_first(entries, now), now))
}

fn view_self(users: &[String]) -> Result<View> {
    harden_process()?;
    let caller = CallingUser::current()?;
    if users.iter().any(|user| *user != caller.account.name) {
        bail!("cannot show other users: only root can; run it with sudo");
    }
    if let Some(problem @ HomeProblem::Locked(_)) = caller.home_problem() {
        bail!("{problem}");
    }
    let own = collect(caller);
    Ok(View {
        exit_code: own.summary().exit_code,
        lines: self_view::lines(&own, terminal()),
        json: json::own_state(&own),
    })
}

fn collect(caller: CallingUser) -> SelfReport {
    let now = now();
    let CallingUser { account, paths, state, .. } = caller;
    let sources = sources::gather_here(&account, &paths, now);
    SelfReport {
        effective: sources.effective(),
        sources,
        report: load_report(&state, account.uid.as_raw()),
        is_enrolled: paths::is_enrolled(&account.name),
        newest_backup: LocalStore::new(state.clone(), now).newest_login().map_err(|error| error.to_string()),
        store: store_contact(&state),
        next: schedule(&account.name),
        machine: gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        user: account.name,
        now,
    }
}

/// Reads the report with root's reader, so that both show the same.
fn load_report(state: &StateDirectory, owner: u32) -> Result<Option<PublishedReport>, String> {
    match owned_file::read(&state.path(FILE_NAME), owner, MAX_SIZE, Ownership::Owner) {
        Ok(None) => Ok(None),
        Ok(Some(found)) => PublishedReport::parse(&found.content).map(Some).map_err(str::to_owned),
        Err(problem) => Err(problem.to_string()),
    }
}

fn store_contact(state: &StateDirectory) -> StoreContact {
    let mut config = match Config::load(Path::new(config::CONFIG_DIR)) {
        Ok((config, _)) => config,
        Err(error) => return StoreContact::Unknown(error.to_string()),
    };
    config.apply_environment(env_var);
    let contact = state.store_contact();
    match config.store {
        StoreKind::Local => StoreContact::Local,
        StoreKind::Vault => StoreContact::Vault {
            url: config.vault.address,
            answered_at: contact.last_success,
            failed_at: contact.last_failure,
        },
    }
}

fn schedule(user: &str) -> Schedule {
    let Some(units) = Units::for_user(user).filter(|_| systemd::is_running()) else {
        return Schedule::default();
    };
    let deadline = Deadline::after(systemd::QUERY_TIMEOUT);
    let answered = systemd::next_start(&deadline, &units.timer).and_then(|sync_at| {
        let is_watched = systemd::is_active(&deadline, &units.watch)?;
        Ok(Schedule { sync_at, is_watched, unknown: None })
    });
    answered.unwrap_or_else(|error| Schedule { unknown: Some(error.to_string()), ..Schedule::default() })
}
