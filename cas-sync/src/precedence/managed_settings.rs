//! Settings that choose the credential or the server: those that an admin forces on every `claude` of a machine, those that
//! an organisation serves to every client of its members, and those in a person's own `.claude.json`. Where they do, an
//! answer says nothing about the credential in question, and the client does not always tell.

use std::fs;
use std::path::{Path, PathBuf};

use cas_core::claude_files::json_settings::{ClaudeJson, ReadJsonError};
use cas_core::fs::regular_file::OpenError;

use crate::precedence::settings::Settings;

/// Where they lie; the client takes the place from no setting.
pub(crate) const DIRECTORY: &str = "/etc/claude-code";

/// What an organisation serves, as the client keeps it in its config directory from one start to the next.
pub(crate) const REMOTE_SETTINGS_FILE: &str = "remote-settings.json";

/// What is said when another credential is used.
pub(crate) const OVERRIDE_VAR: &str = "settings of this machine or organisation give Claude Code another credential or server than the login; take them out of its managed settings, or set verify = false";

const MALFORMED: &str =
    "the managed settings of Claude Code in /etc/claude-code cannot be read as JSON; mend them";

/// Whether this machine's settings leave the credential alone.
///
/// # Errors
/// What to do, if they do not.
pub(crate) fn machine_files() -> Result<(), &'static str> {
    of_a_machine(Path::new(DIRECTORY))
}

fn of_a_machine(directory: &Path) -> Result<(), &'static str> {
    files(directory).iter().try_for_each(|path| match ClaudeJson::read(path) {
        Ok(Some(file)) if overrides_a_login(&file) => Err(OVERRIDE_VAR),
        Ok(_) => Ok(()),
        Err(_) => Err(MALFORMED),
    })
}

/// Whether a person's own settings may choose another credential. Their client tidies up such a file by itself, so one that
/// cannot be read counts as one that does not; what is too large to be looked at may hold anything.
pub(crate) fn user_files(file: &Path) -> bool {
    match ClaudeJson::read(file) {
        Ok(found) => found.is_some_and(|file| overrides_a_login(&file)),
        Err(ReadJsonError::File(OpenError::TooLarge)) => true,
        Err(_) => false,
    }
}

/// What the settings of an organisation do to the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteSettings {
    /// The client uses the login.
    LeaveTheLogin,
    /// The client uses another credential or server.
    Override,
}

/// The settings of the organisation as a client has left them in this config directory: at the end of a run, those that were
/// served in it. Nothing where there are none: they could not be fetched, or (from some release after 2.1.197 on) have to be
/// agreed to first, at a terminal.
pub(crate) fn remote_settings(config_directory: &Path) -> Option<RemoteSettings> {
    match ClaudeJson::read(&config_directory.join(REMOTE_SETTINGS_FILE)) {
        Ok(Some(file)) if overrides_a_login(&file) => Some(RemoteSettings::Override),
        Ok(found) => found.map(|_| RemoteSettings::LeaveTheLogin),
        Err(ReadJsonError::File(OpenError::TooLarge)) => Some(RemoteSettings::Override),
        // Half of a file, or none of the client's: to it, too, this is as good as nothing.
        Err(_) => None,
    }
}

/// The files of a machine's settings, those that have the last word last.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let snippets = fs::read_dir(directory.join("managed-settings.d"));
    let snippets = snippets.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        snippets.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files.insert(0, directory.join("managed-settings.json"));
    files
}

fn overrides_a_login(file: &ClaudeJson) -> bool {
    Settings::of(file).overrides_a_login()
}

#[cfg(test)]
mod tests {
    use cas_core::claude_files::json_settings::LIMIT;

    use super::*;

    #[test]
    fn what_chooses_the_credential_is_found_and_everything_else_is_the_admins_business() {
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
            assert_eq!(of_a_machine(scratch.path()), expected, "{text}");
        }
    }

    #[test]
    fn what_an_organisation_serves_is_known_where_a_client_has_left_it_whole() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        assert_eq!(remote_settings(scratch.path()), None);
        for (text, expected) in [
            ("{}", Some(RemoteSettings::LeaveTheLogin)),
            (r#"{"env":{"ANTHROPIC_AUTH_TOKEN":"sk"}}"#, Some(RemoteSettings::Override)),
            ("", None),
        ] {
            fs::write(scratch.path().join("remote-settings.json"), text).expect("a file");
            assert_eq!(remote_settings(scratch.path()), expected, "{text}");
        }
    }

    #[test]
    fn no_file_is_waited_for_and_none_is_read_beyond_the_largest() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let names = ["managed-settings.json", ".claude.json", REMOTE_SETTINGS_FILE];
        let found = || {
            let [machine, person, organization] = [(); 3].map(|()| scratch.path());
            (of_a_machine(machine), user_files(&person.join(names[1])), remote_settings(organization))
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
        assert_eq!(found(), (Ok(()), false, Some(RemoteSettings::LeaveTheLogin)));
        for name in names {
            fs::write(path(name), format!("{{}}{}", " ".repeat(LIMIT - 1))).expect("a file");
        }
        assert_eq!(found(), (Err(MALFORMED), true, Some(RemoteSettings::Override)));
    }

    #[test]
    fn snippets_count_too() {
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
