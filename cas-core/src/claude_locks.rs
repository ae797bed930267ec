//! Claude Code's own locks around its credential file: directories, made to lock and removed to release
//! (`docs/claude-code.md`). Whoever writes the file without them may undo a refresh that is under way.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::timestamp::Timestamp;

/// How long a lock must have been untouched before it counts as left behind by a process that was killed. Claude Code
/// itself takes over its refresh lock after about 60 seconds.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(120);

/// Where a lock is tried again after this pause.
const PAUSE: Duration = Duration::from_millis(10);

/// The two locks under which Claude Code refreshes a login, held; released in reverse order when dropped.
#[derive(Debug)]
pub struct RefreshLocks {
    config_directory: PathBuf,
    _beside: Held,
    _refresh: Held,
}

impl RefreshLocks {
    /// Takes, in Claude Code's order, the refresh lock in its configuration directory (`~/.claude`) and the lock beside it.
    ///
    /// # Errors
    /// [`LockError`] when one is held by somebody else until the deadline, or cannot be made.
    pub fn acquire(config_directory: &Path, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        let mut beside = config_directory.as_os_str().to_owned();
        beside.push(".lock");
        let refresh = Held::acquire(config_directory.join(".oauth_refresh.lock"), deadline, now)?;
        let beside = Held::acquire(PathBuf::from(beside), deadline, now)?;
        Ok(Self { config_directory: config_directory.to_owned(), _beside: beside, _refresh: refresh })
    }

    /// Takes the write lock as well, for milliseconds only: a refresh that waits for it in vain for 20 seconds throws its
    /// new token away.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn write_lock(&self, deadline: &Deadline, now: Timestamp) -> Result<WriteLock, LockError> {
        Held::acquire(self.config_directory.join(".storage-write.lock"), deadline, now).map(WriteLock)
    }
}

/// Claude Code's write lock, held; released when dropped.
#[derive(Debug)]
pub struct WriteLock(#[expect(dead_code, reason = "released when dropped")] Held);

#[derive(Debug)]
struct Held(PathBuf);

impl Held {
    fn acquire(path: PathBuf, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_abandoned(&path, now) && fs::remove_dir(&path).is_ok() {
                        continue;
                    }
                }
                Err(error) => return Err(LockError::Failed(path, error)),
            }
            if deadline.has_passed() {
                return Err(LockError::Busy(path));
            }
            std::thread::sleep(PAUSE.min(deadline.remaining()));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever thinks we are gone may have taken it over; then there is nothing left to release.
        drop(fs::remove_dir(&self.0));
    }
}

/// Untouched for [`ABANDONED_AFTER`]. One dated in the future is somebody's whose clock differs: left alone.
fn is_abandoned(path: &Path, now: Timestamp) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        let touched =
            Timestamp::from_millis(u64::try_from(metadata.mtime()).unwrap_or(0).saturating_mul(1000));
        touched <= now && !touched.is_within(ABANDONED_AFTER, now)
    })
}

/// Why Claude Code's locks were not taken.
#[derive(Debug)]
pub enum LockError {
    /// Held by somebody else until the deadline: Claude Code is refreshing, or was killed while it did.
    Busy(PathBuf),
    /// Could not be made.
    Failed(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(path) => write!(
                formatter,
                "Claude Code holds its lock {}; if none is running, remove that directory",
                path.display()
            ),
            Self::Failed(path, error) => {
                write!(formatter, "cannot make the lock {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for LockError {}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn now() -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "compared with what the file system says")]
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after the epoch");
        Timestamp::from_millis(0).plus(since_epoch)
    }

    fn short() -> Deadline {
        Deadline::after(Duration::from_millis(50))
    }

    #[test]
    fn all_three_are_held_and_released() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let names = [".claude/.oauth_refresh.lock", ".claude.lock", ".claude/.storage-write.lock"];
        let locks = RefreshLocks::acquire(&config, &short(), now()).expect("nobody holds them");
        let write = locks.write_lock(&short(), now()).expect("nobody holds it");
        assert!(names.iter().all(|name| home.path().join(name).is_dir()));
        drop((write, locks));
        assert!(names.iter().all(|name| !home.path().join(name).exists()));
    }

    #[test]
    fn a_lock_that_somebody_holds_is_waited_for_and_then_left() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let lock = home.path().join(".claude.lock");
        fs::create_dir(&lock).expect("a lock");
        let error = RefreshLocks::acquire(&config, &short(), now()).expect_err("it is held");
        assert!(matches!(&error, LockError::Busy(path) if *path == lock), "{error}");
        assert!(!config.join(".oauth_refresh.lock").exists(), "the first one is released again");

        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                fs::remove_dir(&lock).expect("released");
            });
            let patient = Deadline::after(Duration::from_secs(10));
            assert!(RefreshLocks::acquire(&config, &patient, now()).is_ok());
        });
    }

    #[test]
    fn an_abandoned_lock_is_taken_over_and_one_from_the_future_is_not() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        let later = now().plus(ABANDONED_AFTER + Duration::from_secs(2));
        assert!(RefreshLocks::acquire(&config, &short(), later).is_ok());

        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        assert!(RefreshLocks::acquire(&config, &short(), Timestamp::from_millis(0)).is_err());
    }
}
