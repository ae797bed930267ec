//! Who somebody is, from the system's user database, and where their files lie.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User};

use cas_protocol::paths;

/// One account of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login name, without a slash, a control character or a leading dash.
    pub name: String,
    /// The user id.
    pub uid: Uid,
    /// The primary group.
    pub gid: Gid,
    /// The home directory of the passwd entry; it need not be below /home.
    pub home: PathBuf,
}

impl Account {
    /// Whether the home is yet to come, with a session: there is none, or what lies there looks like a mountpoint, because
    /// nothing there is in use, and it is empty, or somebody else's. What is made in that would be in the way, and come to
    /// light when the home is unmounted.
    pub fn is_home_unavailable(&self, paths: &Paths) -> bool {
        let is_empty = || fs::read_dir(&self.home).is_ok_and(|mut entries| entries.next().is_none());
        let is_missing_or_a_mountpoint = match fs::metadata(&self.home) {
            Ok(home) => home.uid() != self.uid.as_raw() || is_empty(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        !paths.any_exists() && is_missing_or_a_mountpoint
    }

    /// Looks a person up by login name.
    ///
    /// # Errors
    /// [`AccountError`] when there is no such account, or its name cannot be a file name.
    pub fn from_name(name: &str) -> Result<Self, AccountError> {
        if !paths::is_valid_user_name(name.as_bytes()) {
            return Err(AccountError {
                asked: name.to_owned(),
                why: "this cannot be a login name here; give the name of one account, as in `getent passwd`"
                    .into(),
            });
        }
        Self::from_entry(name, User::from_name(name))
    }

    /// Looks up whose user id this is.
    ///
    /// # Errors
    /// [`AccountError`] as for [`Account::named`].
    pub fn from_uid(uid: Uid) -> Result<Self, AccountError> {
        let account = Self::from_entry(&format!("user id {uid}"), User::from_uid(uid))?;
        if paths::is_valid_user_name(account.name.as_bytes()) {
            return Ok(account);
        }
        Err(AccountError {
            asked: account.name,
            why: "this cannot be a login name here; give the name of one account, as in `getent passwd`"
                .into(),
        })
    }

    fn from_entry(asked: &str, entry: Result<Option<User>, Errno>) -> Result<Self, AccountError> {
        let unknown = |why: String| AccountError { asked: asked.to_owned(), why };
        match entry {
            Ok(Some(user)) => Ok(Self { name: user.name, uid: user.uid, gid: user.gid, home: user.dir }),
            Ok(None) => {
                Err(unknown("the system has no such account; check the spelling with `getent passwd`".into()))
            }
            Err(errno) => Err(unknown(format!("the user database cannot be read: {errno}"))),
        }
    }
}

/// There is no such person here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountError {
    asked: String,
    why: String,
}

impl fmt::Display for AccountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.asked, self.why)
    }
}

impl std::error::Error for AccountError {}

/// Where one person's files lie; the names are a contract with other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Claude Code's credential file.
    pub credentials_file: PathBuf,
    /// The scoped Vault token.
    pub vault_token_file: PathBuf,
    /// The setup-token's env file.
    pub env_file: PathBuf,
    /// The state directory.
    pub state_directory: PathBuf,
}

impl Paths {
    /// The usual places in this home, with the overrides that `variable` knows (an environment, given as a function).
    pub fn new(home: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let or =
            |name: &str, usual: PathBuf| variable(name).filter(|path| path.is_absolute()).unwrap_or(usual);
        let config = or("CLAUDE_AUTH_CONFIG_DIR", home.join(".config/claude-auth-sync"));
        Self {
            credentials_file: or("CLAUDE_CREDENTIALS_FILE", home.join(".claude/.credentials.json")),
            vault_token_file: or("CLAUDE_AUTH_VAULT_TOKEN_FILE", config.join("vault-token")),
            env_file: or("CLAUDE_AUTH_TOKEN_ENV_FILE", config.join("claude-oauth.env")),
            state_directory: or("CLAUDE_AUTH_STATE_DIR", home.join(".local/state/claude-auth-sync")),
        }
    }

    /// Whether there is anything of Claude Code's or of ours yet.
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
    fn a_name_that_could_lead_elsewhere_is_no_account() {
        for name in ["", ".", "..", "-x", "a/b", "../root", "a\nb", "a\0b", &"x".repeat(256)] {
            assert!(Account::from_name(name).is_err(), "{name:?}");
        }
        assert_eq!(Account::from_name("root").map(|account| account.uid), Ok(Uid::from_raw(0)));
        let message = Account::from_name("no-such-user-here").expect_err("nobody has that name").to_string();
        assert!(message.contains("getent passwd"), "{message}");
    }

    #[test]
    fn the_usual_places_and_their_overrides() {
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
        assert_eq!(moved.state_directory, usual.state_directory, "a relative path is no place");
    }
}
