//! Claude Code's own locks around its credential file: directories, made to lock and removed to release
//! (`docs/design/claude-code.md`). Whoever writes the file without them may undo a refresh that is under way.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fs::file_id::FileId;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// How long a lock must have been untouched before it counts as left behind by a process that was killed. Claude Code
/// itself takes over its refresh locks after 60 seconds, older clients after 10 (`docs/design/claude-code.md`).
pub const STALE_LOCK_AGE: Duration = Duration::from_secs(120);

/// How long the refresh locks may be held while waiting for the write lock.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// Held for the milliseconds of a write.
const WRITE_LOCK: &str = ".storage-write.lock";

/// Where a lock is tried again after this pause.
const PAUSE: Duration = Duration::from_millis(10);

/// The two locks under which Claude Code refreshes a login, held; released in reverse order when dropped.
#[derive(Debug)]
pub struct RefreshLocks {
    write_lock: PathBuf,
    clock: Clock,
    _beside: LockDir,
    _refresh: LockDir,
}

impl RefreshLocks {
    /// Takes, in Claude Code's order, the refresh lock in its configuration directory (`~/.claude`) and the lock beside it.
    /// While the second is busy the first is not kept either: a lock that is held untouched counts as abandoned after ten
    /// seconds with older clients, and would block every refresh meanwhile.
    ///
    /// # Errors
    /// [`LockError`] when one is held by somebody else until the deadline, or cannot be made.
    pub fn acquire(config_directory: &Path, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        let (refresh, beside) = refresh_lock_paths(config_directory);
        let clock = Clock::showing(now);
        until(deadline, || {
            let refresh = LockDir::try_acquire(&refresh, clock.now())?;
            let beside = LockDir::try_acquire(&beside, clock.now())?;
            Ok(Self {
                write_lock: refresh.path.with_file_name(WRITE_LOCK),
                clock,
                _beside: beside,
                _refresh: refresh,
            })
        })
    }

    /// Takes the write lock as well, for milliseconds only: a refresh that waits for it in vain for 20 seconds throws its
    /// new token away.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn write_lock(&self, deadline: &Deadline) -> Result<WriteLock, LockError> {
        let take = || LockDir::try_acquire(&self.write_lock, self.clock.now()).map(WriteLock);
        until(&deadline.capped(LONGEST_HOLD), take)
    }
}

/// The wall clock as it goes on while somebody waits: a lock that was left behind a moment before grows old meanwhile.
#[derive(Clone, Copy, Debug)]
struct Clock {
    set_to: Timestamp,
    set_at: Instant,
}

impl Clock {
    fn showing(now: Timestamp) -> Self {
        Self { set_to: now, set_at: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        self.set_to.saturating_add(self.set_at.elapsed())
    }
}

/// Whether some session of Claude Code is refreshing the login just now: one of its refresh locks is there, not left behind,
/// and not from a time when the clock was wrong.
pub fn is_refresh_locked(config_directory: &Path, now: Timestamp) -> bool {
    let (refresh, beside) = refresh_lock_paths(config_directory);
    let is_recent = |lock: &PathBuf| {
        touched_at(lock)
            .is_some_and(|at| at.is_within(STALE_LOCK_AGE, now) || now.is_within(STALE_LOCK_AGE, at))
    };
    [refresh, beside].iter().any(|lock| lock.is_dir() && is_recent(lock))
}

/// Where its three locks are: the refresh lock, the one beside the directory, the write lock.
pub fn lock_paths(config_directory: &Path) -> [PathBuf; 3] {
    let (refresh, beside) = refresh_lock_paths(config_directory);
    let write = refresh.with_file_name(WRITE_LOCK);
    [refresh, beside, write]
}

/// The refresh lock, and the lock beside the directory.
fn refresh_lock_paths(config_directory: &Path) -> (PathBuf, PathBuf) {
    // Where the directory is a link Claude Code locks beside the directory itself.
    let resolved = fs::canonicalize(config_directory).unwrap_or_else(|_| config_directory.to_owned());
    let mut beside = resolved.clone().into_os_string();
    beside.push(".lock");
    (resolved.join(".oauth_refresh.lock"), PathBuf::from(beside))
}

/// Claude Code's write lock, held; released when dropped.
#[derive(Debug)]
pub struct WriteLock(#[expect(dead_code, reason = "released when dropped")] LockDir);

/// The lock under which Claude Code changes one file of its own, `~/.claude.json`: a directory beside it.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "released when dropped")] LockDir);

impl FileLock {
    /// Takes the lock of `file`; it is for milliseconds only.
    ///
    /// # Errors
    /// As [`RefreshLocks::acquire`].
    pub fn acquire(file: &Path, deadline: &Deadline, now: Timestamp) -> Result<Self, LockError> {
        let mut lock = file.as_os_str().to_owned();
        lock.push(".lock");
        let (lock, clock) = (PathBuf::from(lock), Clock::showing(now));
        until(deadline, || LockDir::try_acquire(&lock, clock.now()).map(Self))
    }
}

/// Tries until it works, fails for good, or the deadline has passed; not at all when it has passed already, so that
/// nobody is killed at their deadline with a lock in hand.
fn until<T>(deadline: &Deadline, mut take: impl FnMut() -> Result<T, LockError>) -> Result<T, LockError> {
    let mut result = Err(LockError::DeadlineExpired);
    while !deadline.is_expired() {
        result = take();
        if !matches!(result, Err(LockError::Busy(_))) {
            break;
        }
        std::thread::sleep(PAUSE.min(deadline.remaining()));
    }
    result
}

#[derive(Debug)]
struct LockDir {
    path: PathBuf,
    /// Which directory it is: inode numbers alone are used again at once.
    made: Option<FileId>,
}

impl LockDir {
    fn try_acquire(path: &Path, now: Timestamp) -> Result<Self, LockError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_abandoned(path, now) => {
                drop(fs::remove_dir(path)); // and at the next try it is free, unless somebody else is faster
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
        // Whoever thought we were gone may have taken it over: then it is theirs.
        if self.made.is_some() && identity(&self.path) == self.made {
            drop(fs::remove_dir(&self.path));
        }
    }
}

fn identity(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().as_ref().map(FileId::from_metadata)
}

/// Untouched for [`STALE_LOCK_AGE`]. One dated in the future is somebody's whose clock differs: left alone.
fn is_abandoned(path: &Path, now: Timestamp) -> bool {
    touched_at(path).is_some_and(|at| at <= now && !at.is_within(STALE_LOCK_AGE, now))
}

fn touched_at(path: &Path) -> Option<Timestamp> {
    let seconds = fs::symlink_metadata(path).ok()?.mtime();
    Some(Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

/// Why Claude Code's locks were not taken.
#[derive(Debug)]
pub enum LockError {
    /// Held by somebody else until the deadline: Claude Code is refreshing, or was killed while it did.
    Busy(PathBuf),
    /// The deadline had passed already.
    DeadlineExpired,
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
            Self::DeadlineExpired => {
                formatter.write_str("no time was left; it is tried again by the next login or sync")
            }
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
        Timestamp::from_millis(0).saturating_add(since_epoch)
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
        let write = locks.write_lock(&short()).expect("nobody holds it");
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
            let patient = Deadline::after(Duration::from_secs(10));
            assert!(RefreshLocks::acquire(&config, &patient, now()).is_ok());
        });
        assert!(!is_refresh_locked(&config, now()));
    }

    #[test]
    fn an_abandoned_lock_is_taken_over_and_one_from_the_future_is_not() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        let later = now().saturating_add(STALE_LOCK_AGE + Duration::from_secs(2));
        assert!(RefreshLocks::acquire(&config, &short(), later).is_ok());

        fs::create_dir(config.join(".oauth_refresh.lock")).expect("a lock");
        assert!(RefreshLocks::acquire(&config, &short(), Timestamp::from_millis(0)).is_err());
        assert!(!is_refresh_locked(&config, Timestamp::from_millis(0)), "nobody refreshes for so long");
    }

