//! The state directory of one user: the ledger, the last contacts with the store, the file that a
//! restore replaced, and the locks. Each change is made under a lock to the current content, so
//! that a login and a sync do not overwrite each other's changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::claude_files::credentials_file;
use crate::credential::json_edit;
use crate::fs::atomic_file;
use crate::fs::directories;
use crate::fs::obstacle::Obstacle;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::ledger::Ledger;
use crate::planner::StoreContact;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

const LIMIT: usize = 4 << 20;
/// The file that the last restore replaced, and the last one that could not be parsed.
const REPLACED_FILE: &str = "replaced-credentials.json";
const DAMAGED_FILE: &str = "damaged-credentials.json";
/// The interval at which a busy lock is tried again.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// One user's `~/.local/state/claude-auth-sync`.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
    owner: u32,
}

/// The locks of the state directory. Each is a file that is locked with `flock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateLock {
    /// Held by a sync for its whole run.
    Sync,
    /// Held during a restore.
    Restore,
    /// Held for the milliseconds of a change to the other files.
    State,
}

impl StateLock {
    fn file_name(self) -> &'static str {
        match self {
            Self::Sync => "lock",
            Self::Restore => "repair.lock",
            Self::State => "state.lock",
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct StoredContact {
    #[serde(alias = "answered_at")]
    last_success: Option<Timestamp>,
    #[serde(alias = "failed_at")]
    last_failure: Option<Timestamp>,
}

impl StateDirectory {
    /// Creates the adapter of the directory at `path`, whose files must belong to user id `owner`.
    /// The directory is created by the first write.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Returns the user id that the files must belong to.
    pub(super) fn owner(&self) -> u32 {
        self.owner
    }

    /// Returns the path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Loads the ledger. Returns an empty ledger if the file does not exist.
    ///
    /// # Errors
    /// [`StateError`]; nothing may be restored then.
    pub fn ledger(&self) -> Result<Ledger, StateError> {
        self.load("ledger.json")
    }

    /// Applies `change` to the current ledger and returns the result.
    ///
    /// # Errors
    /// [`StateError`]; the old ledger is then still in place.
    pub fn update_ledger(
        &self,
        deadline: &Deadline,
        change: impl FnOnce(&mut Ledger),
    ) -> Result<Ledger, StateError> {
        let _locked = self.lock(StateLock::State, deadline)?;
        let mut ledger = self.ledger()?;
        let before = ledger.clone();
        change(&mut ledger);
        if ledger != before {
            self.save("ledger.json", &ledger)?;
        }
        Ok(ledger)
    }

    /// Loads the last contacts with the store, which are empty if unknown.
    pub fn store_contact(&self) -> StoreContact {
        let stored: StoredContact = self.load("store-contact.json").unwrap_or_default();
        StoreContact { last_success: stored.last_success, last_failure: stored.last_failure }
    }

    /// Saves the last contacts with the store.
    ///
    /// # Errors
    /// [`StateError`]; the next login then asks the store again.
    pub fn save_contact(&self, contact: StoreContact) -> Result<(), StateError> {
        let stored = StoredContact { last_success: contact.last_success, last_failure: contact.last_failure };
        self.save("store-contact.json", &stored)
    }

    /// Saves the content that a restore is about to replace. Content that is not a JSON object is
    /// saved in a second file too, because its other members cannot be carried over, and no later
    /// restore overwrites that file.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn save_replaced_file(&self, content: &[u8]) -> Result<(), StateError> {
        self.create()?;
        let is_damaged = !content.is_empty() && !json_edit::is_json_object(content);
        if is_damaged {
            atomic_file::write_atomic(&self.path(DAMAGED_FILE), content).map_err(StateError::File)?;
        }
        atomic_file::write_atomic(&self.path(REPLACED_FILE), content).map(drop).map_err(StateError::File)
    }

    /// Loads the content that the last restore replaced.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn load_replaced_file(&self) -> Result<Option<owned_file::FileContent>, StateError> {
        let path = self.path(REPLACED_FILE);
        owned_file::read(&path, self.owner, credentials_file::LIMIT, Ownership::Owner)
            .map_err(StateError::File)
    }

    /// Returns true if there is content that a restore has replaced.
    pub fn has_replaced_files(&self) -> bool {
        [REPLACED_FILE, DAMAGED_FILE].iter().any(|name| self.path(name).symlink_metadata().is_ok())
    }

