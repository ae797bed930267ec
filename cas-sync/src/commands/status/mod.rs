//! `cas-sync status`: how one's own login is, or, for root, everybody's. It asks no network and no `claude`, and changes
//! nothing.

mod json;
mod live;
pub(crate) mod rows;
mod self_report;
mod self_view;
mod table;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use cas_core::config::StoreKind;
use cas_core::config::{self, Config};
use cas_core::fs::owned_file::{self, Guard};
use cas_core::outcome::state_report::FILE_NAME;
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths;
use nix::unistd::{Uid, gethostname};

use self::rows::Row;
use self::self_report::{Next, Own, Store};
use crate::cli::Status as Request;
use crate::commands::enroll::STATE;
use crate::os::environment::{keep_secrets_in_memory, now, variable};
use crate::precedence::sources::{self, Surroundings};
use crate::published_state::accounts::Accounts;
use crate::published_state::report::Standing;
use crate::published_state::{LIMIT, read};
use crate::systemd::{self, Units};
use crate::term::Terminal;
use crate::term::stderr::fail;
use crate::user::identity::Caller;

/// Says how it is.
pub(crate) fn run(request: &Request) -> ExitCode {
    if request.watch && !io::stdout().is_terminal() {
        let error = anyhow::anyhow!(
            "--watch draws on a terminal, and the standard output is none; leave it out, or ask again by hand"
        );
        return fail(&error, 2);
    }
    let told = match Uid::effective().is_root() {
        true => tell(request, &|| look_at_everybody(&request.user)),
        false => tell(request, &|| look_at_oneself(&request.user)),
    };
    told.map_or_else(|error| fail(&error, 1), ExitCode::from)
}

/// What one look has shown.
struct Seen {
    exit_code: u8,
    lines: Vec<String>,
    json: serde_json::Value,
}

fn tell(request: &Request, look: &dyn Fn() -> Result<Seen>) -> Result<u8> {
    if request.watch {
        live::redraw(|| Ok(look()?.lines))?;
        return Ok(0);
    }
    let seen = look()?;
    let text = if request.json { format!("{}\n", seen.json) } else { seen.lines.join("\n") + "\n" };
    // Whoever has seen enough may leave.
    drop(io::stdout().lock().write_all(text.as_bytes()));
    Ok(seen.exit_code)
}

fn terminal() -> Terminal {
    Terminal::of_the_standard_output()
}

fn look_at_everybody(users: &[String]) -> Result<Seen> {
    let (rows, now) = if users.is_empty() { everybody()? } else { these(users)? };
    Ok(Seen {
        exit_code: rows::exit_code(&rows),
        lines: table::lines(&rows, now, terminal()),
        json: json::of_rows(&rows, now),
    })
}

/// Everybody who is enrolled, the worst first, as of now.
///
/// # Errors
/// When it cannot be seen who that is.
pub(crate) fn everybody() -> Result<(Vec<Row>, Timestamp)> {
    let now = now();
    let people = read::everybody(Path::new(STATE), Accounts::look_up);
    let people = people.with_context(|| format!("cannot see in {STATE} who is enrolled"))?;
    Ok((rows::worst_first(people, now), now))
}

fn these(users: &[String]) -> Result<(Vec<Row>, Timestamp)> {
    let now = now();
    let person = |user: &String| {
        ensure!(
            paths::has_marker(user),
            "{user:?} is not enrolled; `cas-sync enroll` does that, and `cas-sync status` shows who is"
        );
        let person = read::somebody(Path::new(STATE), Accounts::look_up, user);
        person.with_context(|| format!("cannot look into {STATE}"))
    };
    let people = users.iter().map(person).collect::<Result<_>>()?;
    Ok((rows::worst_first(people, now), now))
}

fn look_at_oneself(users: &[String]) -> Result<Seen> {
    keep_secrets_in_memory()?;
    let caller = Caller::find()?;
    if users.iter().any(|user| *user != caller.account.name) {
        bail!("only root can see how others are; run it with sudo");
    }
    let own = own(caller);
    Ok(Seen {
        exit_code: own.judgement().exit_code,
        lines: self_view::lines(&own, terminal()),
        json: json::of_own(&own),
    })
}

fn own(caller: Caller) -> Own {
    let now = now();
    let Caller { account, paths, state, .. } = caller;
    let environment = environment();
    let sources = sources::gather(&Surroundings {
        account: &account,
        paths: &paths,
        environment: &environment,
        machine: Path::new("/etc/claude-code"),
        now,
    });
    Own {
        effective: sources.effective(),
        sources,
        standing: standing(&state, account.uid.as_raw()),
        is_enrolled: paths::has_marker(&account.name),
        kept: LocalStore::new(state.clone(), now).newest_login().map_err(|error| error.to_string()),
        store: store(&state),
        next: next(&account.name),
        machine: gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        user: account.name,
        now,
    }
}

/// By the same reader as root's, so that both see the same.
fn standing(state: &StateDirectory, owner: u32) -> Result<Option<Standing>, String> {
    match owned_file::read(&state.file(FILE_NAME), owner, LIMIT, Guard::Owned) {
        Ok(None) => Ok(None),
        Ok(Some(found)) => Standing::parse(&found.content).map(Some).map_err(str::to_owned),
        Err(problem) => Err(problem.to_string()),
    }
}

fn store(state: &StateDirectory) -> Store {
    let mut config = match Config::load(Path::new(config::DIRECTORY)) {
        Ok((config, _)) => config,
        Err(error) => return Store::Unknown(error.to_string()),
    };
    config.override_from(variable);
    let contact = state.contact();
    match config.store {
        StoreKind::Local => Store::Local,
        StoreKind::Vault => Store::Server {
            address: config.vault.address,
            answered_at: contact.answered_at,
            failed_at: contact.failed_at,
        },
    }
}

fn next(user: &str) -> Next {
    let Some(units) = Units::of(user).filter(|_| systemd::is_running()) else { return Next::default() };
    let deadline = Deadline::after(systemd::PATIENCE);
    let answered = systemd::next_start(&deadline, &units.timer).and_then(|sync_at| {
        let is_watched = systemd::is_active(&deadline, &units.watch)?;
        Ok(Next { sync_at, is_watched, unknown: None })
    });
    answered.unwrap_or_else(|error| Next { unknown: Some(error.to_string()), ..Next::default() })
}

#[expect(clippy::disallowed_methods, reason = "the environment decides which credential Claude Code uses")]
fn environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
