//! Collects what Claude Code finds if the user starts it here: files, environment, and settings of
//! the machine. It runs as the user.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::json_settings::{self, ClaudeJson, ReadJsonError};
use cas_core::claude_files::state_problem::StateFileProblem;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::engine;
use cas_core::fs::regular_file::{self, OpenError};
use cas_core::state::directory::StateDirectory;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;

use super::moved_login::{CONFIG_DIRECTORY, MovedLogin};
use super::settings::Settings;
use super::{Place, Sources};
use crate::precedence::managed_settings;

/// The user and the environment to inspect.
pub(crate) struct Surroundings<'a> {
    /// The user of this process.
    pub(crate) account: &'a Account,
    /// The paths of the user's files.
    pub(crate) paths: &'a Paths,
    /// The environment of the client.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// The directory of the machine's settings.
    pub(crate) machine: &'a Path,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Collects the credentials and settings. It never fails: what cannot be read is in
/// [`Sources::unknown`].
pub(crate) fn gather(surroundings: &Surroundings<'_>) -> Sources {
    let Surroundings { account, paths, environment, machine, now } = surroundings;
    let directory = directory(surroundings);
    let is_moved = environment.contains_key(CONFIG_DIRECTORY);
    let own_state = json_settings::state_file(&account.home, is_moved.then_some(directory.as_path()));
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut settings = BTreeMap::from([(Place::Environment, Settings::from_variables(variables))]);
    let mut unknown = Vec::new();
    let places =
        [(Place::OwnState, own_state.clone()), (Place::UserSettings, directory.join("settings.json"))];
    let managed = managed_settings::files(machine).into_iter().map(|path| (Place::ManagedSettings, path));
    let served = (Place::Organization, directory.join(managed_settings::REMOTE_SETTINGS_FILE));
    for (place, path) in places.into_iter().chain(managed).chain([served]) {
        match read(&path) {
            Ok(None) => (),
            Ok(Some(found)) => {
                let before = settings.remove(&place).unwrap_or_default();
                settings.insert(place, before.merge(found));
            }
            // Described by the state problem.
            Err(why) if place == Place::OwnState && why != TOO_LARGE => (),
            Err(why) => unknown.push((place, format!("{} {why}", path.display()))),
        }
    }
    let moved = MovedLogin::find(environment, &account.home, &paths.credentials_file, machine);
    let login_file = moved.as_ref().map_or(&paths.credentials_file, |moved| &moved.file).clone();
    let uid = account.uid.as_raw();
    let ledger = StateDirectory::new(paths.state_directory.clone(), uid).ledger().unwrap_or_default();
    let (profiles, active_profile) = profiles(surroundings);
    let login = CredentialsFile::new(login_file.clone(), uid).read(*now).login.summary();
    let state = ClaudeJson::read(&own_state);
    let state_problem = StateFileProblem::from_result(&state, &own_state, &directory);
    let state = state.ok().flatten().unwrap_or_default();
    Sources {
        settings,
        sign_out: engine::sign_out(&login, &state, &ledger),
        login,
        moved,
        state_problem,
        login_file,
        profiles,
        active_profile,
        env_file: EnvFile::new(paths.env_file.clone(), uid).fingerprint(),
        withdrawn: ledger.withdrawn_tokens,
        unknown,
    }
}

const PROFILES_DIRECTORY: &str = "ANTHROPIC_CONFIG_DIR";

/// Returns the client's directory; an empty variable means the working directory.
fn directory(surroundings: &Surroundings<'_>) -> PathBuf {
    let moved = surroundings.environment.get(CONFIG_DIRECTORY).map(PathBuf::from);
    moved.unwrap_or_else(|| surroundings.account.home.join(".claude"))
}

const TOO_LARGE: &str = "is too large and was not read";

fn read(path: &Path) -> Result<Option<Settings>, &'static str> {
    match ClaudeJson::read(path) {
        Ok(found) => Ok(found.as_ref().map(Settings::from_file)),
        Err(ReadJsonError::NotJson | ReadJsonError::NotAnObject) => {
            Err("is not a JSON object, so Claude Code ignores it; correct it")
        }
        Err(ReadJsonError::File(OpenError::NotRegular | OpenError::Link)) => {
            Err("is not a regular file; move it away")
        }
        Err(ReadJsonError::File(OpenError::TooLarge)) => Err(TOO_LARGE),
        Err(ReadJsonError::File(OpenError::Failed(_))) => Err("cannot be read; correct its mode"),
    }
}

/// Returns the names of the profiles with a credential, and that of the active profile.
fn profiles(surroundings: &Surroundings<'_>) -> (Vec<Fingerprint>, Option<Fingerprint>) {
    let moved = surroundings.environment.get(PROFILES_DIRECTORY).map(PathBuf::from);
    let directory = moved.unwrap_or_else(|| surroundings.account.home.join(".config/anthropic"));
    let entries = fs::read_dir(directory.join("credentials")).into_iter().flatten().flatten();
    let name = |path: PathBuf| {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        path.file_stem().filter(|_| is_json).map(|stem| Fingerprint::from_bytes(&stem.to_string_lossy()))
    };
    let active = regular_file::read(&directory.join("active_config"), 4096).ok().flatten();
    let active = active.map(|text| Fingerprint::from_bytes(String::from_utf8_lossy(&text).trim()));
    (entries.filter_map(|entry| name(entry.path())).collect(), active)
}
