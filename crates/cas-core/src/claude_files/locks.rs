//! Claude Code's locks around its credential file: directories that are created to lock and removed
//! to release (`docs/design/claude-code.md`). A write without them can undo a refresh in progress.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fs::file_id::FileId;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The age at which an untouched refresh lock is stale, because the process that held it was
/// killed. Claude Code itself takes it over then, and clients before 2.1.198 after 10 seconds
/// (`docs/design/claude-code.md`).
pub const STALE_LOCK_AGE: Duration = Duration::from_secs(60);

/// The same for the write lock, which a client holds for milliseconds.
pub const STALE_WRITE_LOCK_AGE: Duration = Duration::from_secs(15);

/// The same for the lock of `~/.claude.json`. Clients leave it behind at a normal exit too, for
/// instance `claude auth status`.
pub const STALE_STATE_FILE_LOCK_AGE: Duration = Duration::from_secs(10);

/// How long the refresh locks are held while waiting for the write lock.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the lock that is held for the milliseconds of a write.
const WRITE_LOCK: &str = ".storage-write.lock";

/// The interval at which a busy lock is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The two locks under which Claude Code refreshes a login. They are released in reverse order on
/// drop.
#[derive(Debug)]
pub struct RefreshLocks {
    write_lock: PathBuf,
    clock: Clock,
    _beside: LockDir,
    _refresh: LockDir,
}

impl RefreshLocks {
    /// Acquires, in Claude Code's order, the refresh lock in its configuration directory
    /// (`~/.claude`) and the lock beside that directory. While the second is busy the first is
    /// released, because a held lock blocks every refresh, and older clients treat it as stale
    /// after ten seconds.
    ///
    /// # Errors
    /// [`LockError`] if another process holds a lock until the deadline, or it cannot be created.
    pub fn acquire(config_directory: &Path, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        let clock = Clock::starting_at(now);
        retry_until(deadline, || Self::acquire_at(config_directory, clock))
    }

    /// As [`RefreshLocks::acquire`], without a wait.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn try_acquire(
        config_directory: &Path,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<Self, LockError> {
        if deadline.is_expired() {
            return Err(LockError::DeadlineExpired);
        }
        Self::acquire_at(config_directory, Clock::starting_at(now))
    }

    fn acquire_at(config_directory: &Path, clock: Clock) -> Result<Self, LockError> {
        let (refresh, beside) = refresh_lock_paths(config_directory);
        let refresh = LockDir::try_acquire(&refresh, STALE_LOCK_AGE, clock.now())?;
        let beside = LockDir::try_acquire(&beside, STALE_LOCK_AGE, clock.now())?;
        let write_lock = refresh.path.with_file_name(WRITE_LOCK);
        Ok(Self { write_lock, clock, _beside: beside, _refresh: refresh })
    }

    /// Acquires the write lock too. Hold it for milliseconds only: a refresh that waits 20 seconds
    /// for it discards its new token.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn write_lock(&self, deadline: &Deadline) -> Result<WriteLock, LockError> {
        retry_until(&deadline.capped(WRITE_LOCK_TIMEOUT), || self.try_write_lock())
    }

    /// As [`RefreshLocks::write_lock`], without a wait.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn try_write_lock(&self) -> Result<WriteLock, LockError> {
        LockDir::try_acquire(&self.write_lock, STALE_WRITE_LOCK_AGE, self.clock.now()).map(WriteLock)
    }
}

/// A wall clock that advances during a wait, so that a lock can become stale meanwhile.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Timestamp,
    started: Instant,
}

