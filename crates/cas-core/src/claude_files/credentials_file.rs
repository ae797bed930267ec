//! A user's `.credentials.json`. It is written as Claude Code writes it: under Claude Code's locks,
//! after a second check, by rename, with every member kept that is not the login.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::claude_files::locks::{self, LockError, RefreshLocks};
use crate::credential::fingerprint::Fingerprint;
use crate::credential::json_edit;
use crate::credential::login::Login;
use crate::credential::login_file::{self, LoginFileState, LoginPlace};
use crate::fs::atomic_file;
use crate::fs::directories;
use crate::fs::file_id::FileId;
use crate::fs::obstacle::Obstacle;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The largest credential file that is read, in bytes. Real ones have a few kilobytes. One with the
/// logins of more than a thousand MCP servers has 5 MiB, and Claude Code has no limit.
pub const LIMIT: usize = 64 << 20;

/// The credential file of one user.
#[derive(Clone, Debug)]
pub struct CredentialsFile {
    path: PathBuf,
    owner: u32,
}

/// The content of the file at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The login, as Claude Code reads it.
    pub login: LoginFileState,
    /// The bytes. `None` if the file does not exist or cannot be read.
    pub content: Option<Zeroizing<Vec<u8>>>,
    /// Identifies this version of the file.
    pub identity: Option<FileId>,
}

impl CredentialsFile {
    /// Creates the adapter of the file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Returns the path of the file, or of the target if it is a symlink.
    pub fn path(&self) -> PathBuf {
        self.target()
    }

    /// Returns when an entry of the file's directory was last created, renamed or deleted.
    pub fn directory_changed_at(&self) -> Option<Timestamp> {
        let metadata = self.config_directory().metadata().ok()?;
        Some(FileId::from_metadata(&metadata).modified_at())
    }

    /// Reads the file. Total: an unreadable file has a state too.
    pub fn read(&self, now: Timestamp) -> Snapshot {
        match self.found() {
            Ok(Some(found)) if self.is_foreign_symlink_target(&found.content) => {
                let why = format!(
                    "{} is a symlink to something that is not a credential file; remove the symlink",
                    self.path.display()
                );
                Snapshot { login: LoginFileState::Unreadable(why), content: None, identity: None }
            }
            Ok(Some(found)) => Snapshot {
                login: LoginFileState::parse(&found.content, now),
                content: Some(found.content),
                identity: Some(found.identity),
            },
            Ok(None) => Snapshot { login: LoginFileState::Missing, content: None, identity: None },
            Err(problem) => Snapshot {
                login: LoginFileState::Unreadable(problem.to_string()),
                content: None,
                identity: None,
            },
        }
    }

    /// Returns whether the path is a regular file, or the target of the symlink as written, which
    /// stays the same when a home moves.
    pub fn place(&self) -> LoginPlace {
        match fs::read_link(&self.path) {
            Ok(target) => LoginPlace::Link(Fingerprint::from_bytes(&target.to_string_lossy())),
            Err(_) => LoginPlace::File,
        }
    }

    /// Returns what keeps the file from being read.
    pub fn read_obstacle(&self) -> Option<Obstacle> {
        self.found().err()?.obstacle()
    }

    /// Returns what keeps the file from being replaced, as far as that is known without writing.
    pub fn replace_obstacle(&self) -> Option<Obstacle> {
        Obstacle::find(&self.target())
    }

    /// Returns true if the file is still the version of the snapshot.
    pub fn is_unchanged_since(&self, snapshot: &Snapshot) -> bool {
        self.found().is_ok_and(|found| found.map(|found| found.identity) == snapshot.identity)
    }

    /// Returns true if a session of Claude Code is refreshing the login.
    pub fn is_refresh_in_progress(&self, now: Timestamp) -> bool {
        locks::is_refresh_locked(self.config_directory(), now)
    }

