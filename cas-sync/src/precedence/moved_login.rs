//! Finds a variable with which Claude Code reads a credential file that is not managed. The files
//! that the clients read were measured (`docs/design/claude-code.md`).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use cas_core::claude_files::json_settings::ClaudeJson;
use serde_json::{Map, Value};

use super::Place;

/// Selects another directory for all files of Claude Code.
pub(crate) const CONFIG_DIRECTORY: &str = "CLAUDE_CONFIG_DIR";

/// Selects another directory for the credential file only. It takes precedence.
pub(crate) const CREDENTIALS_DIRECTORY: &str = "CLAUDE_SECURESTORAGE_CONFIG_DIR";

/// Both variables, the one that takes precedence first.
pub(crate) const VARIABLES: [&str; 2] = [CREDENTIALS_DIRECTORY, CONFIG_DIRECTORY];

/// A login in another directory, which Claude Code uses and which is not managed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MovedLogin {
    /// The variable.
    variable: &'static str,
    /// The settings file that sets it; `None` for the environment.
    set_in: Option<PathBuf>,
    /// The credential file.
    pub(crate) file: PathBuf,
}

/// The value of a variable, and the settings file that sets it.
type Setting = (String, Option<PathBuf>);

impl MovedLogin {
    /// Returns the login that the client uses with this environment and these settings files, the
    /// last of which takes precedence, unless that is `managed`. A relative path starts in
    /// `directory`.
    pub(crate) fn find(
        environment: &BTreeMap<String, String>,
        files: &[(Place, PathBuf)],
        home: &Path,
        directory: &Path,
        managed: &Path,
    ) -> Option<Self> {
        let mut settings: BTreeMap<&'static str, Setting> = BTreeMap::new();
        for name in VARIABLES {
            settings.extend(environment.get(name).map(|value| (name, (value.clone(), None))));
        }
        for (place, path) in files {
            let found = ClaudeJson::read(path).ok().flatten().unwrap_or_default();
            for (name, value) in variables(&found).into_iter().filter(|(name, _)| place.counts_for(name)) {
                settings.insert(name, (value, Some(path.clone())));
            }
        }
        let (variable, file) = credential_file(&settings, home)?;
        let file = directory.join(file);
        let is_same = |file: &Path| {
            fs::canonicalize(file)
                .is_ok_and(|file| fs::canonicalize(managed).is_ok_and(|other| other == file))
        };
        let set_in = settings.remove(variable).and_then(|(_, set_in)| set_in);
        (file != managed && !is_same(&file)).then_some(Self { variable, set_in, file })
    }
}

impl fmt::Display for MovedLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, set_in, file } = self;
        let file = file.display();
        match set_in {
            None => write!(
                formatter,
                "{variable} is set, so Claude Code uses the login in {file} here, which is not managed; run `unset {variable}` to use the managed one"
            ),
            Some(path) => write!(
                formatter,
                "{variable} is set in {}, so Claude Code uses the login in {file}, which is not managed; `cas-sync doctor` prints the command that removes the setting",
                path.display()
            ),
        }
    }
}

/// Returns the variables that a settings file sets to text.
pub(crate) fn variables(file: &ClaudeJson) -> Vec<(&'static str, String)> {
    let env: Map<String, Value> =
        file.member("env").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let value = |name: &'static str| Some((name, env.get(name)?.as_str()?.to_owned()));
    VARIABLES.into_iter().filter_map(value).collect()
}

/// Returns true if this value of a variable can select another credential file.
pub(crate) fn is_effective(name: &str, value: &str) -> bool {
    name == CONFIG_DIRECTORY || (name == CREDENTIALS_DIRECTORY && !value.is_empty())
}

/// Returns the credential file that these variables select, and the variable.
fn credential_file(
    settings: &BTreeMap<&'static str, Setting>,
    home: &Path,
) -> Option<(&'static str, PathBuf)> {
    const NAME: &str = ".credentials.json";
    let value = |name| settings.get(name).map(|(value, _)| value);
    match (value(CREDENTIALS_DIRECTORY), value(CONFIG_DIRECTORY)) {
        (Some(moved), _) if moved.is_empty() => {
            Some((CREDENTIALS_DIRECTORY, home.join(".claude").join(NAME)))
        }
        (Some(moved), _) => Some((CREDENTIALS_DIRECTORY, Path::new(moved).join(NAME))),
        (None, Some(moved)) => Some((CONFIG_DIRECTORY, Path::new(moved).join(NAME))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_moved_by_either_variable_to_another_directory() {
        let scratch = tempfile::tempdir().expect("a scratch home");
        let home = scratch.path();
        let managed = home.join(".claude/.credentials.json");
        let usual = home.join(".claude/").display().to_string();
        let files = [(Place::OwnState, ".claude.json"), (Place::UserSettings, ".claude/settings.json")]
            .map(|(place, name)| (place, home.join(name)));
        let find = |variables: &[(&str, &str)]| {
            let environment =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            MovedLogin::find(&environment, &files, home, Path::new("/project"), &managed)
        };
        for (variables, expected) in [
            (&[][..], None),
            (&[(CONFIG_DIRECTORY, "/srv/a")], Some("/srv/a/.credentials.json")),
            (&[(CONFIG_DIRECTORY, usual.as_str())], None),
            (&[(CONFIG_DIRECTORY, "")], Some("/project/.credentials.json")),
            (&[(CONFIG_DIRECTORY, "~/a")], Some("/project/~/a/.credentials.json")),
            (&[(CREDENTIALS_DIRECTORY, "/srv/a")], Some("/srv/a/.credentials.json")),
            (
                &[(CREDENTIALS_DIRECTORY, "/srv/a"), (CONFIG_DIRECTORY, "/srv/b")],
                Some("/srv/a/.credentials.json"),
            ),
            (&[(CREDENTIALS_DIRECTORY, ""), (CONFIG_DIRECTORY, "/srv/b")], None),
            (&[("CLAUDE_CODE_TMPDIR", "/srv/a")], None),
        ] {
            let found = find(variables);
            let file = found.as_ref().map(|found| found.file.as_path());
            assert_eq!(file, expected.map(Path::new), "{variables:?}");
            assert!(found.is_none_or(|found| found.to_string().contains("run `unset CLAUDE_")));
        }
        fs::write(home.join(".claude.json"), r#"{"env":{"CLAUDE_CONFIG_DIR":"/srv/own"}}"#).expect("written");
        let found = find(&[]).expect("moved").to_string();
        assert!(
            found.contains(".claude.json, so") && found.contains("/srv/own/.credentials.json"),
            "{found}"
        );
        fs::create_dir(home.join(".claude")).expect("a directory");
        fs::write(home.join(".claude/settings.json"), r#"{"env":{"CLAUDE_CONFIG_DIR":""}}"#)
            .expect("written");
        // An empty value is the working directory, also in a file.
        let file = find(&[]).map(|found| found.file);
        assert_eq!(file.as_deref(), Some(Path::new("/project/.credentials.json")));
    }
}
