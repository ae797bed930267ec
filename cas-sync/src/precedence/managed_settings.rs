//! Finds settings that select the credential or the server: those of the machine, of the
//! organization, and in the user's `.claude.json`. With them, an answer of the client says nothing
//! about the credential under test, and the client does not always report that.

use std::fs;
use std::path::{Path, PathBuf};

use cas_core::claude_files::json_settings::{ClaudeJson, ReadJsonError};
use cas_core::fs::regular_file::OpenError;

use crate::precedence::settings::Settings;

/// The directory of the machine's settings, which no setting changes.
pub(crate) const DIRECTORY: &str = "/etc/claude-code";

/// The settings of an organization, as the client stores them in its config directory.
pub(crate) const REMOTE_SETTINGS_FILE: &str = "remote-settings.json";

/// The reason if another credential is used.
pub(crate) const OVERRIDE_VAR: &str = "settings of this machine or organization give Claude Code another credential or server than the login; remove them from its managed settings, or set verify = false";

const MALFORMED: &str =
    "the managed settings of Claude Code in /etc/claude-code are not valid JSON; correct them";

/// Checks that the settings of this machine do not override the login.
///
/// # Errors
/// The reason and the remedy.
pub(crate) fn machine_files() -> Result<(), &'static str> {
    check_machine_dir(Path::new(DIRECTORY))
}

fn check_machine_dir(directory: &Path) -> Result<(), &'static str> {
    files(directory).iter().try_for_each(|path| match ClaudeJson::read(path) {
        Ok(Some(file)) if overrides_login(&file) => Err(OVERRIDE_VAR),
        Ok(_) => Ok(()),
        Err(_) => Err(MALFORMED),
    })
}

/// Returns true if this file of the user can override the login. The client repairs an unreadable
/// file by itself, so that such a file does not count; one that is too large may contain any
/// setting.
pub(crate) fn user_files(file: &Path) -> bool {
    match ClaudeJson::read(file) {
        Ok(found) => found.is_some_and(|file| overrides_login(&file)),
        Err(ReadJsonError::File(OpenError::TooLarge)) => true,
        Err(_) => false,
    }
}

/// The effect of an organization's settings on the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteSettings {
    /// The client uses the login.
    KeepLogin,
    /// The client uses another credential or server.
    Override,
}

/// Returns the effect of the organization's settings in this config directory: after a run, those
/// that were received in it. Returns `None` without such settings: the client could not fetch them,
/// or (in some release after 2.1.197) the user must accept them at a terminal first.
pub(crate) fn remote_settings(config_directory: &Path) -> Option<RemoteSettings> {
    match ClaudeJson::read(&config_directory.join(REMOTE_SETTINGS_FILE)) {
        Ok(Some(file)) if overrides_login(&file) => Some(RemoteSettings::Override),
        Ok(found) => found.map(|_| RemoteSettings::KeepLogin),
        Err(ReadJsonError::File(OpenError::TooLarge)) => Some(RemoteSettings::Override),
        // The client also ignores an incomplete file, or one that it did not write.
        Err(_) => None,
    }
}

/// Returns the files of the machine's settings; later ones win.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let snippets = fs::read_dir(directory.join("managed-settings.d"));
    let snippets = snippets.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        snippets.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files.insert(0, directory.join("managed-settings.json"));
    files
}

fn overrides_login(file: &ClaudeJson) -> bool {
    Settings::from_file(file).overrides_login()
}

#[cfg(test)]
mod tests {
    use cas_core::claude_files::json_settings::LIMIT;

    use super::*;

    #[test]
    fn machine_settings_that_override_login_are_found() {
        let rows = [
            ("{}", Ok(())),
            (r#"{"env":{"HTTPS_PROXY":"http://p","ANTHROPIC_MODEL":"x"},"permissions":{}}"#, Ok(())),
            (r#"{"env":{"ANTHROPIC_API_KEY":"","CLAUDE_CODE_USE_BEDROCK":"0"},"apiKeyHelper":null}"#, Ok(())),
            (r#"{"forceLoginOrgUUID":"x"}"#, Ok(())),
            (r#"{"env":{"ANTHROPIC_API_KEY":"sk"}}"#, Err(OVERRIDE_VAR)),
            (r#"{"env":{"ANTHROPIC_AUTH_TOKEN":"sk"}}"#, Err(OVERRIDE_VAR)),
            (r#"{"env":{"CLAUDE_CODE_OAUTH_TOKEN":"sk"}}"#, Err(OVERRIDE_VAR)),
            (r#"{"env":{"ANTHROPIC_BASE_URL":"https://gateway"}}"#, Err(OVERRIDE_VAR)),
            (r#"{"env":{"ANTHROPIC_CUSTOM_HEADERS":"Authorization: x"}}"#, Err(OVERRIDE_VAR)),
            (r#"{"env":{"CLAUDE_CODE_USE_VERTEX":1}}"#, Err(OVERRIDE_VAR)),
            ("\u{feff}{\"apiKeyHelper\":\"/bin/key\"}", Err(OVERRIDE_VAR)),
            ("{", Err(MALFORMED)),
        ];
        let scratch = tempfile::tempdir().expect("a scratch directory");
        for (text, expected) in rows {
            fs::write(scratch.path().join("managed-settings.json"), text).expect("a file");
            assert_eq!(check_machine_dir(scratch.path()), expected, "{text}");
        }
    }

    #[test]
    fn organization_settings_are_read_from_client_file() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        assert_eq!(remote_settings(scratch.path()), None);
        for (text, expected) in [
            ("{}", Some(RemoteSettings::KeepLogin)),
            (r#"{"env":{"ANTHROPIC_AUTH_TOKEN":"sk"}}"#, Some(RemoteSettings::Override)),
            ("", None),
        ] {
            fs::write(scratch.path().join("remote-settings.json"), text).expect("a file");
            assert_eq!(remote_settings(scratch.path()), expected, "{text}");
        }
    }

    #[test]
    fn fifo_or_oversized_file_is_rejected_at_once() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let names = ["managed-settings.json", ".claude.json", REMOTE_SETTINGS_FILE];
        let found = || {
            let [machine, user, organization] = [(); 3].map(|()| scratch.path());
            (check_machine_dir(machine), user_files(&user.join(names[1])), remote_settings(organization))
        };
        assert_eq!(found(), (Ok(()), false, None));
        for name in names {
            nix::unistd::mkfifo(&path(name), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        }
        assert_eq!(found(), (Err(MALFORMED), false, None));
        for name in names {
            fs::remove_file(path(name)).expect("removed");
            fs::write(path(name), format!("{{}}{}", " ".repeat(LIMIT - 2))).expect("a file");
        }
        assert_eq!(found(), (Ok(()), false, Some(RemoteSettings::KeepLogin)));
        for name in names {
            fs::write(path(name), format!("{{}}{}", " ".repeat(LIMIT - 1))).expect("a file");
        }
        assert_eq!(found(), (Err(MALFORMED), true, Some(RemoteSettings::Override)));
    }

    #[test]
    fn machine_files_include_snippets() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let snippets = scratch.path().join("managed-settings.d");
        fs::create_dir(&snippets).expect("a directory");
        fs::write(snippets.join("10-key.json"), "{}").expect("a file");
        fs::write(snippets.join("10-key.json.bak"), "{").expect("a file");
        fs::write(snippets.join("05-first.json"), "{}").expect("a file");
        let snippets = ["05-first.json", "10-key.json"].map(|name| snippets.join(name));
        let expected = [&[scratch.path().join("managed-settings.json")], &snippets[..]].concat();
        assert_eq!(files(scratch.path()), expected);
    }
}
