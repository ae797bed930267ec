//! Writes the credential file under the lock of restores. That lock is not held during a wait for
//! one of Claude Code's locks: a login, the launcher, the watcher and a sync all take it, and a
//! client can hold its locks for a minute.

use super::directory::{StateDirectory, StateError, StateLock};
use crate::claude_files::credentials_file::{CredentialsFile, WriteError};
use crate::fs::obstacle::Obstacle;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// Calls `write` under the lock of restores, once Claude Code's locks are free. If a client takes
/// one of them before `write` does, releases the lock and waits again. Returns the result of
/// `write`.
///
/// # Errors
/// The error of `write`, or of a lock that is not free until the deadline.
pub fn write_under_restore_lock<T>(
    state: &StateDirectory,
    file: &CredentialsFile,
    deadline: &Deadline,
    now: Timestamp,
    mut write: impl FnMut() -> Result<T, RestoreError>,
) -> Result<T, RestoreError> {
    loop {
        file.wait_for_locks(deadline, now)?;
        let locked = state.lock(StateLock::Restore, deadline)?;
        match write() {
            Err(RestoreError::Write(error)) if error.is_lock_busy() && !deadline.is_expired() => drop(locked),
            result => return result,
        }
    }
}

/// Why the credential file was not written under the lock of restores.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file of the state directory, or the lock itself.
    #[error(transparent)]
    State(#[from] StateError),
    /// The credential file, or one of Claude Code's locks.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl RestoreError {
    /// Returns true if another process wrote the credential file first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Write(WriteError::Conflict))
    }

    /// Returns the obstacle that the error shows, if it does not pass by itself.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::State(error) => error.obstacle(),
            Self::Write(error) => error.obstacle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::time::Duration;

    use nix::unistd::Uid;

    use super::*;
    use crate::claude_files::locks::{LockError, lock_paths};

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn long() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    /// Another program of ours gets the lock of restores while this one waits for a lock of Claude
    /// Code, whichever it is.
    #[test]
    fn restore_lock_is_free_during_the_wait_for_claude_code() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        fs::create_dir(&config).expect("a configuration directory");
        let state = StateDirectory::new(home.path().join("state"), Uid::effective().as_raw());
        let file = CredentialsFile::new(config.join(".credentials.json"), Uid::effective().as_raw());
        for claudes in lock_paths(&config) {
            fs::create_dir(&claudes).expect("a lock of Claude Code");
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let (state, file) = (&state, &file);
                let waiting = scope.spawn(move || {
                    let result: Result<(), RestoreError> =
                        write_under_restore_lock(state, file, &long(), NOW, || Ok(()));
                    sender.send(()).expect("the test waits");
                    result
                });
                // Long enough for the thread to begin.
                for _ in 0..40 {
                    let other = state.lock(StateLock::Restore, &Deadline::after(Duration::ZERO));
                    drop(other.expect("it is free"));
                    std::thread::sleep(Duration::from_millis(5));
                }
                assert!(receiver.try_recv().is_err(), "it waits for {}", claudes.display());
                fs::remove_dir(&claudes).expect("released");
                waiting.join().expect("no panic").expect("written");
            });
        }
    }

    /// A client takes one of its locks between the wait and the write.
    #[test]
    fn restore_lock_is_released_if_claude_code_is_faster() {
        let home = tempfile::tempdir().expect("a scratch home");
        let config = home.path().join(".claude");
        let state = StateDirectory::new(home.path().join("state"), Uid::effective().as_raw());
        let file = CredentialsFile::new(config.join(".credentials.json"), Uid::effective().as_raw());
        let attempts = Cell::new(0);
        let result: Result<(), RestoreError> = write_under_restore_lock(&state, &file, &long(), NOW, || {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 1 {
                return Err(WriteError::Lock(LockError::Busy(config.join(".oauth_refresh.lock"))).into());
            }
            Ok(())
        });
        assert!(result.is_ok() && attempts.get() == 2, "{result:?}");
    }
}
