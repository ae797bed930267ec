//! Collects what Claude Code finds if the user starts it here: files, environment, and settings of
//! the machine. It runs as the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::json_settings::{self, ClaudeJson};
use cas_core::claude_files::state_problem::StateFileProblem;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::engine;
use cas_core::fs::regular_file;
use cas_core::state::directory::StateDirectory;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;

use super::moved_login::{CONFIG_DIRECTORY, MovedLogin};
use super::project::{self, Project, UnreadableSettings};
use super::settings::{API_KEY_DESCRIPTOR, Settings, TOKEN_DESCRIPTOR};
use super::{Place, Sources};
use crate::os::environment::env_vars;
use crate::precedence::managed_settings;

/// The user and the environment to inspect.
struct Surroundings<'a> {
    /// The user of this process.
    account: &'a Account,
    /// The paths of the user's files.
    paths: &'a Paths,
    /// The environment of the client.
    environment: &'a BTreeMap<String, String>,
    /// The working directory of the client.
    directory: &'a Path,
    /// The directory of the machine's settings.
    machine: &'a Path,
    /// The time.
    now: Timestamp,
}

/// Collects what the client finds if it is started in the environment and the working directory of
/// this process.
pub(crate) fn gather_here(account: &Account, paths: &Paths, now: Timestamp) -> Sources {
    let is_open = |descriptor: &str| Path::new("/proc/self/fd").join(descriptor.trim()).exists();
    let mut environment: BTreeMap<_, _> = env_vars().into_iter().collect();
    environment.retain(|name, value| name != TOKEN_DESCRIPTOR || is_open(value));
    let has_open_key = environment.get(API_KEY_DESCRIPTOR).is_some_and(|descriptor| is_open(descriptor));
    let directory = env::current_dir().unwrap_or_default();
    let machine = Path::new(managed_settings::DIRECTORY);
    let environment = &environment;
    let found = gather(&Surroundings { account, paths, environment, directory: &directory, machine, now });
    Sources { has_open_key, ..found }
}

/// Adds settings that take precedence over earlier ones of the same place.
fn merge(settings: &mut BTreeMap<Place, Settings>, place: Place, found: Settings) {
    let before = settings.remove(&place).unwrap_or_default();
    settings.insert(place, before.merge(found));
}

/// Collects the credentials and settings. It never fails: what cannot be read is in
/// [`Sources::unknown`].
fn gather(surroundings: &Surroundings<'_>) -> Sources {
    let Surroundings { account, paths, environment, directory: working_directory, now, .. } = surroundings;
    let directory = config_directory(surroundings);
    let files = settings_files(surroundings, &directory);
    let project = Project::read_here(&directory.join("settings.json"));
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut settings = BTreeMap::from([(Place::Environment, Settings::from_variables(variables))]);
    let mut unknown = Vec::new();
    for (place, path) in &files {
        match project::read_settings(path) {
            Ok(None) => (),
            Ok(Some(found)) => merge(&mut settings, *place, found),
            // Described by the state problem.
            Err(why) if *place == Place::OwnState && why != UnreadableSettings::TooLarge => (),
            Err(why) => unknown.push((*place, project::describe(path, why, None))),
        }
    }
    for file in &project.files {
        match &file.settings {
            Ok(found) => merge(&mut settings, file.place, found.clone()),
            Err(why) => unknown.push((file.place, why.clone())),
        }
    }
    let managed = &paths.credentials_file;
    let moved = MovedLogin::find(environment, &files, &account.home, working_directory, managed);
    let login_file = moved.as_ref().map_or(managed, |moved| &moved.file).clone();
    let uid = account.uid.as_raw();
    let ledger = StateDirectory::new(paths.state_directory.clone(), uid).ledger().unwrap_or_default();
    let (profiles, active_profile) = profiles(surroundings);
    let login = CredentialsFile::new(login_file.clone(), uid).read(*now).login.summary();
    let own_state = own_state(surroundings, &directory);
    let state = ClaudeJson::read(&own_state);
    let state_problem = StateFileProblem::from_result(&state, &own_state, &directory);
    let state = state.ok().flatten().unwrap_or_default();
    Sources {
        settings,
        project,
        sign_out: engine::sign_out(&login, &state, &ledger),
        login,
        moved,
        has_open_key: false,
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
fn config_directory(surroundings: &Surroundings<'_>) -> PathBuf {
    let Surroundings { account, environment, directory, .. } = surroundings;
    let moved = environment.get(CONFIG_DIRECTORY).map(|moved| directory.join(moved));
    moved.unwrap_or_else(|| account.home.join(".claude"))
}

/// Returns the client's state file.
fn own_state(surroundings: &Surroundings<'_>, directory: &Path) -> PathBuf {
    let is_moved = surroundings.environment.contains_key(CONFIG_DIRECTORY);
    json_settings::state_file(&surroundings.account.home, is_moved.then_some(directory))
}

/// Returns the files of the client's settings outside of the project, the one that takes precedence
/// last.
fn settings_files(surroundings: &Surroundings<'_>, directory: &Path) -> Vec<(Place, PathBuf)> {
    let user = directory.join("settings.json");
    let own = [(Place::OwnState, own_state(surroundings, directory)), (Place::UserSettings, user)];
    let managed = managed_settings::files(surroundings.machine);
    let managed = managed.into_iter().map(|path| (Place::ManagedSettings, path));
    let served = (Place::Organization, directory.join(managed_settings::REMOTE_SETTINGS_FILE));
    own.into_iter().chain(managed).chain([served]).collect()
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
