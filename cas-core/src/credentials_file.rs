//! A person's `.credentials.json`, read and written as Claude Code does it: under its locks, after a second look, by
//! rename, with everything that is not the login kept.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::claude_locks::{LockError, RefreshLocks};
use crate::deadline::Deadline;
use crate::ledger::FileIdentity;
use crate::local_login::{self, LocalLogin};
use crate::oauth_login::OauthLogin;
use crate::owned_file::{self, Guard, Problem};
use crate::timestamp::Timestamp;

/// The largest credential file that is read, in bytes; real ones have a few kilobytes.
pub const LIMIT: u64 = 4 << 20;

/// One person's credential file.
#[derive(Clone, Debug)]
pub struct CredentialsFile {
    path: PathBuf,
    owner: u32,
}

/// What the file held at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// What Claude Code makes of it.
    pub login: LocalLogin,
    /// Its bytes; nothing if there is no file or it could not be read.
    pub content: Option<Zeroizing<Vec<u8>>>,
    /// Tells this content from any later one.
    pub identity: Option<FileIdentity>,
}

impl CredentialsFile {
    /// The file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Looks at the file. Total: what cannot be read has a state too.
    pub fn read(&self, now: Timestamp) -> Snapshot {
        match self.found() {
            Ok(Some(found)) => Snapshot {
                login: LocalLogin::parse(&found.content, now),
                content: Some(found.content),
                identity: Some(found.identity),
            },
            Ok(None) => Snapshot { login: LocalLogin::Absent, content: None, identity: None },
            Err(problem) => {
                Snapshot { login: LocalLogin::Unreadable(problem.to_string()), content: None, identity: None }
            }
        }
    }

    /// Takes Claude Code's locks for a write, provided the file is still the one that was decided about.
    ///
    /// # Errors
    /// [`WriteError::Changed`] when it is not: look and decide again.
    pub fn begin(
        &self,
        decided_on: &Snapshot,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<Write, WriteError> {
        let config_directory = self.path.parent().unwrap_or(Path::new("/"));
        owned_file::create_private_directory(config_directory).map_err(WriteError::File)?;
        let locks = RefreshLocks::acquire(config_directory, deadline, now).map_err(WriteError::Lock)?;
        let found = self.found().map_err(WriteError::File)?;
        if found.as_ref().map(|found| found.identity) != decided_on.identity {
            return Err(WriteError::Changed);
        }
        let content = found.map(|found| found.content).unwrap_or_default();
        Ok(Write { path: self.target().map_err(WriteError::File)?, content, locks, deadline: *deadline, now })
    }

    fn found(&self) -> Result<Option<owned_file::Found>, Problem> {
        owned_file::read(&self.target()?, self.owner, LIMIT, Guard::Owned)
    }

    /// The file itself where the path is a link: it is rewritten in its own place, and the link stays a link.
    fn target(&self) -> Result<PathBuf, Problem> {
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return Ok(self.path.clone());
        }
        // A link that leads nowhere is left to `read`, which refuses links.
        Ok(fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()))
    }
}

/// A write that may go ahead: Claude Code's refresh locks are held until this is dropped.
pub struct Write {
    path: PathBuf,
    content: Zeroizing<Vec<u8>>,
    locks: RefreshLocks,
    deadline: Deadline,
    now: Timestamp,
}

impl Write {
    /// What is about to be replaced; empty if there is no file.
    pub fn replaces(&self) -> &[u8] {
        &self.content
    }

    /// Replaces the login and keeps everything else.
    ///
    /// # Errors
    /// [`WriteError`]; the old file is then still in place.
    pub fn login(self, login: &OauthLogin) -> Result<(), WriteError> {
        let content = Zeroizing::new(local_login::with_login(&self.content, login.json.expose()));
        self.content(content.as_bytes())
    }

    /// Replaces the whole file, to put back what a restore replaced.
    ///
    /// # Errors
    /// [`WriteError`]; the old file is then still in place.
    pub fn content(self, content: &[u8]) -> Result<(), WriteError> {
        let _write = self.locks.write_lock(&self.deadline, self.now).map_err(WriteError::Lock)?;
        owned_file::replace(&self.path, content).map_err(WriteError::File).map(drop)
    }
}

/// Why the credential file was not written. The old one is still in place.
#[derive(Debug)]
pub enum WriteError {
    /// Somebody else wrote it since it was looked at.
    Changed,
    /// Claude Code's locks could not be had.
    Lock(LockError),
    /// The file could not be read or written.
    File(Problem),
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => {
                formatter.write_str("the credential file was written by somebody else meanwhile")
            }
            Self::Lock(error) => error.fmt(formatter),
            Self::File(problem) => problem.fmt(formatter),
        }
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use nix::unistd::Uid;
    use serde_json::value::RawValue;

    use super::*;
    use crate::oauth_login::{self, Parsed};

    const TOMBSTONE: &str = r#"{"mcpOAuth":{"k":1.0},"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0},"other":[1, 2]}"#;

    fn good() -> OauthLogin {
        let json = r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#;
        match oauth_login::parse(serde_json::from_str::<&RawValue>(json).expect("it is JSON")) {
            Parsed::Login(login) => login,
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
        file(path).begin(&snapshot, &soon(), now)?.login(&good())
    }

    #[test]
    fn a_login_is_put_back_and_everything_else_stays() {
        let home = tempfile::tempdir().expect("a scratch home");
        let path = home.path().join(".claude/.credentials.json");
        restore(&path).expect("written where there was nothing, directory included");
        fs::write(&path, TOMBSTONE).expect("a tombstone");
        restore(&path).expect("written");
        let expected = TOMBSTONE.replace(
            r#"{"accessToken":"","refreshToken":"","expiresAt":0}"#,
            r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#,
        );
        assert_eq!(fs::read_to_string(&path).expect("readable"), expected);
        let left: Vec<_> = fs::read_dir(home.path().join(".claude")).expect("listed").collect();
        assert_eq!(left.len(), 1, "no lock and no temporary file is left: {left:?}");
    }

    #[test]
    fn a_file_that_changed_since_it_was_looked_at_is_not_written() {
        let home = tempfile::tempdir().expect("a scratch home");
        let path = home.path().join(".credentials.json");
        fs::write(&path, TOMBSTONE).expect("a tombstone");
        let snapshot = file(&path).read(Timestamp::from_millis(0));
        owned_file::replace(&path, br#"{"claudeAiOauth":null}"#).expect("somebody else writes");
        let refused = file(&path).begin(&snapshot, &soon(), Timestamp::from_millis(0)).err();
        assert!(matches!(refused, Some(WriteError::Changed)));
    }

    #[test]
    fn a_link_stays_a_link_and_its_target_is_mended() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, target) = (home.path().join("link"), home.path().join("elsewhere"));
        fs::write(&target, TOMBSTONE).expect("a tombstone");
        symlink(&target, &path).expect("a link");
        restore(&path).expect("written");
        assert!(fs::symlink_metadata(&path).expect("there").is_symlink());
        assert!(matches!(file(&target).read(Timestamp::from_millis(0)).login, LocalLogin::Stale(_)));

        fs::remove_file(&target).expect("the link leads nowhere now");
        assert!(matches!(file(&path).read(Timestamp::from_millis(0)).login, LocalLogin::Unreadable(_)));
        assert!(restore(&path).is_err());
    }
}
