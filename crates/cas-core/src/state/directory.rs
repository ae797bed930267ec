//! The state directory of one user: the ledger, when the store was last in touch, what a restore replaced, and the locks.
//! Every change is made under a lock to what lies there at that moment, so that a login and a sync never undo each other.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
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
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::ledger::Ledger;
use crate::planner::StoreContact;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

const LIMIT: usize = 4 << 20;
const PAUSE: Duration = Duration::from_millis(5);

/// One user's `~/.local/state/claude-auth-sync`.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
    owner: u32,
}

/// The locks of the state directory; each is a file of that name, locked with `flock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateLock {
    /// Held by a sync for its whole length.
    Sync,
    /// Held while a login is put back.
    Restore,
    /// Held for the milliseconds of a change to the other files.
    State,
    /// Held by a watcher for its whole life, and therefore not in a home, where that is possible.
    Watch,
}

impl StateLock {
    fn file_name(self) -> &'static str {
        match self {
            Self::Sync => "lock",
            Self::Restore => "repair.lock",
            Self::State => "state.lock",
            Self::Watch => "watch.lock",
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct StoredContact {
    answered_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

impl StateDirectory {
    /// The directory at `path`, whose files must belong to user id `owner`. It is made when first written to.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Where a file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The ledger; empty when there is none yet.
    ///
    /// # Errors
    /// [`StateError`]: without it nothing may be put back.
    pub fn ledger(&self) -> Result<Ledger, StateError> {
        self.load("ledger.json")
    }

    /// Applies `change` to the ledger as it is at that moment, and returns the result.
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

    /// When the store was last in touch; never, when nothing is known.
    pub fn store_contact(&self) -> StoreContact {
        let stored: StoredContact = self.load("store-contact.json").unwrap_or_default();
        StoreContact { last_success: stored.answered_at, last_failure: stored.failed_at }
    }

    /// Notes when the store was last in touch.
    ///
    /// # Errors
    /// [`StateError`]; the next login asks the store again, that is all.
    pub fn save_contact(&self, contact: StoreContact) -> Result<(), StateError> {
        let stored = StoredContact { answered_at: contact.last_success, failed_at: contact.last_failure };
        self.save("store-contact.json", &stored)
    }

    /// Keeps what a restore is about to replace. What is no JSON object, so that the keys of others in it cannot be carried
    /// over, is kept under a name of its own as well, where no emptied login overwrites it later.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn save_replaced_file(&self, content: &[u8]) -> Result<(), StateError> {
        self.create()?;
        let is_damaged = !content.is_empty() && !json_edit::is_json_object(content);
        if is_damaged {
            atomic_file::write_atomic(&self.path("damaged-credentials.json"), content)
                .map_err(StateError::File)?;
        }
        atomic_file::write_atomic(&self.path("replaced-credentials.json"), content)
            .map(drop)
            .map_err(StateError::File)
    }

    /// What the last restore replaced.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn load_replaced_file(&self) -> Result<Option<owned_file::FileContent>, StateError> {
        let path = self.path("replaced-credentials.json");
        owned_file::read(&path, self.owner, credentials_file::LIMIT, Ownership::Owner)
            .map_err(StateError::File)
    }

    /// Takes a lock, waiting until the deadline.
    ///
    /// # Errors
    /// [`StateError::Busy`] when somebody else holds it until then.
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
            std::thread::sleep(PAUSE.min(deadline.remaining()));
        }
    }

    /// Takes a lock, waiting for as long as somebody else holds it, asleep.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be made or taken.
    pub fn lock_blocking(&self, lock: StateLock) -> Result<Flock<File>, StateError> {
        let (path, file) = self.lock_file(lock)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| StateError::Lock(path, errno.into()))
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

    /// Loads a file of JSON; its default when there is none.
    ///
    /// # Errors
    /// [`StateError`] when it is not the user's own, or no longer what we wrote.
    pub fn load<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, StateError> {
        let path = self.path(name);
        match owned_file::read(&path, self.owner, LIMIT, Ownership::Owner).map_err(StateError::File)? {
            Some(found) => {
                serde_json::from_slice(&found.content).map_err(|error| StateError::Corrupt(path, error))
            }
            None => Ok(T::default()),
        }
    }

    /// Saves a file of JSON.
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

    fn create(&self) -> Result<(), StateError> {
        if Path::is_dir(&self.path) {
            return Ok(());
        }
        atomic_file::create_private_directory(&self.path).map_err(StateError::File)
    }
}

/// What is wrong in the state directory.
#[derive(Debug)]
pub enum StateError {
    /// Somebody else held the lock until the deadline.
    Busy(PathBuf),
    /// The lock could not be made or taken.
    Lock(PathBuf, io::Error),
    /// A file could not be read or written.
    File(FileError),
    /// A file is not what we wrote.
    Corrupt(PathBuf, serde_json::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(path) => {
                write!(formatter, "another run holds {}; it is tried again by the next one", path.display())
            }
            Self::Lock(path, error) => write!(formatter, "cannot lock {}: {error}", path.display()),
            Self::File(problem) => problem.fmt(formatter),
            Self::Corrupt(path, error) => {
                // Where, and not what: the library's own words quote what it found, and that may be a token.
                write!(
                    formatter,
                    "{} is damaged (line {}, column {}): move it out of the way, it is made anew",
                    path.display(),
                    error.line(),
                    error.column()
                )
            }
        }
    }
}

impl std::error::Error for StateError {}

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
    fn changes_made_side_by_side_are_all_kept() {
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
    fn a_lock_held_by_another_is_waited_for_until_the_deadline() {
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
    fn a_damaged_ledger_says_what_to_do_and_is_not_overwritten() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        fs::write(state.path("ledger.json"), "{torn").expect("a damaged file");
        let error = state.update_ledger(&deadline(), |_| ()).expect_err("it is damaged");
        assert!(error.to_string().contains("move it out of the way"));
        assert_eq!(fs::read_to_string(state.path("ledger.json")).expect("there"), "{torn");
    }
}
