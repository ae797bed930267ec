//! Reads what everybody has published, as root, without trusting any of them: nothing is followed, waited for, or read beyond
//! a bound, no mount of theirs is entered, and a file counts only if it is the person's own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use cas_core::outcome::state_report::FILE_NAME;
use cas_protocol::paths;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::Mode;

use super::report::PublishedReport;
use super::{LIMIT, USERS_DIR};

/// The accounts of this machine.
pub(crate) const PASSWD: &str = "/etc/passwd";

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
}

/// Everybody who is enrolled, in the order of their names. `state` is the folder with the markers, `passwd` the machine's
/// own list of accounts: whoever is not in it comes from a directory, which is not asked, since it may hang.
///
/// # Errors
/// When it cannot be read who is enrolled.
pub(crate) fn read_all(state: &Path, passwd: &Path) -> io::Result<Vec<EnrolledUser>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(state.join("enrolled"))? {
        names.push(entry?.file_name());
    }
    names.sort();
    let reader = Reader::of(state, passwd)?;
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
pub(crate) fn read_one(state: &Path, passwd: &Path, name: &str) -> io::Result<EnrolledUser> {
    Ok(EnrolledUser { name: name.to_owned(), found: Reader::of(state, passwd)?.read(name) })
}

struct Reader {
    /// Nothing where nobody's service ever ran.
    people: Option<File>,
    accounts: HashMap<Vec<u8>, u32>,
}

impl Reader {
    fn of(state: &Path, passwd: &Path) -> io::Result<Self> {
        let directory = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let people = match OpenOptions::new().read(true).custom_flags(directory).open(state.join(USERS_DIR)) {
            Ok(people) => Some(people),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { people, accounts: accounts(passwd) })
    }

    fn read(&self, name: &str) -> PublishedEntry {
        let Some(people) = &self.people else { return PublishedEntry::Nothing };
        match self.content(people, name) {
            Ok(None) => PublishedEntry::Nothing,
            Ok(Some(content)) => match PublishedReport::parse(&content) {
                Ok(standing) => PublishedEntry::Standing(Box::new(standing)),
                Err(why) => PublishedEntry::Unreadable(why.to_owned()),
            },
            Err(why) => PublishedEntry::Unreadable(why),
        }
    }

    fn content(&self, people: &File, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Some((folder, owner)) = self.folder(people, name)? else { return Ok(None) };
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

    /// The folder, and whose it is: systemd gave it to the person, and only root could have changed that since. Nothing where
    /// there is none.
    fn folder(&self, people: &File, name: &str) -> Result<Option<(File, u32)>, String> {
        let Some(folder) = opened(people, name, OFlag::O_PATH | OFlag::O_DIRECTORY)? else { return Ok(None) };
        let owner = folder.metadata().map_err(|error| error.to_string())?.uid();
        match self.accounts.get(name.as_bytes()) {
            // The account was made anew, or the number went to somebody else.
            Some(uid) if *uid != owner => Err(format!(
                "the folder belongs to user id {owner}, and {name} is {uid}: `cas-sync enroll {name}`"
            )),
            _ => Ok(Some((folder, owner))),
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

/// The user ids of the accounts of this machine.
fn accounts(passwd: &Path) -> HashMap<Vec<u8>, u32> {
    let content = fs::read(passwd).unwrap_or_default();
    let account = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        Some((name.to_owned(), std::str::from_utf8(uid).ok()?.parse().ok()?))
    };
    content.split(|byte| *byte == b'\n').filter_map(account).collect()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