    /// Waits until Claude Code's locks are free, and removes those that are stale. The locks are
    /// not held afterwards.
    ///
    /// # Errors
    /// [`WriteError`] if another process holds a lock until the deadline, or it cannot be created.
    pub fn wait_for_locks(&self, deadline: &Deadline, now: Timestamp) -> Result<(), WriteError> {
        directories::create_private_directory(self.config_directory())?;
        RefreshLocks::acquire(self.config_directory(), deadline, now)?.write_lock(deadline)?;
        Ok(())
    }

    /// Writes `content` (`None`: removes the file) if the file is still the version of
    /// `decided_on`. Claude Code's locks are held for the check and the rename only; the slow steps
    /// come before and after. Waits for no lock, because the caller holds one of ours: call
    /// [`CredentialsFile::wait_for_locks`] before.
    ///
    /// # Errors
    /// [`WriteError`]; the old file is then still in place. After [`WriteError::Conflict`], read
    /// the file and decide again. After a [busy lock](WriteError::is_lock_busy), wait and try
    /// again.
    pub fn replace(
        &self,
        decided_on: &Snapshot,
        content: Option<&[u8]>,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let config_directory = self.config_directory();
        let target = self.target();
        let staged = content.map(|content| atomic_file::stage(&target, content)).transpose()?;
        {
            let locks = RefreshLocks::try_acquire(config_directory, deadline, now)?;
            let _write = locks.try_write_lock()?;
            if !self.is_unchanged_since(decided_on) {
                return Err(WriteError::Conflict);
            }
            // Older clients, scripts and Claude Code's own logout ignore the locks.
            let is_committed = match staged {
                Some(staged) => staged.commit_if_unchanged(decided_on.identity)?,
                None => atomic_file::remove(&target).map(|()| true)?,
            };
            if !is_committed {
                return Err(WriteError::Conflict);
            }
        }
        // The rename is done. A failed sync must not be reported as a write that did not happen.
        drop(atomic_file::sync_parent_dir(&target));
        Ok(())
    }

    fn config_directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn found(&self) -> Result<Option<owned_file::FileContent>, FileError> {
        owned_file::read(&self.target(), self.owner, LIMIT, Ownership::Owner)
    }

    /// Returns true if the path is a symlink to something other than a credential file, which must
    /// not be overwritten.
    fn is_foreign_symlink_target(&self, content: &[u8]) -> bool {
        self.target() != self.path && !json_edit::is_json_object(content)
    }

    /// Returns the target of a symlink, so that the target is rewritten and the symlink stays. A
    /// dangling symlink is returned as it is; `read` rejects symlinks.
    fn target(&self) -> PathBuf {
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink());
        let target = if is_link { fs::canonicalize(&self.path).ok() } else { None };
        target.unwrap_or_else(|| self.path.clone())
    }
}

impl Snapshot {
    /// Returns the bytes, or an empty slice if there is no file.
    pub fn bytes(&self) -> &[u8] {
        self.content.as_ref().map(|content| content.as_slice()).unwrap_or_default()
    }

    /// Returns the content with its login replaced by `login`, and everything else kept.
    pub fn with_login(&self, login: &Login) -> Zeroizing<String> {
        Zeroizing::new(login_file::with_login(self.bytes(), login.json.expose()))
    }

    /// Returns the content with its login replaced by that of `replaced`, and everything else kept.
    /// Returns `None` if there was no file and nothing but the login is in this one.
    pub fn with_login_from(&self, replaced: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        login_file::with_login_from(self.bytes(), replaced).map(Zeroizing::new)
    }
}