impl Clock {
    fn starting_at(now: Timestamp) -> Self {
        Self { start: now, started: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        self.start.saturating_add(self.started.elapsed())
    }
}

/// Returns true if a session of Claude Code is refreshing the login: one of its refresh locks
/// exists, and its time is within [`STALE_LOCK_AGE`] of now. A lock with a time further ahead comes
/// from a wrong clock.
pub fn is_refresh_locked(config_directory: &Path, now: Timestamp) -> bool {
    let (refresh, beside) = refresh_lock_paths(config_directory);
    let is_recent = |lock: &PathBuf| {
        touched_at(lock)
            .is_some_and(|at| at.is_within(STALE_LOCK_AGE, now) || now.is_within(STALE_LOCK_AGE, at))
    };
    [refresh, beside].iter().any(|lock| lock.is_dir() && is_recent(lock))
}

/// Returns the paths of the three locks: the refresh lock, the lock beside the directory, the write
/// lock.
pub fn lock_paths(config_directory: &Path) -> [PathBuf; 3] {
    let (refresh, beside) = refresh_lock_paths(config_directory);
    let write = refresh.with_file_name(WRITE_LOCK);
    [refresh, beside, write]
}

/// Returns the paths of the refresh lock and of the lock beside the directory.
fn refresh_lock_paths(config_directory: &Path) -> (PathBuf, PathBuf) {
    // If the directory is a symlink, Claude Code locks beside its target.
    let resolved = fs::canonicalize(config_directory).unwrap_or_else(|_| config_directory.to_owned());
    let mut beside = resolved.clone().into_os_string();
    beside.push(".lock");
    (resolved.join(".oauth_refresh.lock"), PathBuf::from(beside))
}

/// Claude Code's write lock. Released on drop.
#[derive(Debug)]
pub struct WriteLock(#[expect(dead_code, reason = "released when dropped")] LockDir);

/// The lock under which Claude Code changes `~/.claude.json`: a directory beside the file. Released
/// on drop.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "released when dropped")] LockDir);

impl FileLock {
    /// Acquires the lock of `file`. Hold it for milliseconds only.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn acquire(file: &Path, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        let mut lock = file.as_os_str().to_owned();
        lock.push(".lock");
        let (lock, clock) = (PathBuf::from(lock), Clock::starting_at(now));
        retry_until(deadline, || {
            LockDir::try_acquire(&lock, STALE_STATE_FILE_LOCK_AGE, clock.now()).map(Self)
        })
    }
}

/// Repeats `take` until it succeeds, fails for good, or the deadline expires. After the deadline
/// `take` is not called at all, so that a process that is killed at its deadline holds no lock.
fn retry_until<T>(
    deadline: &Deadline,
    mut take: impl FnMut() -> Result<T, LockError>,
) -> Result<T, LockError> {
    let mut result = Err(LockError::DeadlineExpired);
    while !deadline.is_expired() {
        result = take();
        if !matches!(result, Err(LockError::Busy(_))) {
            break;
        }
        std::thread::sleep(RETRY_INTERVAL.min(deadline.remaining()));
    }
    result
}

#[derive(Debug)]
struct LockDir {
    path: PathBuf,
    /// Identifies the directory. The inode number alone is not enough: it is reused at once.
    made: Option<FileId>,
}

impl LockDir {
    fn try_acquire(path: &Path, stale_age: Duration, now: Timestamp) -> Result<Self, LockError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_stale(path, stale_age, now) => {
                drop(fs::remove_dir(path)); // the next attempt can create it
                Err(LockError::Busy(path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(LockError::Busy(path.to_owned()))
            }
            Err(error) => Err(LockError::Failed(path.to_owned(), error)),
            Ok(()) => Ok(Self { path: path.to_owned(), made: identity(path) }),
        }
    }
}

impl Drop for LockDir {
    fn drop(&mut self) {
        // Another process may have considered this lock stale and replaced it.
        if self.made.is_some() && identity(&self.path) == self.made {
            drop(fs::remove_dir(&self.path));
        }
    }
}

fn identity(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().as_ref().map(FileId::from_metadata)
}

/// Returns true if the lock is untouched for `stale_age`. A time in the future comes from another
/// clock, so such a lock is not stale.
fn is_stale(path: &Path, stale_age: Duration, now: Timestamp) -> bool {
    touched_at(path).is_some_and(|at| at <= now && !at.is_within(stale_age, now))
}

fn touched_at(path: &Path) -> Option<Timestamp> {
    identity(path).map(|lock| lock.modified_at())
}

/// Why Claude Code's locks were not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process held it until the deadline: Claude Code is refreshing, or was killed during
    /// a refresh.
    Busy(PathBuf),
    /// The deadline had expired before the first attempt.
    DeadlineExpired,
    /// It cannot be created.
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
            Self::DeadlineExpired => {
                formatter.write_str("no time was left; the next login or sync tries again")
            }
            Self::Failed(path, error) => {
                write!(formatter, "cannot create the lock {}: {error}", path.display())
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
        Timestamp::from_millis(0).saturating_add(since_epoch)
    }

    /// For a lock that is not released.
    fn short() -> Deadline {
        Deadline::after(Duration::from_millis(50))
    }

