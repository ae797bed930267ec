//! A path in a directory that a user owns. It can lead to any file, or to a file system of the user
//! that does not answer. So this type cannot be opened: only a process that acts as the user gets a
//! path, from [`become_user`](super::privileges::become_user) or
//! [`Account::for_session`](super::account::Account::for_session).

use std::fmt;
use std::path::{Path, PathBuf};

/// A path that root can name and cannot open.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPath(PathBuf);

impl UserPath {
    /// Returns true if the path begins with these components. Nothing is resolved.
    pub fn starts_with(&self, directory: &str) -> bool {
        self.0.starts_with(directory)
    }

    /// Returns the path, for a process that acts as the user.
    pub(super) fn into_path(self) -> PathBuf {
        self.0
    }
}

impl From<PathBuf> for UserPath {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl From<&Path> for UserPath {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl From<&str> for UserPath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for UserPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(formatter)
    }
}

impl fmt::Debug for UserPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// ```compile_fail
/// use cas_core::system::account::Account;
/// let account = Account::from_name("alice").unwrap();
/// drop(std::fs::read_dir(&account.home));
/// ```
///
/// ```compile_fail
/// use cas_core::system::account::{Account, Paths};
/// let account = Account::from_name("alice").unwrap();
/// let paths = Paths::new(&account.home, |_| None);
/// ```
///
/// ```
/// use cas_core::system::account::Account;
/// let account = Account::from_name("root").unwrap();
/// println!("{} {}", account.home, account.home.starts_with("/usr"));
/// ```
#[cfg(doctest)]
struct RootCannotOpenAHome;
