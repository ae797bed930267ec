//! Reads what everybody has published, as root, without trusting any of them: nothing is followed, waited for, or read beyond
//! a bound, no mount of theirs is entered, and a file counts only if it is the person's own.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use cas_core::outcome::state_report::FILE_NAME;
use cas_core::system::identity::Identities;
use cas_protocol::paths;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::Mode;

use super::accounts::Accounts;
use super::report::PublishedReport;
use super::{LIMIT, USERS_DIR};

/// Somebody who is enrolled.
#[derive(Clone, Debug)]
pub(crate) struct EnrolledUser {
    /// Their login name.
    pub(crate) name: String,
    /// What they have published.
    pub(crate) found: PublishedEntry,
}

/// What is known of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublishedEntry {
    /// How their last sync ended.
    Standing(Box<PublishedReport>),
    /// No sync has published anything yet.
    Nothing,
    /// What lies there is no state of theirs, and why.
    Unreadable(String),
    /// The account that was enrolled is not there any more, and why.
    Gone(String),
}

/// Everybody who is enrolled, in the order of their names. `state` is the folder with the markers; `look_up` finds
/// out which of these names have accounts.
///
/// # Errors
/// When it cannot be read who is enrolled.
pub(crate) fn read_all(
    state: &Path,
    look_up: impl FnOnce(&[String]) -> Accounts,
) -> io::Result<Vec<EnrolledUser>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(state.join("enrolled"))? {
        names.push(entry?.file_name());
    }
    names.sort();
    let text: Vec<String> = names.iter().filter_map(|name| name.to_str().map(str::to_owned)).collect();
    let reader = Reader::of(state, look_up(&text))?;
    // Whoever else is named there was not enrolled by us.
    let is_plain = |name: &OsString| paths::is_valid_user_name(name.as_bytes());
    let person = |name: OsString| match name.into_string() {
        Ok(name) => EnrolledUser { found: reader.read(&name), name },
        Err(name) => EnrolledUser {
            name: name.to_string_lossy().into_owned(),
            found: PublishedEntry::Unreadable(
                "the name is no UTF-8, and no unit can be named after it".into(),
            ),
        },
    };
    Ok(names.into_iter().filter(is_plain).map(person).collect())
}

/// What this person has published.
///
/// # Errors
/// When the folders cannot be looked into at all.
pub(crate) fn read_one(
    state: &Path,
    look_up: impl FnOnce(&[String]) -> Accounts,
    name: &str,
) -> io::Result<EnrolledUser> {
    let accounts = look_up(&[name.to_owned()]);
    Ok(EnrolledUser { name: name.to_owned(), found: Reader::of(state, accounts)?.read(name) })
}

struct Reader {
    /// Nothing where nobody's service ever ran.
    people: Option<File>,
    accounts: Accounts,
    identities: Identities,
}

impl Reader {
    fn of(state: &Path, accounts: Accounts) -> io::Result<Self> {
        let directory = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let people = match OpenOptions::new().read(true).custom_flags(directory).open(state.join(USERS_DIR)) {
            Ok(people) => Some(people),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { people, accounts, identities: Identities::in_directory(state) })
    }

    fn read(&self, name: &str) -> PublishedEntry {
        let bound = match self.identities.bound_uid(name) {
            Ok(bound) => bound,
            Err(error) => return PublishedEntry::Unreadable(error.to_string()),
        };
        if let Some(missing) = self.accounts.missing(name, bound) {
            return PublishedEntry::Gone(missing.describe(name));
        }
        let Some(people) = &self.people else { return PublishedEntry::Nothing };
        match self.content(people, name, bound) {
            Ok(None) => PublishedEntry::Nothing,
            Ok(Some(content)) => match PublishedReport::parse(&content) {
                Ok(standing) => PublishedEntry::Standing(Box::new(standing)),
                Err(why) => PublishedEntry::Unreadable(why.to_owned()),
            },
            Err(why) => PublishedEntry::Unreadable(why),
        }
    }

    fn content(&self, people: &File, name: &str, bound: Option<u32>) -> Result<Option<Vec<u8>>, String> {
        let Some((folder, owner)) = self.folder(people, name, bound)? else { return Ok(None) };
        let reading = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(file) = opened(&folder, FILE_NAME, reading)? else { return Ok(None) };
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no regular file".into());
        }
        if metadata.uid() != owner {
            return Err(format!("it belongs to user id {}, and not to {owner}", metadata.uid()));
        }
        let expected = usize::try_from(metadata.len()).unwrap_or(LIMIT).min(LIMIT);
        // With room for one more byte, the end is found without asking for more room.
        let mut content = Vec::with_capacity(expected + 1);
        file.take(LIMIT as u64 + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
        if content.len() > LIMIT { Err("it is larger than 64 KiB".into()) } else { Ok(Some(content)) }
    }

    /// The folder, and its owner, which must be the account that was enrolled: the uid may belong to another user by now. Nothing
    /// where there is none.
    fn folder(&self, people: &File, name: &str, bound: Option<u32>) -> Result<Option<(File, u32)>, String> {
        let Some(folder) = opened(people, name, OFlag::O_PATH | OFlag::O_DIRECTORY)? else { return Ok(None) };
        let owner = folder.metadata().map_err(|error| error.to_string())?.uid();
        match self.accounts.uid(name).or(bound) {
            Some(uid) if uid == owner => Ok(Some((folder, owner))),
            Some(uid) => Err(format!(
                "the folder belongs to user id {owner}, and {name} is {uid}: `cas-sync enroll {name}`"
            )),
            None => Err("the directory does not say which account that is".into()),
        }
    }
}

/// What has this name in the folder; nothing where there is none. No link is followed, and no file system of theirs that is
/// mounted over it is asked for anything, its owner included: it may never answer.
fn opened(folder: &File, name: &str, flags: OFlag) -> Result<Option<File>, String> {
    let how = OpenHow::new().flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).mode(Mode::empty()).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS,
    );
    match openat2(folder, Path::new(name), how) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(why_not_opened(errno)),
    }
}

fn why_not_opened(errno: Errno) -> String {
    match errno {
        Errno::ELOOP => "it is a link".into(),
        Errno::EXDEV => "something is mounted there".into(),
        // A lease keeps whoever opens a file waiting, unless they refuse to.
        Errno::EWOULDBLOCK => "a process of theirs holds it".into(),
        // A socket.
        Errno::ENXIO => "it is no regular file".into(),
        Errno::ENOTDIR => "the folder is none".into(),
        errno => format!("it cannot be opened: {errno}"),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