    #[test]
    fn a_lock_that_becomes_abandoned_while_it_is_waited_for_is_taken_over() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        for lock in [".oauth_refresh.lock", ".storage-write.lock"] {
            fs::create_dir(config.join(lock)).expect("a lock");
        }
        // Two seconds before they count as left behind.
        let soon = now().saturating_add(STALE_LOCK_AGE - Duration::from_secs(2));
        let patient = Deadline::after(Duration::from_secs(60));
        let locks = RefreshLocks::acquire(&config, &patient, soon).expect("taken over at last");
        assert!(locks.write_lock(&patient).is_ok(), "and so is the other, which is as old");
    }

    #[test]
    fn nothing_is_held_while_waiting_and_nothing_of_others_is_removed() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let (refresh, beside) = (config.join(".oauth_refresh.lock"), home.path().join(".claude.lock"));
        fs::create_dir(&beside).expect("a lock");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                RefreshLocks::acquire(&config, &Deadline::after(Duration::from_millis(300)), now())
            });
            // Claude Code can take its lock although we are waiting for the other one, and keeps it.
            let mut taken = false;
            while !taken && !waiting.is_finished() {
                taken = fs::create_dir(&refresh).is_ok();
            }
            assert!(taken, "the first lock was never let go");
            assert!(waiting.join().expect("no panic").is_err());
        });
        assert!(refresh.exists() && beside.exists());

        fs::remove_dir(&refresh).expect("released");
        fs::remove_dir(&beside).expect("released");
        let held = RefreshLocks::acquire(&config, &short(), now()).expect("free");
        fs::remove_dir(&refresh).expect("somebody takes us for dead");
        std::thread::sleep(Duration::from_millis(20)); // for file systems whose clock goes in steps
        fs::create_dir(&refresh).expect("and makes the lock their own");
        drop(held);
        assert!(refresh.exists(), "it is theirs");
    }

    #[test]
    fn after_the_deadline_no_lock_is_taken_at_all() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let late = RefreshLocks::acquire(&config, &Deadline::after(Duration::ZERO), now());
        assert!(matches!(late, Err(LockError::DeadlineExpired)));
    }

    #[test]
    fn where_the_directory_is_a_link_the_lock_is_beside_the_directory_itself() {
        let home = tempfile::tempdir().expect("a scratch home");
        fs::create_dir(home.path().join("dotfiles")).expect("a directory");
        std::os::unix::fs::symlink(home.path().join("dotfiles"), home.path().join(".claude"))
            .expect("a link");
        let _held = RefreshLocks::acquire(&home.path().join(".claude"), &short(), now()).expect("free");
        assert!(home.path().join("dotfiles.lock").exists() && !home.path().join(".claude.lock").exists());
    }
}