    /// For a lock that is free, on a machine of any load.
    fn long() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[test]
    fn three_locks_are_held_and_released_on_drop() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let names = [".claude/.oauth_refresh.lock", ".claude.lock", ".claude/.storage-write.lock"];
        let locks = RefreshLocks::acquire(&config, &long(), now()).expect("the locks are free");
        let write = locks.write_lock(&long()).expect("the lock is free");
        assert!(names.iter().all(|name| home.path().join(name).is_dir()));
        drop((write, locks));
        assert!(names.iter().all(|name| !home.path().join(name).exists()));
    }

    #[test]
    fn busy_lock_is_waited_for_until_the_deadline() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let lock = home.path().join(".claude.lock");
        fs::create_dir(&lock).expect("a lock");
        assert!(
            is_refresh_locked(&config, now())
                && !is_refresh_locked(&config, now().saturating_add(STALE_LOCK_AGE * 2))
        );
        let error = RefreshLocks::acquire(&config, &short(), now()).expect_err("it is held");
        assert!(matches!(&error, LockError::Busy(path) if *path == lock), "{error}");
        assert!(!config.join(".oauth_refresh.lock").exists(), "the first one is released again");

        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                fs::remove_dir(&lock).expect("released");
            });
            let deadline = Deadline::after(Duration::from_secs(10));
            assert!(RefreshLocks::acquire(&config, &deadline, now()).is_ok());
        });
        assert!(!is_refresh_locked(&config, now()));
    }

    #[test]
    fn stale_lock_is_replaced_and_one_from_the_future_is_not() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        let later = now().saturating_add(STALE_LOCK_AGE + Duration::from_secs(2));
        assert!(RefreshLocks::acquire(&config, &long(), later).is_ok());

        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        assert!(RefreshLocks::acquire(&config, &short(), Timestamp::from_millis(0)).is_err());
        assert!(!is_refresh_locked(&config, Timestamp::from_millis(0)), "a refresh does not take that long");
    }

    #[test]
    fn lock_that_becomes_stale_during_the_wait_is_replaced() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        for lock in [".oauth_refresh.lock", ".storage-write.lock"] {
            fs::create_dir(config.join(lock)).expect("a lock");
        }
        // Two seconds before they become stale.
        let soon = now().saturating_add(STALE_LOCK_AGE - Duration::from_secs(2));
        let deadline = Deadline::after(Duration::from_secs(60));
        let locks = RefreshLocks::acquire(&config, &deadline, soon).expect("the stale locks are replaced");
        assert!(locks.write_lock(&deadline).is_ok(), "the write lock is as old");
    }

    #[test]
    fn waiting_holds_no_lock_and_foreign_locks_are_kept() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let (refresh, beside) = (config.join(".oauth_refresh.lock"), home.path().join(".claude.lock"));
        fs::create_dir(&beside).expect("a lock");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                RefreshLocks::acquire(&config, &Deadline::after(Duration::from_millis(300)), now())
            });
            // Claude Code can acquire its lock while this thread waits for the other one, and keeps
            // it.
            let mut taken = false;
            while !taken && !waiting.is_finished() {
                taken = fs::create_dir(&refresh).is_ok();
            }
            assert!(taken, "the first lock was never released");
            assert!(waiting.join().expect("no panic").is_err());
        });
        assert!(refresh.exists() && beside.exists());

        fs::remove_dir(&refresh).expect("released");
        fs::remove_dir(&beside).expect("released");
        let held = RefreshLocks::acquire(&config, &long(), now()).expect("free");
        fs::remove_dir(&refresh).expect("another process considers the lock stale");
        std::thread::sleep(Duration::from_millis(20)); // for file systems whose clock goes in steps
        fs::create_dir(&refresh).expect("and replaces it");
        drop(held);
        assert!(refresh.exists(), "the lock belongs to the other process");
    }

    #[test]
    fn expired_deadline_acquires_no_lock() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let late = RefreshLocks::acquire(&config, &Deadline::after(Duration::ZERO), now());
        assert!(matches!(late, Err(LockError::DeadlineExpired)));
    }

    #[test]
    fn lock_of_a_symlinked_directory_is_beside_its_target() {
        let home = tempfile::tempdir().expect("a scratch home");
        fs::create_dir(home.path().join("dotfiles")).expect("a directory");
        std::os::unix::fs::symlink(home.path().join("dotfiles"), home.path().join(".claude"))
            .expect("a link");
        let _held = RefreshLocks::acquire(&home.path().join(".claude"), &long(), now()).expect("free");
        assert!(home.path().join("dotfiles.lock").exists() && !home.path().join(".claude.lock").exists());
    }
}
