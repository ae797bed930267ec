//! The edge: looks at files, processes, the server and systemd, and changes nothing. What is somebody's is only looked at by
//! a process of theirs.

mod client;
mod entries;
pub(super) mod locks;
mod machine;
mod overrides;
mod shell_startup;
mod store;
mod units;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::email::Email;
use cas_core::claude_files::json_settings::{ClaudeJson, state_file};
use cas_core::config::{self, Config};
use cas_core::credential::login::LoginSummary;
use cas_core::ledger::Ledger;
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::paths;
use std::ffi::OsStr;
use std::path::Path;

use super::facts::{Login, PersonFacts};
use crate::processes;

pub(super) use self::machine::machine;

/// What the process was started with that matters here: nothing, for one that root has started.
#[derive(Clone, Copy)]
pub(super) struct InspectEnv<'a> {
    pub(super) variables: &'a [(String, String)],
    pub(super) search_path: Option<&'a OsStr>,
    /// Whether root asks, through a process that has become the person.
    pub(super) is_roots: bool,
    /// Whether systemd has answered the first question.
    pub(super) systemd_answers: bool,
}

impl InspectEnv<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// All that can be seen of this person, who the caller is.
pub(super) fn person(
    account: &Account,
    paths: &Paths,
    around: InspectEnv<'_>,
    now: Timestamp,
) -> PersonFacts {
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let loaded = Config::load(Path::new(config::CONFIG_DIR));
    let (config, warnings, broken) = match loaded {
        Ok((mut config, warnings)) => {
            config.apply_environment(|name| around.variable(name));
            (Some(config), warnings, None)
        }
        Err(error) => (None, Vec::new(), Some(error.to_string())),
    };
    let expected = config.as_ref().and_then(|config| config.expected_organization.clone());
    // One that cannot be read is a finding of its own.
    let seen = state.ledger().unwrap_or_default().setup_tokens;
    let env_file = entries::env_file(&paths.env_file, account.uid.as_raw(), &seen);
    let own_state_file = state_file(&account.home, None);
    let own_state = ClaudeJson::read(&own_state_file);
    let known_state = own_state.as_ref().ok().and_then(Option::as_ref);
    PersonFacts {
        user: account.name.clone(),
        uid: account.uid.as_raw(),
        now,
        login: login(account, paths, &state, known_state, expected, now),
        env_file,
        entries: entries::of(account, paths),
        locks: locks::of(paths),
        shadows: overrides::of(account, paths, known_state, around),
        client: client::look(config.as_ref(), account, around),
        onboarding: entries::onboarding(&own_state_file, &own_state),
        store: store::look(config.as_ref(), broken, &warnings, account, paths, &state, now),
        is_enrolled: paths::is_enrolled(&account.name),
        units: units::of(&account.name, around.systemd_answers),
        sessions: processes::holding_tokens(account, paths),
    }
}

fn login(
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    own_state: Option<&ClaudeJson>,
    expected_organization: Option<String>,
    now: Timestamp,
) -> Login {
    let file = CredentialsFile::new(paths.credentials_file.clone(), account.uid.as_raw());
    let found = file.read(now).login.summary();
    let (ledger, memory) = match state.ledger() {
        Ok(ledger) => (ledger, None),
        Err(error) => (Ledger::default(), Some((state.path("ledger.json"), error.to_string()))),
    };
    let history = LocalStore::new(state.clone(), now);
    let (logins, memory) = match history.logins() {
        Ok(logins) => (logins, memory),
        Err(error) => (Vec::new(), memory.or(Some((history.path(), error.to_string())))),
    };
    let may_return =
        |login: &LoginSummary| ledger.may_restore(login, now) && !ledger.belongs_to_other_account(login);
    let fate = found.login().and_then(|login| ledger.fate(login.generation));
    let owner = found.login().map(|login| ledger.resolve_owner(login)).unwrap_or_default();
    Login {
        address: own_state.and_then(|state| Email::for_owner(state, &owner)),
        path: shown(&paths.credentials_file),
        fate,
        has_copy: memory.is_none() && logins.iter().any(|login| may_return(&login.summary)),
        expected_organization,
        memory: memory.map(|(path, why)| (shown(&path), why)),
        state: found,
    }
}

/// A path, for people and for command lines.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
