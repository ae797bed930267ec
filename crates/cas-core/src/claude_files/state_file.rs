//! Claude Code's `~/.claude.json`. Two members matter to a login: the signed-in account, and
//! whether the client has completed its first-start dialog.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::claude_files::json_settings::{ACCOUNT, ClaudeJson, LIMIT, ONBOARDING};
use crate::claude_files::locks::{FileLock, LockError};
use crate::credential::json_edit;
use crate::credential::login::Owner;
use crate::fs::atomic_file;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// How often a write is repeated because another process wrote the file without the lock.
const MAX_ATTEMPTS: usize = 4;

/// The state file of one user.
#[derive(Clone, Debug)]
pub struct ClaudeStateFile {
    path: PathBuf,
    owner: u32,
}

impl ClaudeStateFile {
    /// Creates the adapter of the file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the owner of the login, as far as the file names it. Older clients write it nowhere
    /// else.
    pub fn owner(&self) -> Owner {
        self.read().and_then(|state| state.signed_in_account()).unwrap_or_default().owner
    }

    /// Returns the JSON text of the member that names the signed-in account.
    pub fn account(&self) -> Option<String> {
        self.read()?.account().map(str::to_owned)
    }

    fn read(&self) -> Option<ClaudeJson> {
        let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::Owner).ok()??;
        ClaudeJson::parse(&found.content).ok()
    }

    /// Sets that member to `account` (JSON text) and keeps every other byte. Claude Code's lock is
    /// held for a check and a rename.
    ///
    /// # Errors
    /// [`UpdateStateError`]; the file is then unchanged.
    pub fn set_account(
        &self,
        account: &str,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), UpdateStateError> {
        self.update(deadline, now, |content| Some(json_edit::set_member(content, ACCOUNT, account)))
    }

    /// Removes that member and keeps every other byte, as a logout does. A missing file is not
    /// created.
    ///
    /// # Errors
    /// As [`ClaudeStateFile::set_account`].
    pub fn remove_account(&self, deadline: &Deadline, now: Timestamp) -> Result<(), UpdateStateError> {
        self.update(deadline, now, |content| {
            // The lock of the writers is held. A file of a killed write names the account too.
            atomic_file::remove_temp_files(&self.path, Duration::ZERO);
            let has_account = ClaudeJson::parse(content).is_ok_and(|state| state.member(ACCOUNT).is_some());
            has_account.then(|| json_edit::without_member(&String::from_utf8_lossy(content), ACCOUNT))
        })
    }

    /// Returns an error if the file exists and cannot be changed.
    ///
    /// # Errors
    /// [`UpdateStateError`]
    pub fn check(&self) -> Result<(), UpdateStateError> {
        let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::Owner);
        match found.map_err(UpdateStateError::File)? {
            Some(found) if !json_edit::is_json_object(&found.content) => {
                Err(UpdateStateError::InvalidJson(self.path.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Records that the first-start dialog is complete, unless the file has an entry for it
    /// already.
    ///
    /// # Errors
    /// As [`ClaudeStateFile::set_account`].
    pub fn set_onboarding_complete(
        &self,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), UpdateStateError> {
        self.update(deadline, now, |content| {
            let has_entry =
                ClaudeJson::parse(content).is_ok_and(|state| state.has_completed_onboarding().is_some());
            (!has_entry).then(|| json_edit::set_member(content, ONBOARDING, "true"))
        })
    }

    /// Writes the result of `change`, or nothing if that is `None`.
    fn update(
        &self,
        deadline: &Deadline,
        now: Timestamp,
        change: impl Fn(&[u8]) -> Option<String>,
    ) -> Result<(), UpdateStateError> {
        let _locked = FileLock::acquire(&self.path, deadline, now).map_err(UpdateStateError::Lock)?;
        for _ in 0..MAX_ATTEMPTS {
            let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::Owner)
                .map_err(UpdateStateError::File)?;
            let (content, identity) = match &found {
                Some(found) if json_edit::is_json_object(&found.content) => {
                    (found.content.as_slice(), Some(found.identity))
                }
                Some(_) => return Err(UpdateStateError::InvalidJson(self.path.clone())),
                None => (&b""[..], None),
            };
            let Some(changed) = change(content) else { return Ok(()) };
            let staged =
                atomic_file::stage(&self.path, changed.as_bytes()).map_err(UpdateStateError::File)?;
            if staged.commit_if_unchanged(identity).map_err(UpdateStateError::File)? {
                // The rename is done. A failed sync must not be reported as an update that did not
                // happen.
                drop(atomic_file::sync_parent_dir(&self.path));
                return Ok(());
            }
        }
        Err(UpdateStateError::Contended(self.path.clone()))
    }
}

/// Why the file was not updated.
#[derive(Debug)]
pub enum UpdateStateError {
    /// Claude Code holds its lock, or the lock cannot be created.
    Lock(LockError),
    /// The file cannot be read or written.
    File(FileError),
    /// It is not a JSON object.
    InvalidJson(PathBuf),
    /// Other processes keep writing it.
    Contended(PathBuf),
}

impl fmt::Display for UpdateStateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(error) => error.fmt(formatter),
            Self::File(problem) => problem.fmt(formatter),
            Self::InvalidJson(path) => {
                write!(formatter, "{} is not a JSON object; move it away", path.display())
            }
            Self::Contended(path) => write!(formatter, "other processes keep writing {}", path.display()),
        }
    }
}

