//! Reads the published state of each enrolled user.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cas_core::fs::directories::list_names;
use cas_core::fs::owned_file::{self, Ownership};
use cas_core::system::identity::Identities;
use cas_protocol::paths;
use nix::unistd::Uid;

use super::accounts::Accounts;
use super::record::PublishedRecord;
pub(crate) use super::report::PublishedEntry;
use super::{MAX_SIZE, PUBLISHED_DIR};

/// An enrolled user.
#[derive(Clone, Debug)]
pub(crate) struct EnrolledUser {
    /// The login name.
    pub(crate) name: String,
    /// The published state.
    pub(crate) found: PublishedEntry,
}

/// Returns all enrolled users, ordered by name. `state` is the directory with the markers;
/// `look_up` looks up the accounts of these names.
///
/// # Errors
/// If the markers cannot be read.
pub(crate) fn read_all(
    state: &Path,
    look_up: impl FnOnce(&[String]) -> Accounts,
) -> io::Result<Vec<EnrolledUser>> {
    let names = list_names(&state.join(paths::ENROLLED))?.ok_or(io::ErrorKind::NotFound)?;
    let text: Vec<String> = names.iter().filter_map(|name| name.to_str().map(str::to_owned)).collect();
    let reader = PublishedReader::new(state, look_up(&text));
    // Other names were not enrolled by cas-sync.
    let is_plain = |name: &OsString| paths::is_valid_user_name(name.as_bytes());
    let user = |name: OsString| match name.into_string() {
        Ok(name) => EnrolledUser { found: reader.read(&name), name },
        Err(name) => EnrolledUser {
            name: name.to_string_lossy().into_owned(),
            found: PublishedEntry::Unreadable(
                "the name is not UTF-8, so that no unit can be named after it".into(),
            ),
        },
    };
    Ok(names.into_iter().filter(is_plain).map(user).collect())
}

/// Returns the published state of this user.
pub(crate) fn read_one(
    state: &Path,
    look_up: impl FnOnce(&[String]) -> Accounts,
    name: &str,
) -> EnrolledUser {
    let accounts = look_up(&[name.to_owned()]);
    EnrolledUser { name: name.to_owned(), found: PublishedReader::new(state, accounts).read(name) }
}

struct PublishedReader {
    published: PathBuf,
    accounts: Accounts,
    identities: Identities,
}

impl PublishedReader {
    fn new(state: &Path, accounts: Accounts) -> Self {
        let identities = Identities::in_directory(state);
        Self { published: state.join(PUBLISHED_DIR), accounts, identities }
    }

    fn read(&self, name: &str) -> PublishedEntry {
        let bound = match self.identities.bound_uid(name) {
            Ok(bound) => bound,
            Err(error) => return PublishedEntry::Unreadable(error.to_string()),
        };
        if let Some(missing) = self.accounts.missing(name, bound) {
            return PublishedEntry::AccountMissing(missing.describe(name));
        }
        // A file that other users can write does not count.
        let file = owned_file::read(
            &self.published.join(name),
            Uid::effective().as_raw(),
            MAX_SIZE,
            Ownership::OwnerOnlyWritable,
        );
        let content = match file {
            Ok(None) => return PublishedEntry::Nothing,
            Ok(Some(file)) => file.content,
            Err(error) => return PublishedEntry::Unreadable(error.to_string()),
        };
        let Some(record) = PublishedRecord::parse(&content) else {
            return PublishedEntry::Unreadable(
                "the published file is damaged; the next sync replaces it".into(),
            );
        };
        match (self.accounts.uid(name).or(bound), record.uid()) {
            (Some(uid), Some(published)) if uid == published => record.entry(),
            (Some(uid), Some(published)) => PublishedEntry::Unreadable(format!(
                "it was published for user id {published}, and {name} is {uid}; run `systemctl start claude-auth-sync@{name}.service`"
            )),
            (None, _) => {
                PublishedEntry::Unreadable("the directory service does not report the account".into())
            }
            (_, None) => PublishedEntry::Unreadable("it does not name its user".into()),
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
