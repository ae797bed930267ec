//! A person's `.credentials.json`, read and written as Claude Code does it: under its locks, after a second look, by
//! rename, with everything that is not the login kept.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::claude_files::locks::{self, LockError, RefreshLocks};
use crate::credential::json_edit;
use crate::credential::login::Login;
use crate::credential::login_file::{self, LoginFileState};
use crate::fs::atomic_file;
use crate::fs::file_id::FileId;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The largest credential file that is read, in bytes. Real ones have a few kilobytes. One with the
/// logins of more than a thousand MCP servers has 5 MiB, and Claude Code has no limit.
pub const LIMIT: usize = 64 << 20;

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
    pub login: LoginFileState,
    /// Its bytes; nothing if there is no file or it could not be read.
    pub content: Option<Zeroizing<Vec<u8>>>,
    /// Tells this content from any later one.
    pub identity: Option<FileId>,
}

impl CredentialsFile {
    /// The file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Looks at the file. Total: what cannot be read has a state too.
    pub fn read(&self, now: Timestamp) -> Snapshot {
        match self.found() {
            Ok(Some(found)) if self.is_foreign_symlink_target(&found.content) => {
                let why = format!(
                    "{} leads to a file that is none of Claude Code's: remove the link",
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

    /// Whether the file is the one that was looked at.
    pub fn is_unchanged_since(&self, snapshot: &Snapshot) -> bool {
        self.found().is_ok_and(|found| found.map(|found| found.identity) == snapshot.identity)
    }

    /// Whether some session of Claude Code is refreshing the login just now.
    pub fn is_refresh_in_progress(&self, now: Timestamp) -> bool {
        locks::is_refresh_locked(self.config_directory(), now)
    }

    /// Replaces the file by `content`, or removes it, provided it is still the one that was decided about. Claude Code's
    /// locks are held for a look and a rename only: everything slow is done before and after.
    ///
    /// # Errors
    /// [`WriteError`]; the old file is then still in place. After [`WriteError::Changed`] look and decide again.
    pub fn replace(
        &self,
        decided_on: &Snapshot,
        content: Option<&[u8]>,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let config_directory = self.config_directory();
        atomic_file::create_private_directory(config_directory)?;
        let target = self.target();
        let staged = content.map(|content| atomic_file::stage(&target, content)).transpose()?;
        {
            let locks = RefreshLocks::acquire(config_directory, deadline, now)?;
            let _write = locks.write_lock(deadline)?;
            if !self.is_unchanged_since(decided_on) {
                return Err(WriteError::Conflict);
            }
            // Not everybody heeds the locks: an older client, a script, and Claude Code itself when it logs out.
            let is_committed = match staged {
                Some(staged) => staged.commit_if_unchanged(decided_on.identity)?,
                None => atomic_file::remove(&target).map(|()| true)?,
            };
            if !is_committed {
                return Err(WriteError::Conflict);
            }
        }
        // The rename stands, whatever becomes of this: it must not be taken for a write that did not happen.
        drop(atomic_file::sync_parent_dir(&target));
        Ok(())
    }

    fn config_directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn found(&self) -> Result<Option<owned_file::FileContent>, FileError> {
        owned_file::read(&self.target(), self.owner, LIMIT, Ownership::Owner)
    }

    /// Whether the path is a link to something that is no credential file: that is nobody's to overwrite.
    fn is_foreign_symlink_target(&self, content: &[u8]) -> bool {
        self.target() != self.path && !json_edit::is_json_object(content)
    }

    /// The file itself where the path is a link: it is rewritten in its own place, and the link stays a link. One that
    /// leads nowhere is left to `read`, which refuses links.
    fn target(&self) -> PathBuf {
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink());
        let target = if is_link { fs::canonicalize(&self.path).ok() } else { None };
        target.unwrap_or_else(|| self.path.clone())
    }
}

impl Snapshot {
    /// The bytes; empty if there is no file.
    pub fn bytes(&self) -> &[u8] {
        self.content.as_ref().map(|content| content.as_slice()).unwrap_or_default()
    }

    /// The same content with `login` in the place of its login, and everything else kept.
    pub fn with_login(&self, login: &Login) -> Zeroizing<String> {
        Zeroizing::new(login_file::with_login(self.bytes(), login.json.expose()))
    }

    /// The same content with the login of `replaced` in the place of its login, and everything else kept; nothing when
    /// there was no file and nothing else is in this one.
    pub fn with_login_from(&self, replaced: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        login_file::with_login_from(self.bytes(), replaced).map(Zeroizing::new)
    }
}

/// Why the credential file was not written. The old one is still in place.
#[derive(Debug)]
pub enum WriteError {
    /// Somebody else wrote it since it was looked at.
    Conflict,
    /// Claude Code's locks could not be had.
    Lock(LockError),
    /// The file could not be read or written.
    File(FileError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => {
                formatter.write_str("the credential file was written by somebody else meanwhile")
            }
            Self::Lock(error) => error.fmt(formatter),
            Self::File(problem) => problem.fmt(formatter),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<LockError> for WriteError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<FileError> for WriteError {
    fn from(problem: FileError) -> Self {
        Self::File(problem)
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

    const TOMBSTONE: &str = r#"{"mcpOAuth":{"k":1.0},"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0},"other":[1, 2]}"#;

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
        file(path).replace(&snapshot, Some(snapshot.with_login(&good()).as_bytes()), &soon(), now)
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
        atomic_file::write_atomic(&path, br#"{"claudeAiOauth":null}"#).expect("somebody else writes");
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
    fn a_link_stays_a_link_and_its_target_is_mended() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, target) = (home.path().join("link"), home.path().join("elsewhere"));
        fs::write(&target, TOMBSTONE).expect("a tombstone");
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
    fn a_link_to_something_else_is_not_followed_into_damage() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (path, target) = (home.path().join(".credentials.json"), home.path().join("authorized_keys"));
        fs::write(&target, "ssh-ed25519 AAAA alice").expect("a file");
        symlink(&target, &path).expect("a link");
        let snapshot = file(&path).read(Timestamp::from_millis(0));
        assert!(
            matches!(&snapshot.login, LoginFileState::Unreadable(why) if why.contains("remove the link"))
        );
        assert!(restore(&path).is_err());
        assert_eq!(fs::read_to_string(&target).expect("there"), "ssh-ed25519 AAAA alice");
    }
}
