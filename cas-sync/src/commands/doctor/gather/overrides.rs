//! Settings that make Claude Code use another credential or server: names and places, never values.

use std::path::Path;

use cas_core::claude_files::json_settings::{ClaudeJson, state_file};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_protocol::setup_token::VARIABLE;

use super::super::facts::{Override, OverridePlace};
use super::{InspectEnv, path_text};
use crate::precedence::settings::{Settings, Value};
use crate::precedence::{managed_settings, moved_login, shell_startup};

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
    overrides.extend(
        claude_json
            .into_iter()
            .flat_map(|state| in_json(state, &claude_json_path, |path| OverridePlace::ClaudeJson { path })),
    );
    overrides.extend(in_file(&claude_dir.join("settings.json"), |path| OverridePlace::Settings { path }));
    for path in managed_settings::files(Path::new(managed_settings::DIRECTORY)) {
        overrides.extend(in_file(&path, |path| OverridePlace::Managed { path }));
    }
    overrides
        .extend(in_file(&claude_dir.join(managed_settings::REMOTE_SETTINGS_FILE), |_| OverridePlace::Remote));
    overrides
}

/// Returns nothing for an invalid file, because Claude Code ignores it too.
fn in_file(path: &Path, place: impl Fn(String) -> OverridePlace) -> Vec<Override> {
    ClaudeJson::read(path).ok().flatten().map(|file| in_json(&file, path, place)).unwrap_or_default()
}

fn in_json(file: &ClaudeJson, path: &Path, place: impl Fn(String) -> OverridePlace) -> Vec<Override> {
    let setting = |name: &str| Override { place: place(path_text(path)), name: name.to_owned() };
    let moved = moved_login::variables(file);
    let moved = moved.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| *name);
    Settings::from_file(file).names().into_iter().chain(moved).map(setting).collect()
}

/// Returns the overrides of the environment, without the user's own setup token.
fn in_environment(env: InspectEnv<'_>, current: Option<Fingerprint>) -> Vec<Override> {
    let found = Settings::from_variables(env.variables.iter().cloned());
    let is_own = |name: &str| {
        let own = current.filter(|_| name == VARIABLE).map(Value::Set);
        own.is_some() && found.variable(name) == own
    };
    let names = found.names().into_iter().filter(|name| !is_own(name));
    let config_dir = env
        .variables
        .iter()
        .filter(|(name, value)| moved_login::VARIABLES.contains(&name.as_str()) && !value.is_empty());
    let names = names.chain(config_dir.map(|(name, _)| name.as_str()));
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
    fn settings_file_is_read_for_names_only() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("settings.json");
        let names = || -> Vec<String> {
            in_file(&path, |path| OverridePlace::Settings { path })
                .into_iter()
                .map(|setting| setting.name)
                .collect()
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
