//! The binding of login names to uids on this machine. A name can be given to another account after
//! its owner has left, and that account must not get the login in the store. Enrolling a user
//! writes the binding. Only an administrator changes it (`cas-sync provision --adopt NAME`).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::account::Account;
use crate::fs::directory_owner::{self, DirectoryOwner};
use cas_protocol::paths::{self, ENROLLED, IDENTITIES, STATE_DIR, USERS_0_1_0};
use nix::fcntl::OFlag;

/// The maximum length of a file in bytes. It contains the uid in decimal and a newline. Root owns
/// it.
const MAX_LEN: usize = 16;

/// The bindings in one state directory.
#[derive(Clone, Debug)]
pub struct Identities {
    state: PathBuf,
}

impl Identities {
    /// Returns the bindings of this machine.
    pub fn open() -> Self {
        Self::in_directory(Path::new(STATE_DIR))
    }

    /// Returns the bindings in this state directory.
    pub fn in_directory(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Returns the path of the file that binds `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.state.join(IDENTITIES).join(name)
    }

    /// Returns the uid that `name` is bound to, or `None` if it is not bound. For a name that
    /// version 0.1.0 enrolled there is no file, but the directory of the published state belongs to
    /// the account that was enrolled, so its owner is returned.
    ///
    /// # Errors
    /// Returns [`IdentityError::Unreadable`] if the file cannot be read or contains no uid.
    pub fn bound_uid(&self, name: &str) -> Result<Option<u32>, IdentityError> {
        let unreadable = |why: String| IdentityError::Unreadable { name: name.to_owned(), why };
        if !paths::is_valid_user_name(name.as_bytes()) {
            return Ok(None);
        }
        // One descriptor for all: `cas-sync status` does this for every enrolled user.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = File::options().read(true).custom_flags(flags.bits()).open(self.path(name));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(self.legacy_uid(name));
            }
            Err(error) => return Err(unreadable(format!("cannot be read: {error}"))),
        };
        let cannot_read = |error: io::Error| unreadable(format!("cannot be read: {error}"));
        let found = file.metadata().map_err(cannot_read)?;
        if !found.is_file() || found.mode() & 0o022 != 0 || found.len() > MAX_LEN as u64 {
            return Err(unreadable(
                "is not a regular file of at most 16 bytes, or other users can write it".to_owned(),
            ));
        }
        let mut content = [0; MAX_LEN];
        let length = file.read(&mut content).map_err(cannot_read)?;
        let text = content.get(..length).and_then(|text| std::str::from_utf8(text).ok());
        let uid = text.and_then(|text| text.trim_end().parse().ok());
        uid.map(Some).ok_or_else(|| unreadable("does not contain a uid".to_owned()))
    }

    /// Returns an error if this account has another uid than the one its name is bound to.
    ///
    /// # Errors
    /// Returns [`IdentityError`], whose text is for an administrator.
    pub fn check<Home>(&self, account: &Account<Home>) -> Result<(), IdentityError> {
        match self.bound_uid(&account.name)? {
            Some(bound) if bound != account.uid.as_raw() => {
                let (name, found) = (account.name.clone(), account.uid.as_raw());
                Err(IdentityError::Reused(ReusedName { name, bound, found }))
            }
            _ => Ok(()),
        }
    }

    fn legacy_uid(&self, name: &str) -> Option<u32> {
        fs::symlink_metadata(self.state.join(ENROLLED).join(name)).ok()?;
        match directory_owner::look_at(&self.state.join(USERS_0_1_0).join(name)).ok()?? {
            DirectoryOwner::Owned { uid, .. } => Some(uid).filter(|uid| *uid != 0),
            DirectoryOwner::Mounted | DirectoryOwner::NotDirectory => None,
        }
    }
}

/// The reason why an account is not accepted as the account that was enrolled by this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// The name was enrolled for an account with another uid.
    Reused(ReusedName),
    /// The record cannot be read.
    Unreadable {
        /// The login name.
        name: String,
        /// The cause, as the end of a sentence about the file.
        why: String,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reused(reused) => {
                write!(formatter, "cannot use the credentials of {}: {reused}", reused.name)
            }
            Self::Unreadable { name, why } => write!(
                formatter,
                "cannot tell which uid {name} was enrolled for: {STATE_DIR}/{IDENTITIES}/{name} {why}; \
                 `cas-sync provision --adopt {name}` writes it again"
            ),
        }
    }
}

impl std::error::Error for IdentityError {}

/// A name whose account has another uid than the one for which the name was enrolled. Its text
/// contains the remedies for an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReusedName {
    /// The login name.
    pub name: String,
    /// The uid of the account that was enrolled.
    pub bound: u32,
    /// The uid of the current account.
    pub found: u32,
}

impl fmt::Display for ReusedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, bound, found } = self;
        write!(
            formatter,
            "the name was enrolled for uid {bound}, and its account has uid {found} now; \
             for the same user run `cas-sync provision --adopt {name}`; for another user first delete \
             the former user's document with `cas-sync provision --offboard {name} --delete-document`"
        )
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Gid, Uid};

    use super::*;

    fn account(uid: u32) -> Account {
        Account {
            name: "ada".into(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(1),
            home: "/home/ada".into(),
        }
    }

    #[test]
    fn bound_name_with_another_uid_is_refused() {
        let state = tempfile::tempdir().expect("a scratch directory");
        let identities = Identities::in_directory(state.path());
        fs::create_dir(state.path().join(IDENTITIES)).expect("a directory");
        assert_eq!(identities.check(&account(1001)), Ok(()), "a name that was never enrolled");
        fs::write(identities.path("ada"), "1001\n").expect("bound");
        assert_eq!(identities.check(&account(1001)), Ok(()));
        let refused = identities.check(&account(1005)).expect_err("another account").to_string();
        assert!(refused.contains("enrolled for uid 1001") && refused.contains("--adopt ada"), "{refused}");
    }

    #[test]
    fn unreadable_binding_is_refused() {
        let state = tempfile::tempdir().expect("a scratch directory");
        let identities = Identities::in_directory(state.path());
        fs::create_dir(state.path().join(IDENTITIES)).expect("a directory");
        for text in ["", "ada\n", "-1\n", "4294967296\n", "1001 and much more than that\n"] {
            fs::write(identities.path("ada"), text).expect("damaged");
            assert!(identities.check(&account(1001)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn name_from_version_0_1_0_has_uid_of_its_directory() {
        let state = tempfile::tempdir().expect("a scratch directory");
        let identities = Identities::in_directory(state.path());
        for folder in ["enrolled", "people", "people/ada"] {
            fs::create_dir(state.path().join(folder)).expect("a directory");
        }
        assert_eq!(identities.bound_uid("ada"), Ok(None), "not enrolled");
        fs::write(state.path().join("enrolled/ada"), "").expect("a marker");
        let owner = fs::metadata(state.path()).expect("a directory").uid();
        assert_eq!(identities.bound_uid("ada"), Ok(Some(owner).filter(|uid| *uid != 0)));
        if owner == 0 {
            std::os::unix::fs::chown(state.path().join("people/ada"), Some(1001), None).expect("root may");
            assert_eq!(identities.bound_uid("ada"), Ok(Some(1001)));
        }
    }
}