    /// Removes the content that restores have replaced. Returns true if there was some.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn remove_replaced_files(&self, deadline: &Deadline) -> Result<bool, StateError> {
        let _locked = self.lock(StateLock::Restore, deadline)?;
        let exists = self.has_replaced_files();
        for name in [REPLACED_FILE, DAMAGED_FILE] {
            atomic_file::remove_temp_files(&self.path(name), Duration::ZERO);
            atomic_file::remove(&self.path(name)).map_err(StateError::File)?;
        }
        Ok(exists)
    }

    /// Acquires a lock, and waits until the deadline.
    ///
    /// # Errors
    /// [`StateError::Busy`] if another process holds it until then.
    pub fn lock(&self, lock: StateLock, deadline: &Deadline) -> Result<Flock<File>, StateError> {
        let (path, mut file) = self.lock_file(lock)?;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Ok(locked),
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) => file,
                Err((_, errno)) => return Err(StateError::Lock(path, errno.into())),
            };
            if deadline.is_expired() {
                return Err(StateError::Busy(path));
            }
            std::thread::sleep(LOCK_POLL_INTERVAL.min(deadline.remaining()));
        }
    }

    fn lock_file(&self, lock: StateLock) -> Result<(PathBuf, File), StateError> {
        self.create()?;
        let path = self.path(lock.file_name());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path);
        match file {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(StateError::Lock(path, error)),
        }
    }

    /// Loads a JSON file, or returns the default if it does not exist.
    ///
    /// # Errors
    /// [`StateError`] if it does not belong to the user, or is invalid.
    pub fn load<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, StateError> {
        let path = self.path(name);
        match owned_file::read(&path, self.owner, LIMIT, Ownership::Owner).map_err(StateError::File)? {
            Some(found) => {
                serde_json::from_slice(&found.content).map_err(|error| StateError::Corrupt(path, error))
            }
            None => Ok(T::default()),
        }
    }

    /// Saves a JSON file.
    ///
    /// # Errors
    /// [`StateError`]; the old file is then still in place.
    pub fn save<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        self.create()?;
        let path = self.path(name);
        let content = serde_json::to_vec(value).map(zeroize::Zeroizing::new);
        let content = content.map_err(|error| StateError::Corrupt(path.clone(), error))?;
        atomic_file::write_atomic(&path, &content).map(drop).map_err(StateError::File)
    }

    /// Writes a file whose existence, time or size is the information. Does not create the
    /// directory. An error is ignored.
    pub(super) fn write_flag(&self, name: &str, content: &str) {
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        drop(file.open(self.path(name)).and_then(|mut file| file.write_all(content.as_bytes())));
    }

    fn create(&self) -> Result<(), StateError> {
        if Path::is_dir(&self.path) {
            return Ok(());
        }
        directories::create_private_directory(&self.path).map_err(StateError::File)
    }
}

/// Why an operation in the state directory failed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process held the lock until the deadline.
    #[error("another run holds {0}; the next run tries again")]
    Busy(PathBuf),
    /// The lock cannot be created or acquired.
    #[error("cannot lock {0}: {1}")]
    Lock(PathBuf, io::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(FileError),
    /// A file is invalid. The message has the position only: that of the library quotes the
    /// content, which may be a token.
    #[error("{0} is damaged (line {line}, column {column}): move it away; it is created again", line = .1.line(), column = .1.column())]
    Corrupt(PathBuf, serde_json::Error),
}

impl StateError {
    /// Returns the obstacle that the error shows, if it does not pass by itself.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::File(error) => error.obstacle(),
            Self::Lock(path, error) => Obstacle::from_error(path, error),
            Self::Busy(_) | Self::Corrupt(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::unistd::Uid;

    use super::*;
    use crate::credential::fingerprint::Fingerprint;

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    #[test]
    fn concurrent_ledger_changes_are_all_kept() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().join("a/b"), Uid::effective().as_raw());
        std::thread::scope(|scope| {
            for name in ["one", "two", "three", "four"] {
                let state = &state;
                scope.spawn(move || {
                    let change =
                        |ledger: &mut Ledger| ledger.record_withdrawn_token(Fingerprint::from_bytes(name));
                    state.update_ledger(&deadline(), change).expect("changed");
                });
            }
        });
        assert_eq!(state.ledger().expect("readable").withdrawn_tokens.len(), 4);
    }

    #[test]
    fn store_contact_of_version_0_1_0_is_read() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        fs::write(state.path("store-contact.json"), r#"{"answered_at":5,"failed_at":7}"#).expect("a file");
        let at = |millis| Some(Timestamp::from_millis(millis));
        let contact = StoreContact { last_success: at(5), last_failure: at(7) };
        assert_eq!(state.store_contact(), contact);
        state.save_contact(contact).expect("saved");
        assert_eq!(state.store_contact(), contact);
    }

    #[test]
    fn busy_state_lock_is_waited_for_until_the_deadline() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        let held = state.lock(StateLock::Sync, &deadline()).expect("free");
        let refused = state.lock(StateLock::Sync, &Deadline::after(Duration::from_millis(20)));
        assert!(matches!(refused, Err(StateError::Busy(_))));
        assert!(state.lock(StateLock::Restore, &deadline()).is_ok(), "another lock is free");
        drop(held);
        assert!(state.lock(StateLock::Sync, &deadline()).is_ok());
    }

    #[test]
    fn damaged_ledger_names_a_remedy_and_is_not_overwritten() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        fs::write(state.path("ledger.json"), "{torn").expect("a damaged file");
        let error = state.update_ledger(&deadline(), |_| ()).expect_err("it is damaged");
        assert!(error.to_string().contains("move it away"));
        assert_eq!(fs::read_to_string(state.path("ledger.json")).expect("there"), "{torn");
    }
}
