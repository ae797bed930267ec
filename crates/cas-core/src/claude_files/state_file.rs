//! Claude Code's own `~/.claude.json`, of which two members matter to a login: whom the person is signed in as, and whether the
//! client still asks the questions of its first start.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::claude_files::json_settings::{ACCOUNT, ClaudeJson, LIMIT, ONBOARDING};
use crate::claude_files::locks::{FileLock, LockError};
use crate::credential::json_edit;
use crate::credential::login::Owner;
use crate::fs::atomic_file;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// How often it is written again because somebody else did so in between, without the lock.
const TRIES: usize = 4;

/// One person's file.
#[derive(Clone, Debug)]
pub struct ClaudeStateFile {
    path: PathBuf,
    owner: u32,
}

impl ClaudeStateFile {
    /// The file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose login it is, as far as this says: older clients write it nowhere else.
    pub fn owner(&self) -> Owner {
        self.read().and_then(|state| state.signed_in_account()).unwrap_or_default().owner
    }

    /// The JSON text of the member that says whom the person is signed in as.
    pub fn account(&self) -> Option<String> {
        self.read()?.account().map(str::to_owned)
    }

    fn read(&self) -> Option<ClaudeJson> {
        let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::Owner).ok()??;
        ClaudeJson::parse(&found.content).ok()
    }

    /// Makes `account` (JSON text) that member, and leaves every other byte as it is. Held under Claude Code's own lock for a
    /// look and a rename.
    ///
    /// # Errors
    /// [`UpdateStateError`]; the file is as it was.
    pub fn set_account(
        &self,
        account: &str,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), UpdateStateError> {
        self.note(deadline, now, |content| Some(json_edit::set_member(content, ACCOUNT, account)))
    }

    /// Notes, in the same way, that the first start is over; where the file says anything of it already, that stays.
    ///
    /// # Errors
    /// As [`ClaudeStateFile::set_account`].
    pub fn set_onboarding_complete(
        &self,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), UpdateStateError> {
        self.note(deadline, now, |content| {
            let says_something =
                ClaudeJson::parse(content).is_ok_and(|state| state.has_completed_onboarding().is_some());
            (!says_something).then(|| json_edit::set_member(content, ONBOARDING, "true"))
        })
    }

    /// Writes what `change` makes of the content; nothing where it wants none.
    fn note(
        &self,
        deadline: &Deadline,
        now: Timestamp,
        change: impl Fn(&[u8]) -> Option<String>,
    ) -> Result<(), UpdateStateError> {
        let _locked = FileLock::acquire(&self.path, deadline, now).map_err(UpdateStateError::Lock)?;
        for _ in 0..TRIES {
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
                // The rename stands, whatever becomes of this.
                drop(atomic_file::sync_parent_dir(&self.path));
                return Ok(());
            }
        }
        Err(UpdateStateError::Contended(self.path.clone()))
    }
}

/// Why it was not written down.
#[derive(Debug)]
pub enum UpdateStateError {
    /// Claude Code holds its lock, or it could not be made.
    Lock(LockError),
    /// The file could not be read or written.
    File(FileError),
    /// It is no JSON object.
    InvalidJson(PathBuf),
    /// Others keep writing it.
    Contended(PathBuf),
}

impl fmt::Display for UpdateStateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(error) => error.fmt(formatter),
            Self::File(problem) => problem.fmt(formatter),
            Self::InvalidJson(path) => {
                write!(formatter, "{} is no JSON object; move it out of the way", path.display())
            }
            Self::Contended(path) => write!(formatter, "others keep writing {}", path.display()),
        }
    }
}

impl std::error::Error for UpdateStateError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use nix::unistd::Uid;

    use super::*;

    fn state(folder: &tempfile::TempDir) -> ClaudeStateFile {
        ClaudeStateFile::new(folder.path().join(".claude.json"), Uid::effective().as_raw())
    }

    fn note(state: &ClaudeStateFile, account: &str) -> Result<(), UpdateStateError> {
        state.set_account(account, &Deadline::after(Duration::from_millis(200)), Timestamp::from_millis(0))
    }

    #[test]
    fn whom_somebody_is_signed_in_as_is_noted_and_nothing_else_changes() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        assert_eq!(state.account(), None);
        let account = r#"{"emailAddress":"alice@example.org"}"#;
        note(&state, account).expect("where there was nothing");
        assert_eq!(
            fs::read_to_string(state.path()).expect("there"),
            format!(r#"{{"oauthAccount":{account}}}"#)
        );
        let before =
            "{\n  \"numStartups\": 5,\n  \"oauthAccount\": {\"emailAddress\": \"old\"},\n  \"x\": 1.50 }\n";
        fs::write(state.path(), before).expect("written");
        note(&state, account).expect("noted");
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
    fn the_first_start_is_over_once_that_is_noted_and_what_the_client_says_of_it_stays() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        let finish = || {
            state.set_onboarding_complete(
                &Deadline::after(Duration::from_millis(200)),
                Timestamp::from_millis(0),
            )
        };
        finish().expect("where there was nothing");
        let text = || fs::read_to_string(state.path()).expect("there");
        assert_eq!(text(), r#"{"hasCompletedOnboarding":true}"#);
        for (before, after) in [
            ("{ \"numStartups\": 5 }\n", None),
            (r#"{"hasCompletedOnboarding":false,"x":1}"#, Some(r#"{"hasCompletedOnboarding":false,"x":1}"#)),
        ] {
            fs::write(state.path(), before).expect("written");
            finish().expect("noted");
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
        assert!(matches!(finish(), Err(UpdateStateError::Lock(_))));
        assert_eq!(text(), "{}");
    }

    #[test]
    fn what_cannot_be_understood_or_is_locked_is_left_alone() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = state(&folder);
        fs::write(state.path(), "{torn").expect("written");
        assert!(
            matches!(note(&state, "{}"), Err(UpdateStateError::InvalidJson(_))) && state.account().is_none()
        );
        assert_eq!(fs::read_to_string(state.path()).expect("there"), "{torn");
        fs::write(state.path(), "{}").expect("written");
        fs::create_dir(folder.path().join(".claude.json.lock")).expect("a lock");
        assert!(matches!(note(&state, "{}"), Err(UpdateStateError::Lock(_))));
        assert_eq!(fs::read_to_string(state.path()).expect("there"), "{}");
    }
}
