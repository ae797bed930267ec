//! Which accounts there are: this machine's own list, and what a directory answers in time. An enrolled name without an
//! account, or with another uid than it was enrolled for, is a finding of its own, and nothing that it published is read.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::unistd::User;

/// This machine's own list of accounts.
const PASSWD: &str = "/etc/passwd";

/// How long a directory service may take for all names.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of the accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    local: HashMap<String, u32>,
    /// What a directory said of names that are not in the local list; a name is missing where it did not answer.
    directory: HashMap<String, Option<u32>>,
}

/// Why an enrolled name is not the user it was enrolled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no account of this name; the name of the account that has its uid now, if there is one.
    Removed {
        /// The uid it was enrolled for.
        uid: Option<u32>,
        /// Who has that uid.
        holder: Option<String>,
    },
    /// The account has another uid.
    Reused {
        /// The uid it was enrolled for.
        bound: u32,
        /// The uid it has.
        found: u32,
    },
}

impl Accounts {
    /// Reads the local list and asks the directory for those of `names` that are not in it. A directory that does not answer in
    /// time leaves them unknown.
    pub(crate) fn look_up(names: &[String]) -> Self {
        let local = parse(&fs::read(PASSWD).unwrap_or_default());
        let missing: Vec<String> = names.iter().filter(|name| !local.contains_key(*name)).cloned().collect();
        let directory = if missing.is_empty() { HashMap::new() } else { ask(missing) };
        Self { local, directory }
    }

    /// Those of a list, and what a directory answers.
    #[cfg(test)]
    pub(crate) fn from_parts(passwd: &[u8], directory: &[(&str, Option<u32>)]) -> Self {
        let directory = directory.iter().map(|(name, uid)| ((*name).to_owned(), *uid)).collect();
        Self { local: parse(passwd), directory }
    }

    /// The uid of an account, if it is known.
    pub(crate) fn uid(&self, name: &str) -> Option<u32> {
        self.local.get(name).copied().or_else(|| self.directory.get(name).copied().flatten())
    }

    /// Why the account of this name is not the one that was enrolled for uid `bound`; `None` if it is, or if the directory did not
    /// say and no other account of this machine has that uid.
    pub(crate) fn missing(&self, name: &str, bound: Option<u32>) -> Option<Missing> {
        match (self.uid(name), bound) {
            (Some(found), Some(bound)) if found != bound => Some(Missing::Reused { bound, found }),
            (Some(_), _) => None,
            (None, uid) => {
                let holds = |(_, other): &(&String, &u32)| Some(**other) == uid;
                let holder = self.local.iter().filter(holds).map(|(name, _)| name.clone()).min();
                let is_known = self.directory.contains_key(name) || holder.is_some();
                is_known.then_some(Missing::Removed { uid, holder })
            }
        }
    }

    /// The other names in the local list with this uid, in their order.
    pub(crate) fn others_with(&self, name: &str, uid: u32) -> Vec<String> {
        let is_other = |(other, found): &(&String, &u32)| **found == uid && *other != name;
        let mut others: Vec<_> = self.local.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
        others.sort();
        others
    }
}

impl Missing {
    /// In words, with the command that ends it.
    pub(crate) fn describe(&self, name: &str) -> String {
        let unenroll = format!("`cas-sync unenroll {name}`");
        match self {
            Self::Removed { uid: Some(uid), holder: Some(holder) } => format!(
                "the account was removed or renamed, and its uid {uid} is {holder} now: {unenroll}, and `cas-sync enroll {holder}` if it is the same user"
            ),
            Self::Removed { .. } => format!("the account was removed: {unenroll}"),
            Self::Reused { bound, found } => format!(
                "the name was enrolled for uid {bound} and its account has uid {found}: {unenroll}, or `cas-sync provision --adopt {name}` if it is the same user"
            ),
        }
    }
}

/// In a thread: a directory that hangs is not waited for, and the thread ends with the program.
fn ask(names: Vec<String>) -> HashMap<String, Option<u32>> {
    let (answers, answered) = mpsc::channel();
    thread::spawn(move || {
        for name in names {
            // An error says nothing about the account: the service may be down.
            if let Ok(found) = User::from_name(&name) {
                // An account that answers to another spelling is not this one.
                let uid = found.filter(|user| user.name == name).map(|user| user.uid.as_raw());
                if answers.send((name, uid)).is_err() {
                    return;
                }
            }
        }
    });
    let deadline = cas_protocol::deadline::Deadline::after(DIRECTORY_TIMEOUT);
    let mut known = HashMap::new();
    while let Ok((name, uid)) = answered.recv_timeout(deadline.remaining()) {
        known.insert(name, uid);
    }
    known
}

fn parse(passwd: &[u8]) -> HashMap<String, u32> {
    let account = |line: &[u8]| {
        let mut fields = std::str::from_utf8(line).ok()?.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        Some((name.to_owned(), uid.parse().ok()?))
    };
    passwd.split(|byte| *byte == b'\n').filter_map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolled_name_without_its_account_is_missing() {
        let accounts = Accounts::from_parts(
            b"alice:x:1001:0::/:\nbob:x:1005:0::/:\nzoe:x:1003:0::/:\nbroken\n:::\n",
            &[("carol", None), ("dee", Some(1004)), ("eve", None)],
        );
        let removed =
            |uid, holder: Option<&str>| Some(Missing::Removed { uid, holder: holder.map(str::to_owned) });
        for (name, bound, expected) in [
            ("alice", Some(1001), None),
            ("alice", None, None),
            ("bob", Some(1002), Some(Missing::Reused { bound: 1002, found: 1005 })),
            ("carol", Some(1003), removed(Some(1003), Some("zoe"))),
            ("dee", Some(1004), None),
            ("eve", Some(1099), removed(Some(1099), None)),
            ("eve", None, removed(None, None)),
            ("silent", Some(1006), None),
            ("silent", Some(1003), removed(Some(1003), Some("zoe"))),
        ] {
            assert_eq!(accounts.missing(name, bound), expected, "{name}");
        }
        assert_eq!(accounts.others_with("ann", 1001), ["alice"]);
        assert_eq!(accounts.others_with("alice", 1001), Vec::<String>::new());
    }
}