/// Why the credential file was not written. The old one is still in place.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another process wrote it after it was read.
    #[error("other processes keep writing the credential file")]
    Conflict,
    /// Claude Code's locks were not acquired.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl WriteError {
    /// Returns the obstacle that the error shows, if it does not pass by itself.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::File(error) => error.obstacle(),
            Self::Lock(LockError::Failed(path, error)) => Obstacle::from_error(path, error),
            Self::Lock(LockError::Busy(_) | LockError::DeadlineExpired) | Self::Conflict => None,
        }
    }

    /// Returns true if another process holds one of Claude Code's locks.
    pub fn is_lock_busy(&self) -> bool {
        matches!(self, Self::Lock(LockError::Busy(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use nix::unistd::Uid;
    use serde_json::value::RawValue;

    use super::*;
    use crate::credential::login::{self, ParsedLogin};

    const CLEARED: &str = r#"{"mcpOAuth":{"k":1.0},"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0},"other":[1, 2]}"#;

    fn good() -> Login {
        let json = r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#;
        match login::parse(serde_json::from_str::<&RawValue>(json).expect("it is JSON")) {
            ParsedLogin::Complete(login) => login,
            other => panic!("{other:?}"),
        }
    }

    fn file(path: &Path) -> CredentialsFile {
        CredentialsFile::new(path.to_owned(), Uid::effective().as_raw())
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    fn restore(path: &Path) -> Result<(), WriteError> {
        let now = Timestamp::from_millis(0);
        let snapshot = file(path).read(now);
        file(path).wait_for_locks(&soon(), now)?;
        file(path).replace(&snapshot, Some(snapshot.with_login(&good()).as_bytes()), &soon(), now)
    }

    #[test]
    fn restored_login_keeps_every_other_member() {
        let home = tempfile::tempdir().expect("a scratch home");
        let path = home.path().join(".claude/.credentials.json");
        restore(&path).expect("written where there was nothing, directory included");
        fs::write(&path, CLEARED).expect("a cleared login");
        restore(&path).expect("written");
        let expected = CLEARED.replace(
            r#"{"accessToken":"","refreshToken":"","expiresAt":0}"#,
            r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#,
        );
        assert_eq!(fs::read_to_string(&path).expect("readable"), expected);
        let left: Vec<_> = fs::read_dir(home.path().join(".claude")).expect("listed").collect();
        assert_eq!(left.len(), 1, "no lock and no temporary file is left: {left:?}");
    }

    #[test]
    fn file_changed_since_the_snapshot_is_not_written() {
        let home = tempfile::tempdir().expect("a scratch home");
        let path = home.path().join(".credentials.json");
        fs::write(&path, CLEARED).expect("a cleared login");
        let snapshot = file(&path).read(Timestamp::from_millis(0));
        atomic_file::write_atomic(&path, br#"{"claudeAiOauth":null}"#).expect("another process writes");
        let now = Timestamp::from_millis(0);
        for content in [Some(&b"new"[..]), None] {
            assert!(matches!(
                file(&path).replace(&snapshot, content, &soon(), now),
                Err(WriteError::Conflict)
            ));
        }
        assert_eq!(fs::read_to_string(&path).expect("there"), r#"{"claudeAiOauth":null}"#);
        let left: Vec<_> = fs::read_dir(home.path()).expect("listed").collect();
        assert_eq!(left.len(), 1, "no lock and no temporary file is left: {left:?}");
    }

    #[test]
    fn restore_through_a_symlink_rewrites_its_target() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, target) = (home.path().join("link"), home.path().join("elsewhere"));
        fs::write(&target, CLEARED).expect("a cleared login");
        symlink(&target, &path).expect("a link");
        restore(&path).expect("written");
        assert!(fs::symlink_metadata(&path).expect("there").is_symlink());
        assert!(matches!(
            file(&target).read(Timestamp::from_millis(0)).login,
            LoginFileState::AccessTokenExpired(_)
        ));

        fs::remove_file(&target).expect("the link leads nowhere now");
        assert!(matches!(file(&path).read(Timestamp::from_millis(0)).login, LoginFileState::Unreadable(_)));
        assert!(restore(&path).is_err());
    }

    #[test]
    fn symlink_to_a_foreign_file_is_not_written() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, target) = (home.path().join(".credentials.json"), home.path().join("authorized_keys"));
        fs::write(&target, "ssh-ed25519 AAAA alice").expect("a file");
        symlink(&target, &path).expect("a link");
        let snapshot = file(&path).read(Timestamp::from_millis(0));
        assert!(
            matches!(&snapshot.login, LoginFileState::Unreadable(why) if why.contains("remove the symlink"))
        );
        assert!(restore(&path).is_err());
        assert_eq!(fs::read_to_string(&target).expect("there"), "ssh-ed25519 AAAA alice");
    }
}
