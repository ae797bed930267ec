//! Looks up accounts in `/etc/passwd` and, with a time limit, in the directory service. An enrolled
//! name without an account, or with another uid than the enrolled one, is reported separately, and
//! nothing that it published is read.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cas_core::system::identity::ReusedName;
use nix::unistd::User;

/// The accounts of this machine.
const PASSWD: &str = "/etc/passwd";

/// The time limit of a directory service for all names.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// The known accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    local: HashMap<String, u32>,
    /// The uids that the directory service returned for names that are not in the local list. A
    /// name is missing here if the service did not answer.
    directory: HashMap<String, Option<u32>>,
}

/// The reason why an enrolled name does not belong to the user it was enrolled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no account of this name.
    Removed {
        /// The uid for which it was enrolled.
        uid: Option<u32>,
        /// The account that has this uid now, if there is one.
        holder: Option<String>,
    },
    /// The account has another uid.
    Reused(ReusedName),
}

impl Accounts {
    /// Reads the local list, and asks the directory service for those of `names` that are not in
    /// it. They stay unknown if it does not answer in time.
    pub(crate) fn look_up(names: &[String]) -> Self {
        let local = parse(&fs::read(PASSWD).unwrap_or_default());
        let missing: Vec<String> = names.iter().filter(|name| !local.contains_key(*name)).cloned().collect();
        let directory = if missing.is_empty() { HashMap::new() } else { query_directory(missing) };
        Self { local, directory }
    }

    /// Returns the accounts of a list and these answers of a directory service.
    #[cfg(test)]
    pub(crate) fn from_parts(passwd: &[u8], directory: &[(&str, Option<u32>)]) -> Self {
        let directory = directory.iter().map(|(name, uid)| ((*name).to_owned(), *uid)).collect();
        Self { local: parse(passwd), directory }
    }

    /// Returns the uid of an account, if it is known.
    pub(crate) fn uid(&self, name: &str) -> Option<u32> {
        self.local.get(name).copied().or_else(|| self.directory.get(name).copied().flatten())
    }

    /// Returns the reason why the account of this name is not the one that was enrolled for uid
    /// `bound`. `None` if it is, or if the directory service did not answer and no other account of
    /// this machine has that uid.
    pub(crate) fn missing(&self, name: &str, bound: Option<u32>) -> Option<Missing> {
        match (self.uid(name), bound) {
            (Some(found), Some(bound)) if found != bound => {
                Some(Missing::Reused(ReusedName { name: name.to_owned(), bound, found }))
            }
            (Some(_), _) => None,
            (None, uid) => {
                let holds = |(_, other): &(&String, &u32)| Some(**other) == uid;
                let holder = self.local.iter().filter(holds).map(|(name, _)| name.clone()).min();
                let is_known = self.directory.contains_key(name) || holder.is_some();
                is_known.then_some(Missing::Removed { uid, holder })
            }
        }
    }

    /// Returns the other names in the local list with this uid, in order.
    pub(crate) fn others_with(&self, name: &str, uid: u32) -> Vec<String> {
        let is_other = |(other, found): &(&String, &u32)| **found == uid && *other != name;
        let mut others: Vec<_> = self.local.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
        others.sort();
        others
    }
}

impl Missing {
    /// Returns the reason with the remedy.
    pub(crate) fn describe(&self, name: &str) -> String {
        let unenroll = format!("`cas-sync unenroll {name}`");
        match self {
            Self::Removed { uid: Some(uid), holder: Some(holder) } => format!(
                "the account was removed or renamed, and its uid {uid} now belongs to {holder}; run {unenroll}, and `cas-sync enroll {holder}` if it is the same user"
            ),
            Self::Removed { .. } => format!("the account was removed; run {unenroll}"),
            Self::Reused(reused) => reused.to_string(),
        }
    }
}

/// Queries the directory service in a thread, so that a service that hangs is not waited for. The
/// thread ends with the program.
fn query_directory(names: Vec<String>) -> HashMap<String, Option<u32>> {
    let (answers, answered) = mpsc::channel();
    thread::spawn(move || {
        for name in names {
            // After an error the account is unknown: the service may be down.
            if let Ok(found) = User::from_name(&name) {
                // The service may ignore case; an account with another spelling is another account.
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
    fn enrolled_name_without_its_account_is_missing() {
        let accounts = Accounts::from_parts(
            b"alice:x:1001:0::/:\nbob:x:1005:0::/:\nzoe:x:1003:0::/:\nbroken\n:::\n",
            &[("carol", None), ("dee", Some(1004)), ("eve", None)],
        );
        let removed =
            |uid, holder: Option<&str>| Some(Missing::Removed { uid, holder: holder.map(str::to_owned) });
        for (name, bound, expected) in [
            ("alice", Some(1001), None),
            ("alice", None, None),
            (
                "bob",
                Some(1002),
                Some(Missing::Reused(ReusedName { name: "bob".into(), bound: 1002, found: 1005 })),
            ),
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