impl std::error::Error for UpdateStateError {}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::unistd::Uid;

    use super::*;
    use crate::fs::file_id::FileId;

    fn state(folder: &tempfile::TempDir) -> ClaudeStateFile {
        ClaudeStateFile::new(folder.path().join(".claude.json"), Uid::effective().as_raw())
    }

    /// For a lock that is free, on a machine of any load.
    fn long() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    /// For a lock that is not released.
    fn short() -> Deadline {
        Deadline::after(Duration::from_millis(50))
    }

    fn set_account(state: &ClaudeStateFile, account: &str) -> Result<(), UpdateStateError> {
        state.set_account(account, &long(), Timestamp::from_millis(0))
    }

    #[test]
    fn set_account_keeps_every_other_byte() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        assert_eq!(state.account(), None);
        let account = r#"{"emailAddress":"alice@example.org"}"#;
        set_account(&state, account).expect("where there was nothing");
        assert_eq!(
            fs::read_to_string(state.path()).expect("there"),
            format!(r#"{{"oauthAccount":{account}}}"#)
        );
        let before =
            "{\n  \"numStartups\": 5,\n  \"oauthAccount\": {\"emailAddress\": \"old\"},\n  \"x\": 1.50 }\n";
        fs::write(state.path(), before).expect("written");
        set_account(&state, account).expect("updated");
        let expected = before.replace(r#"{"emailAddress": "old"}"#, account);
        assert_eq!(fs::read_to_string(state.path()).expect("there"), expected);
        assert_eq!(state.account().as_deref(), Some(account));
        assert_eq!(
            fs::read_dir(folder.path()).expect("listed").count(),
            1,
            "no lock and no other file is left"
        );
    }

    #[test]
    fn remove_account_keeps_every_other_byte() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        let remove = || state.remove_account(&long(), Timestamp::from_millis(0));
        remove().expect("there is no file");
        assert!(!state.path().exists());
        for (before, after) in [
            (
                "{\n \"a\": 1.50,\n \"oauthAccount\": {\"x\": \",\"},\n \"b\": 2 }\n",
                "{\n \"a\": 1.50,\n \"b\": 2 }\n",
            ),
            ("{\"oauthAccount\":null}", "{}"),
            ("{ \"a\": 1 }\n", "{ \"a\": 1 }\n"),
        ] {
            fs::write(state.path(), before).expect("written");
            remove().expect("removed");
            assert_eq!(fs::read_to_string(state.path()).expect("there"), after);
        }
        fs::write(state.path(), "{torn").expect("written");
        assert!(matches!(state.check(), Err(UpdateStateError::InvalidJson(_))));
        assert!(matches!(remove(), Err(UpdateStateError::InvalidJson(_))));
    }

    #[test]
    fn onboarding_is_completed_unless_the_client_has_an_entry() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        let finish = |deadline| state.set_onboarding_complete(&deadline, Timestamp::from_millis(0));
        finish(long()).expect("where there was nothing");
        let text = || fs::read_to_string(state.path()).expect("there");
        assert_eq!(text(), r#"{"hasCompletedOnboarding":true}"#);
        for (before, after) in [
            ("{ \"numStartups\": 5 }\n", None),
            (r#"{"hasCompletedOnboarding":false,"x":1}"#, Some(r#"{"hasCompletedOnboarding":false,"x":1}"#)),
        ] {
            fs::write(state.path(), before).expect("written");
            finish(long()).expect("noted");
            match after {
                Some(after) => assert_eq!(text(), after),
                None => {
                    let found: serde_json::Value = serde_json::from_str(&text()).expect("JSON");
                    assert_eq!(found, serde_json::json!({"numStartups": 5, "hasCompletedOnboarding": true}));
                }
            }
        }
        fs::write(state.path(), "{}").expect("written");
        fs::create_dir(folder.path().join(".claude.json.lock")).expect("a lock");
        assert!(matches!(finish(short()), Err(UpdateStateError::Lock(_))));
        assert_eq!(text(), "{}");
    }

    #[test]
    fn invalid_or_locked_state_file_is_not_written() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        fs::write(state.path(), "{torn").expect("written");
        assert!(
            matches!(set_account(&state, "{}"), Err(UpdateStateError::InvalidJson(_)))
                && state.account().is_none()
        );
        assert_eq!(fs::read_to_string(state.path()).expect("there"), "{torn");
        fs::write(state.path(), "{}").expect("written");
        fs::create_dir(folder.path().join(".claude.json.lock")).expect("a lock");
        let set = state.set_account("{}", &short(), Timestamp::from_millis(0));
        assert!(matches!(set, Err(UpdateStateError::Lock(_))));
        assert_eq!(fs::read_to_string(state.path()).expect("there"), "{}");
    }

    #[test]
    fn lock_that_a_client_left_is_taken_over_after_ten_seconds() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        fs::write(state.path(), "{}").expect("written");
        let lock = folder.path().join(".claude.json.lock");
        for (age, is_taken_over) in [(8, false), (11, true)] {
            fs::create_dir(&lock).expect("a lock");
            let touched = fs::metadata(&lock).expect("its time");
            let now = FileId::from_metadata(&touched).modified_at().saturating_add(Duration::from_secs(age));
            let deadline = if is_taken_over { long() } else { short() };
            let set = state.set_account("{}", &deadline, now);
            assert_eq!(set.is_ok(), is_taken_over, "{age}: {set:?}");
            drop(fs::remove_dir(&lock));
        }
    }
}
