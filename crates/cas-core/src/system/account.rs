//! Accounts of the system's user database, and the paths of a user's files.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User};

use crate::fs::obstacle;
use crate::system::user_path::UserPath;
use cas_protocol::paths;

/// The reason why a name that cannot be a file name is rejected.
const INVALID_NAME: &str = "it is not a valid login name; run `getent passwd` for the names";

/// One account of the system. In a process that acts as this user, the home is a path. In any other
/// it is a [`UserPath`], which cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account<Home = PathBuf> {
    /// The login name, without a slash, a control character or a leading dash.
    pub name: String,
    /// The user id.
    pub uid: Uid,
    /// The primary group.
    pub gid: Gid,
    /// The home directory of the passwd entry; it need not be below /home.
    pub home: Home,
}

/// Why a home cannot be used. The text is the rest of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeProblem {
    /// None of our files are there, and it is missing, empty, or owned by another user, as a mount
    /// point is. A mount would hide a file that is created there.
    NotInUse(PathBuf),
    /// It is encrypted, and its key is not available: no file can be found by its name.
    Locked(PathBuf),
}

impl fmt::Display for HomeProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInUse(home) => {
                write!(formatter, "the home is missing, not mounted, or not in use yet: {}", home.display())
            }
            Self::Locked(home) => write!(
                formatter,
                "the home is encrypted and its key is not available: {}; log in, which unlocks it",
                home.display()
            ),
        }
    }
}

/// An account as the user database returns it, with a home that cannot be opened.
pub type AccountEntry = Account<UserPath>;

impl Account {
    /// Returns why the home cannot be used now, and nothing may be created in it.
    pub fn home_problem(&self, paths: &Paths) -> Option<HomeProblem> {
        if paths.any_exists() {
            return None;
        }
        let is_empty = || fs::read_dir(&self.home).is_ok_and(|mut entries| entries.next().is_none());
        let is_missing_or_mount_point = match fs::metadata(&self.home) {
            Ok(home) => home.uid() != self.uid.as_raw() || is_empty(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_missing_or_mount_point {
            return Some(HomeProblem::NotInUse(self.home.clone()));
        }
        obstacle::is_locked(&self.home).then(|| HomeProblem::Locked(self.home.clone()))
    }

    /// Returns the account of this process, whose effective uid is `uid`: the login name if it has
    /// this uid, otherwise the first account with the uid. Two names can share a uid and must not
    /// be confused.
    ///
    /// # Errors
    /// [`AccountError`] as for [`AccountEntry::from_uid`], and for a uid that this process does not
    /// have.
    pub fn for_session(uid: Uid, login_name: Option<&str>) -> Result<Self, AccountError> {
        let first = AccountEntry::from_uid(uid)?;
        if uid != Uid::effective() {
            return Err(AccountError {
                asked: first.name,
                why: "this process does not act as this user".into(),
            });
        }
        let named =
            login_name.filter(|name| *name != first.name).and_then(|name| AccountEntry::from_name(name).ok());
        Ok(named.filter(|account| account.uid == uid).unwrap_or(first).into_own())
    }
}

impl AccountEntry {
    /// Looks up a user by login name.
    ///
    /// # Errors
    /// [`AccountError`] if there is no such account, or its name cannot be a file name.
    pub fn from_name(name: &str) -> Result<Self, AccountError> {
        if !paths::is_valid_user_name(name.as_bytes()) {
            return Err(AccountError { asked: name.to_owned(), why: INVALID_NAME.into() });
        }
        Self::from_entry(name, User::from_name(name))
    }

    /// Looks up the account of a user id.
    ///
    /// # Errors
    /// [`AccountError`] as for [`AccountEntry::from_name`].
    pub fn from_uid(uid: Uid) -> Result<Self, AccountError> {
        let account = Self::from_entry(&format!("user id {uid}"), User::from_uid(uid))?;
        if paths::is_valid_user_name(account.name.as_bytes()) {
            return Ok(account);
        }
        Err(AccountError { asked: account.name, why: INVALID_NAME.into() })
    }

    /// Returns the same account for a process that acts as this user.
    pub(super) fn into_own(self) -> Account {
        Account { name: self.name, uid: self.uid, gid: self.gid, home: self.home.into_path() }
    }

    fn from_entry(asked: &str, entry: Result<Option<User>, Errno>) -> Result<Self, AccountError> {
        let unknown = |why: String| AccountError { asked: asked.to_owned(), why };
        match entry {
            Ok(Some(user)) => {
                Ok(Self { name: user.name, uid: user.uid, gid: user.gid, home: user.dir.into() })
            }
            Ok(None) => {
                Err(unknown("there is no such account; check the spelling with `getent passwd`".into()))
            }
            Err(errno) => Err(unknown(format!("cannot read the user database: {errno}"))),
        }
    }
}

/// The account does not exist or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use account {asked:?}: {why}")]
pub struct AccountError {
    asked: String,
    why: String,
}

/// The paths of a user's files. The names are a contract with other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Claude Code's credential file.
    pub credentials_file: PathBuf,
    /// The user's Vault token.
    pub vault_token_file: PathBuf,
    /// The env file of the setup token.
    pub env_file: PathBuf,
    /// The state directory.
    pub state_directory: PathBuf,
}

impl Paths {
    /// The environment variables that replace the default paths.
    pub const VARIABLES: [&str; 5] = [
        "CLAUDE_CREDENTIALS_FILE",
        "CLAUDE_AUTH_CONFIG_DIR",
        "CLAUDE_AUTH_VAULT_TOKEN_FILE",
        "CLAUDE_AUTH_TOKEN_ENV_FILE",
        "CLAUDE_AUTH_STATE_DIR",
    ];

