//! Which service belongs to which user id: from the markers of enrolled users, which are root's.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cas_core::system::account::Account;
use cas_core::system::identity::Identities;
use cas_protocol::paths::{self, ENROLLED_DIR};

use crate::systemd::Units;

/// How long the list may be old. It costs some milliseconds, and is asked for with every request of a flood.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The services of the enrolled users.
#[derive(Debug, Default)]
pub(super) struct EnrolledUsers {
    services: HashMap<u32, String>,
    read_at: Option<Instant>,
}

impl EnrolledUsers {
    /// The unit that syncs the login of this user. `None` for users who are not enrolled, or after whom systemd cannot name
    /// a unit.
    pub(super) fn service_of(&mut self, uid: u32, now: Instant) -> Option<&str> {
        let is_old = |read_at: Instant| now.saturating_duration_since(read_at) > MAX_AGE;
        if self.read_at.is_none_or(is_old) {
            self.services = read(Path::new(ENROLLED_DIR));
            self.read_at = Some(now);
        }
        self.services.get(&uid).map(String::as_str)
    }
}

fn read(markers: &Path) -> HashMap<u32, String> {
    let names = fs::read_dir(markers).into_iter().flatten().flatten();
    let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // Of several names with one user id always the same one counts.
    names.sort_by(|one, other| other.cmp(one));
    let identities = Identities::of_this_machine();
    let service = |name: String| {
        let account = Account::from_name(&name).ok()?;
        // A name that is another spelling, or that was given to another account, has no service.
        let is_theirs =
            account.name == name && paths::is_enrolled(&name) && identities.check(&account).is_ok();
        is_theirs.then_some((account.uid.as_raw(), Units::of(&name)?.service))
    };
    names.into_iter().filter_map(service).collect()
}
