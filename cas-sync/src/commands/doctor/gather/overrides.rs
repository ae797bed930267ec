//! Settings that make Claude Code use another credential or server: names and places, never values.

use std::path::Path;

use cas_core::claude_files::json_settings::{ClaudeJson, state_file};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_protocol::setup_token::VARIABLE;

use super::super::facts::{Override, OverridePlace};
use super::{InspectEnv, path_text};
use crate::precedence::project::{Controller, Project, ProjectFile};
use crate::precedence::settings::{Settings, Value};
use crate::precedence::{Place, managed_settings, moved_login, shell_startup};

/// Returns all overrides.
pub(super) fn find(
    account: &Account,
    paths: &Paths,
    claude_json: Option<&ClaudeJson>,
    env: InspectEnv<'_>,
) -> Vec<Override> {
    let claude_dir = paths.credentials_file.parent().unwrap_or(Path::new("/"));
    let env_file = EnvFile::new(paths.env_file.clone(), account.uid.as_raw());
    let claude_json_path = state_file(&account.home, None);
    let mut overrides = in_environment(env, env_file.fingerprint());
    overrides.extend(shell_startup::find(&account.home).into_iter().map(|found| Override {
        place: OverridePlace::StartupFile { path: path_text(&found.path), line: found.line },
        name: found.name,
    }));
    let state = claude_json.map(|state| (Place::OwnState, state.clone(), claude_json_path));
    let user = claude_dir.join("settings.json");
    let project = if env.is_run_by_root { Project::default() } else { Project::read_here(&user) };
    let machine = managed_settings::files(Path::new(managed_settings::DIRECTORY));
    let machine = machine.into_iter().map(|path| (Place::ManagedSettings, path));
    let served = (Place::Organization, claude_dir.join(managed_settings::REMOTE_SETTINGS_FILE));
    let files = [(Place::UserSettings, user)].into_iter().chain(machine).chain([served]);
    // The client ignores an invalid file too.
    let files = files.filter_map(|(place, path)| Some((place, ClaudeJson::read(&path).ok()??, path)));
    overrides
        .extend(state.into_iter().chain(files).flat_map(|(place, file, path)| in_json(place, &file, &path)));
    overrides.extend(project.files.iter().flat_map(in_project));
    overrides.extend(
        project.unread_text().map(|why| Override { place: OverridePlace::Unread(why), name: String::new() }),
    );
    overrides
}

fn in_project(file: &ProjectFile) -> Vec<Override> {
    let found = file.settings.as_ref().map(Settings::names).unwrap_or_default();
    let controller = file.controller.as_ref().map(Controller::text);
    let place = OverridePlace::Settings { path: file.path.clone(), controller };
    let names = found.into_iter().filter(|name| file.place.counts_for(name));
    names.map(|name| Override { place: place.clone(), name: name.to_owned() }).collect()
}

fn in_json(place: Place, file: &ClaudeJson, path: &Path) -> Vec<Override> {
    let override_place = || match place {
        Place::OwnState => OverridePlace::ClaudeJson { path: path_text(path) },
        Place::ManagedSettings => OverridePlace::Managed { path: path_text(path) },
        Place::Organization => OverridePlace::Remote,
        _ => OverridePlace::Settings { path: path_text(path), controller: None },
    };
    let moved = moved_login::variables(file);
    let moved =
        moved.iter().filter(|(name, value)| moved_login::is_effective(name, value)).map(|(name, _)| *name);
    let found = Settings::from_file(file);
    let names = found.names().into_iter().chain(moved).filter(|name| place.counts_for(name));
    names.map(|name| Override { place: override_place(), name: name.to_owned() }).collect()
}

/// Returns the overrides of the environment, without the user's own setup token.
fn in_environment(env: InspectEnv<'_>, current: Option<Fingerprint>) -> Vec<Override> {
    let found = Settings::from_variables(env.variables.iter().cloned());
    let is_own = |name: &str| {
        let own = current.filter(|_| name == VARIABLE).map(Value::Set);
        own.is_some() && found.variable(name) == own
    };
    let names = found.names().into_iter().filter(|name| !is_own(name));
    let moved = env.variables.iter().filter(|(name, value)| moved_login::is_effective(name, value));
    let names = names.chain(moved.map(|(name, _)| name.as_str()));
    names.map(|name| Override { place: OverridePlace::Environment, name: name.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_with_a_value_is_an_override() {
        let own = Fingerprint::from_bytes("sk-ant-oat01-own");
        for (name, value, expected) in [
            ("ANTHROPIC_API_KEY", "sk", true),
            ("ANTHROPIC_API_KEY", " ", false),
            ("ANTHROPIC_MODEL", "opus", false),
            ("CLAUDE_CODE_USE_BEDROCK", "1", true),
            ("CLAUDE_CODE_USE_BEDROCK", "0", false),
            ("CLAUDE_CONFIG_DIR", "/x", true),
            ("CLAUDE_SECURESTORAGE_CONFIG_DIR", "/x", true),
            (VARIABLE, "sk-ant-oat01-own", false),
            (VARIABLE, "sk-ant-oat01-other", true),
        ] {
            let variables = [(name.to_owned(), value.to_owned())];
            let env = InspectEnv {
                variables: &variables,
                search_path: None,
                is_run_by_root: false,
                systemd_answers: true,
            };
            assert_eq!(!in_environment(env, Some(own)).is_empty(), expected, "{name}={value}");
        }
    }

    #[test]
    fn settings_are_read_for_names_only() {
        for (place, text, expected) in [
            (
                Place::UserSettings,
                r#"{"env":{"ANTHROPIC_API_KEY":"x","FOO":"y"},"apiKeyHelper":"z"}"#,
                vec!["ANTHROPIC_API_KEY", "apiKeyHelper"],
            ),
            (Place::UserSettings, r#"{"env":{"_ANTHROPIC_API_KEY":"x"},"_apiKeyHelper":"z"}"#, vec![]),
            (
                Place::LocalSettings,
                r#"{"env":{"CLAUDE_CONFIG_DIR":"/x","CLAUDE_CODE_OAUTH_TOKEN":"t","ANTHROPIC_API_KEY":"x"}}"#,
                vec!["ANTHROPIC_API_KEY"],
            ),
        ] {
            let file = ClaudeJson::parse(text.as_bytes()).expect("an object");
            let found = in_json(place, &file, Path::new("/home/ada/settings.json"));
            let names: Vec<_> = found.into_iter().map(|setting| setting.name).collect();
            assert_eq!(names, expected, "{text}");
        }
    }
}