    /// Returns the default paths in this home, with the overrides of `variable` (an environment,
    /// given as a function). A relative path is ignored.
    pub fn new(home: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let path = |name: &str, default: PathBuf| {
            variable(name).filter(|path| path.is_absolute()).unwrap_or(default)
        };
        let config = path("CLAUDE_AUTH_CONFIG_DIR", home.join(".config/claude-auth-sync"));
        Self {
            credentials_file: path("CLAUDE_CREDENTIALS_FILE", home.join(".claude/.credentials.json")),
            vault_token_file: path("CLAUDE_AUTH_VAULT_TOKEN_FILE", config.join("vault-token")),
            env_file: path("CLAUDE_AUTH_TOKEN_ENV_FILE", config.join("claude-oauth.env")),
            state_directory: path("CLAUDE_AUTH_STATE_DIR", home.join(".local/state/claude-auth-sync")),
        }
    }

    /// Returns true if a directory of Claude Code or of this project exists.
    fn any_exists(&self) -> bool {
        let folders =
            [&self.credentials_file, &self.vault_token_file, &self.env_file].map(|file| file.parent());
        folders.into_iter().flatten().any(Path::exists) || self.state_directory.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_name_with_path_parts_is_rejected() {
        for name in ["", ".", "..", "-x", "a/b", "../root", "a\nb", "a\0b", &"x".repeat(256)] {
            assert!(Account::from_name(name).is_err(), "{name:?}");
        }
        assert_eq!(Account::from_name("root").map(|account| account.uid), Ok(Uid::from_raw(0)));
        let message =
            Account::from_name("no-such-user-here").expect_err("the account does not exist").to_string();
        assert!(message.contains("getent passwd"), "{message}");
    }

    #[test]
    fn paths_default_to_the_home_and_can_be_overridden() {
        let usual = Paths::new(Path::new("/home/a"), |_| None);
        assert_eq!(usual.env_file, Path::new("/home/a/.config/claude-auth-sync/claude-oauth.env"));
        assert_eq!(usual.vault_token_file, Path::new("/home/a/.config/claude-auth-sync/vault-token"));
        assert_eq!(usual.state_directory, Path::new("/home/a/.local/state/claude-auth-sync"));
        let moved = Paths::new(Path::new("/home/a"), |name| match name {
            "CLAUDE_AUTH_CONFIG_DIR" => Some("/c".into()),
            "CLAUDE_AUTH_STATE_DIR" => Some("relative".into()),
            _ => None,
        });
        assert_eq!(moved.env_file, Path::new("/c/claude-oauth.env"));
        assert_eq!(moved.state_directory, usual.state_directory, "a relative path is ignored");
    }
}
