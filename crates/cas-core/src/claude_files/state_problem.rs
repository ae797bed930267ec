//! A `~/.claude.json` that Claude Code cannot use, and the remedy. What each client does with such
//! a file was measured (`docs/design/claude-code.md`).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::claude_files::json_settings::{ClaudeJson, ReadJsonError};
use crate::fs::regular_file::OpenError;

/// Claude Code keeps copies of the file here, below its configuration directory.
const BACKUPS: &str = "backups";

/// The prefix of their names, before a time in milliseconds.
const BACKUP_PREFIX: &str = ".claude.json.backup.";

/// What is wrong with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFileState {
    /// Not JSON: the client does not start. 2.1.197 also replaces it by a new file.
    NotJson,
    /// JSON, and not an object: the client replaces it by a new file.
    NotAnObject,
    /// Not a regular file: the client starts anew each time.
    NotRegular,
    /// It cannot be read: the client starts anew.
    Unreadable,
}

/// A state file that Claude Code cannot use. Its `Display` ends in the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFileProblem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub state: StateFileState,
    /// The newest copy of Claude Code that can be used.
    pub backup: Option<PathBuf>,
}

impl StateFileProblem {
    /// Reads the state file of the client with this configuration directory. Returns `None` if the
    /// client can use it, or if it does not exist.
    pub fn find(state_file: &Path, config_directory: &Path) -> Option<Self> {
        Self::from_result(&ClaudeJson::read(state_file), state_file, config_directory)
    }

    /// Returns the problem of a file that was read already.
    pub fn from_result(
        read: &Result<Option<ClaudeJson>, ReadJsonError>,
        state_file: &Path,
        config_directory: &Path,
    ) -> Option<Self> {
        let state = match read {
            Ok(_) | Err(ReadJsonError::File(OpenError::TooLarge)) => return None,
            Err(ReadJsonError::NotJson) => StateFileState::NotJson,
            Err(ReadJsonError::NotAnObject) => StateFileState::NotAnObject,
            Err(ReadJsonError::File(OpenError::NotRegular | OpenError::Link)) => StateFileState::NotRegular,
            Err(ReadJsonError::File(OpenError::Failed(_))) => StateFileState::Unreadable,
        };
        let backup = newest_backup(&config_directory.join(BACKUPS));
        Some(Self { path: state_file.to_owned(), state, backup })
    }

    /// Returns true if the client does not start.
    pub fn prevents_start(&self) -> bool {
        self.state == StateFileState::NotJson
    }

    /// Returns what is wrong, without the remedy.
    pub fn cause(&self) -> String {
        let path = self.path.display();
        match self.state {
            StateFileState::NotJson => format!("Claude Code does not start, because {path} is not JSON"),
            StateFileState::NotAnObject => {
                format!("Claude Code ignores {path} and replaces it, because it is not a JSON object")
            }
            StateFileState::NotRegular => {
                format!("Claude Code ignores {path}, because it is not a regular file")
            }
            StateFileState::Unreadable => format!("Claude Code ignores {path}, because it cannot be read"),
        }
    }

    /// Returns the words of the command that corrects it. Claude Code creates a file that was moved
    /// away anew, and asks the questions of its first start again.
    pub fn remedy(&self) -> Vec<String> {
        let path = self.path.display().to_string();
        match (self.state, &self.backup) {
            (StateFileState::Unreadable, _) => vec!["chmod".into(), "600".into(), path],
            (StateFileState::NotRegular, _) | (_, None) => {
                ["mv", "--backup=numbered", "-T", &path, &format!("{path}.aside")].map(str::to_owned).into()
            }
            (_, Some(backup)) => vec!["cp".into(), "-f".into(), backup.display().to_string(), path],
        }
    }
}

impl fmt::Display for StateFileProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |word: &String| {
            word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@=".contains(&byte))
        };
        let words = self.remedy();
        match words.iter().all(is_plain) {
            true => write!(formatter, "{}; run `{}`", self.cause(), words.join(" ")),
            false => {
                write!(formatter, "{}; `cas-sync doctor` prints the command that corrects it", self.cause())
            }
        }
    }
}

/// Returns the newest copy that is a JSON object.
fn newest_backup(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let mut backups: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let time = name.to_str()?.strip_prefix(BACKUP_PREFIX)?.parse().ok()?;
            Some((time, entry.path()))
        })
        .collect();
    backups.sort();
    let is_usable = |path: &PathBuf| matches!(ClaudeJson::read(path), Ok(Some(_)));
    backups.into_iter().rev().map(|(_, path)| path).find(is_usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_state_file_is_named_with_its_remedy() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, directory) = (home.path().join(".claude.json"), home.path().join(".claude"));
        let find = || StateFileProblem::find(&path, &directory);
        assert_eq!(find(), None);
        for (content, state) in [
            (&b"{}"[..], None),
            (b"\xef\xbb\xbf{}", None),
            (b"{\"a\":\"\xff\"}", None),
            (b"", Some(StateFileState::NotJson)),
            (b"{", Some(StateFileState::NotJson)),
            (b"{}}", Some(StateFileState::NotJson)),
            (b"\0\xff", Some(StateFileState::NotJson)),
            (b"[]", Some(StateFileState::NotAnObject)),
            (b"null", Some(StateFileState::NotAnObject)),
        ] {
            fs::write(&path, content).expect("written");
            assert_eq!(find().map(|problem| problem.state), state, "{}", String::from_utf8_lossy(content));
        }
        fs::write(&path, "{torn").expect("written");
        let text = find().expect("a problem").to_string();
        assert!(text.contains("does not start") && text.contains("mv --backup=numbered -T"), "{text}");
        fs::create_dir_all(directory.join("backups")).expect("a directory");
        for (name, content) in [
            (".claude.json.backup.9", "{}"),
            (".claude.json.backup.10", "{\"a\":1}"),
            (".claude.json.backup.11", "{torn"),
            (".claude.json.corrupted.12", "{}"),
        ] {
            fs::write(directory.join("backups").join(name), content).expect("written");
        }
        let text = find().expect("a problem").to_string();
        assert!(text.contains("cp -f") && text.contains(".claude.json.backup.10"), "{text}");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a directory");
        assert_eq!(find().map(|problem| problem.state), Some(StateFileState::NotRegular));
    }
}
