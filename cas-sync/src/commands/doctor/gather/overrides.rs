//! What makes Claude Code use another credential or server: by name and place, never by value.

use std::path::Path;

use cas_core::claude_files::json_settings::{ClaudeJson, state_file};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_protocol::setup_token::VARIABLE;

use super::super::facts::{Override, Place};
use super::{InspectEnv, shell_startup, shown};
use crate::precedence::managed_settings;
use crate::precedence::settings::{Settings, Value};

/// All of them.
pub(super) fn of(
    account: &Account,
    paths: &Paths,
    own_state: Option<&ClaudeJson>,
    around: InspectEnv<'_>,
) -> Vec<Override> {
    let folder = paths.credentials_file.parent().unwrap_or(Path::new("/"));
    let env_file = EnvFile::new(paths.env_file.clone(), account.uid.as_raw());
    let own_state_file = state_file(&account.home, None);
    let mut shadows = in_environment(around, env_file.fingerprint());
    shadows.extend(shell_startup::of(&account.home));
    shadows.extend(
        own_state
            .into_iter()
            .flat_map(|state| said_by(state, &own_state_file, |path| Place::OwnState { path })),
    );
    shadows.extend(in_file(&folder.join("settings.json"), |path| Place::Settings { path }));
    for path in managed_settings::files(Path::new(managed_settings::DIRECTORY)) {
        shadows.extend(in_file(&path, |path| Place::Managed { path }));
    }
    shadows.extend(in_file(&folder.join(managed_settings::REMOTE_SETTINGS_FILE), |_| Place::Served));
    shadows
}

/// What cannot be read as settings has no effect either.
fn in_file(path: &Path, place: impl Fn(String) -> Place) -> Vec<Override> {
    ClaudeJson::read(path).ok().flatten().map(|file| said_by(&file, path, place)).unwrap_or_default()
}

fn said_by(file: &ClaudeJson, path: &Path, place: impl Fn(String) -> Place) -> Vec<Override> {
    let shadow = |name: &str| Override { place: place(shown(path)), name: name.to_owned() };
    Settings::of(file).names().into_iter().map(shadow).collect()
}

/// The setup-token that a login has brought along is the person's own.
fn in_environment(around: InspectEnv<'_>, current: Option<Fingerprint>) -> Vec<Override> {
    let found = Settings::of_variables(around.variables.iter().cloned());
    let is_own = |name: &str| {
        let own = current.filter(|_| name == VARIABLE).map(Value::Set);
        own.is_some() && found.variable(name) == own
    };
    let names = found.names().into_iter().filter(|name| !is_own(name));
    let elsewhere =
        around.variables.iter().filter(|(name, value)| name == shell_startup::ELSEWHERE && !value.is_empty());
    let names = names.chain(elsewhere.map(|(name, _)| name.as_str()));
    names.map(|name| Override { place: Place::Environment, name: name.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_a_value_of_its_own_is_a_shadow() {
        let own = Fingerprint::from_bytes("sk-ant-oat01-own");
        for (name, value, expected) in [
            ("ANTHROPIC_API_KEY", "sk", true),
            ("ANTHROPIC_API_KEY", " ", false),
            ("ANTHROPIC_MODEL", "opus", false),
            ("CLAUDE_CODE_USE_BEDROCK", "1", true),
            ("CLAUDE_CODE_USE_BEDROCK", "0", false),
            ("CLAUDE_CONFIG_DIR", "/x", true),
            (VARIABLE, "sk-ant-oat01-own", false),
            (VARIABLE, "sk-ant-oat01-other", true),
        ] {
            let variables = [(name.to_owned(), value.to_owned())];
            let around = InspectEnv {
                variables: &variables,
                search_path: None,
                is_roots: false,
                systemd_answers: true,
            };
            assert_eq!(!in_environment(around, Some(own)).is_empty(), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_file_of_settings_is_read_for_names_alone() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("settings.json");
        let names = || -> Vec<String> {
            in_file(&path, |path| Place::Settings { path }).into_iter().map(|shadow| shadow.name).collect()
        };
        assert!(names().is_empty());
        for (text, expected) in [
            (
                r#"{"env":{"ANTHROPIC_API_KEY":"x","FOO":"y"},"apiKeyHelper":"z"}"#,
                vec!["ANTHROPIC_API_KEY", "apiKeyHelper"],
            ),
            (r#"{"env":{"_ANTHROPIC_API_KEY":"x"},"_apiKeyHelper":"z"}"#, vec![]),
            ("{", vec![]),
        ] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(names(), expected, "{text}");
        }
    }
}
