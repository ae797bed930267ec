//! Collects the facts from files, processes, Vault and systemd, and changes nothing. A process with
//! the user's ID reads what belongs to the user.

mod client;
mod entries;
pub(super) mod locks;
mod machine;
mod overrides;
mod store;
mod units;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::email::Email;
use cas_core::claude_files::json_settings::{ClaudeJson, state_file};
use cas_core::claude_files::state_problem::StateFileProblem;
use cas_core::config::{self, Config};
use cas_core::credential::login::LoginSummary;
use cas_core::engine;
use cas_core::ledger::Ledger;
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::paths;
use std::ffi::OsStr;
use std::path::Path;

use super::facts::{Login, UserFacts};
use crate::claude;
use crate::processes;

pub(super) use self::machine::machine;

/// The environment of the inspection; empty in a process that root started.
#[derive(Clone, Copy)]
pub(super) struct InspectEnv<'a> {
    pub(super) variables: &'a [(String, String)],
    pub(super) search_path: Option<&'a OsStr>,
    /// True if root started this process, which then runs with the user's ID.
    pub(super) is_run_by_root: bool,
    /// True if systemd answered the first request.
    pub(super) systemd_answers: bool,
}

impl InspectEnv<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Collects the facts about the user who runs this process.
pub(super) fn user(account: &Account, paths: &Paths, env: InspectEnv<'_>, now: Timestamp) -> UserFacts {
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let loaded = Config::load(Path::new(config::CONFIG_DIR));
    let (config, warnings, config_error) = match loaded {
        Ok((mut config, warnings)) => {
            config.apply_environment(|name| env.variable(name));
            (Some(config), warnings, None)
        }
        Err(error) => (None, Vec::new(), Some(error.to_string())),
    };
    let expected = config.as_ref().and_then(|config| config.expected_organization.clone());
    // An unreadable ledger has a separate finding.
    let seen = state.ledger().unwrap_or_default().setup_tokens;
    let env_file = entries::env_file(&paths.env_file, account.uid.as_raw(), &seen);
    let claude_json_path = state_file(&account.home, None);
    let claude_json = ClaudeJson::read(&claude_json_path);
    let known_settings = claude_json.as_ref().ok().and_then(Option::as_ref);
    UserFacts {
        user: account.name.clone(),
        uid: account.uid.as_raw(),
        now,
        login: login(account, paths, &state, known_settings, expected, now),
        env_file,
        entries: entries::find(account, paths),
        locks: locks::find(paths),
        overrides: overrides::find(account, paths, known_settings, env),
        client: client::inspect(config.as_ref(), account, env),
        onboarding: entries::onboarding(&claude_json_path, &claude_json),
        state_problem: StateFileProblem::from_result(
            &claude_json,
            &claude_json_path,
            &account.home.join(".claude"),
        ),
        store: store::inspect(config.as_ref(), config_error, &warnings, account, paths, &state, now),
        is_enrolled: paths::is_enrolled(&account.name),
        units: units::inspect(&account.name, env.systemd_answers),
        sessions: processes::holding_tokens(account, paths),
    }
}

fn login(
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    claude_json: Option<&ClaudeJson>,
    expected_organization: Option<String>,
    now: Timestamp,
) -> Login {
    let file = CredentialsFile::new(paths.credentials_file.clone(), account.uid.as_raw());
    let login = file.read(now).login.summary();
    let (ledger, unreadable) = match state.ledger() {
        Ok(ledger) => (ledger, None),
        Err(error) => (Ledger::default(), Some((state.path("ledger.json"), error.to_string()))),
    };
    let history = LocalStore::new(state.clone(), now);
    let (logins, unreadable) = match history.logins() {
        Ok(logins) => (logins, unreadable),
        Err(error) => (Vec::new(), unreadable.or(Some((history.path(), error.to_string())))),
    };
    let can_restore =
        |login: &LoginSummary| ledger.may_restore(login, now) && !ledger.belongs_to_other_account(login);
    let generation_state = login.login().and_then(|summary| ledger.generation_state(summary.generation));
    let unrefreshed_token = login.unrefreshed_token().map(|token| {
        let seen = &ledger.setup_tokens;
        (seen.unrefreshed_token_expiry(token, now), seen.is_rejected(token))
    });
    let owner = login.login().map(|summary| ledger.resolve_owner(summary)).unwrap_or_default();
    Login {
        email: claude_json.and_then(|state| Email::for_owner(state, &owner)),
        path: path_text(&paths.credentials_file),
        obstacle: claude::write_obstacle(account, paths),
        sign_out: engine::sign_out(&login, claude_json.unwrap_or(&ClaudeJson::default()), &ledger),
        generation_state,
        unrefreshed_token,
        has_backup: unreadable.is_none() && logins.iter().any(|login| can_restore(&login.summary)),
        expected_organization,
        unreadable_state: unreadable.map(|(path, why)| (path_text(&path), why)),
        state: login,
    }
}

/// Returns the path as text for messages and commands.
fn path_text(path: &Path) -> String {
    path.display().to_string()
}
