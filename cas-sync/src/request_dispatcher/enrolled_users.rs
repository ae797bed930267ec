//! Maps user ids to services, from the markers of enrolled users and the user ids bound to their
//! names. Both are files of root. The user database is not read: a directory server may not answer,
//! and may assign the name to another account.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use cas_core::fs::directories::list_names;
use cas_core::system::identity::Identities;
use cas_protocol::paths::{self, ENROLLED_DIR, IDENTITIES, STATE_DIR};

use super::error_log::ErrorLog;
use crate::systemd::Units;

/// The maximum age of the list even if its directories seem unchanged: two changes can have the
/// same time.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The services of the enrolled users. They are read again after a change, but not for each
/// request: reading takes some milliseconds.
#[derive(Debug, Default)]
pub(super) struct EnrolledUsers {
    services: HashMap<u32, String>,
    read: Option<(Instant, Changes)>,
    errors: ErrorLog,
}

/// The times of the last enrollment or unenrollment, and of the last binding.
type Changes = [Option<SystemTime>; 2];

/// An enrolled name.
#[derive(Debug)]
struct Enrollment {
    name: String,
    /// The user id bound to the name.
    uid: u32,
    enrolled_at: SystemTime,
}

impl EnrolledUsers {
    /// Returns the user ids of the enrolled users.
    pub(super) fn uids(&mut self, now: Instant) -> BTreeSet<u32> {
        self.refresh(now);
        self.services.keys().copied().collect()
    }

    /// Returns the service that syncs this user. `None` if the user is not enrolled or has a name
    /// that systemd does not accept.
    pub(super) fn find_service(&mut self, uid: u32, now: Instant) -> Option<&str> {
        self.refresh(now);
        self.services.get(&uid).map(String::as_str)
    }

    fn refresh(&mut self, now: Instant) {
        let changes = last_changes();
        let is_current = |(read_at, seen): (Instant, Changes)| {
            now.saturating_duration_since(read_at) <= MAX_AGE && seen == changes
        };
        if self.read.is_some_and(is_current) {
            return;
        }
        // After an error the previous list stays: without it all request files would be removed.
        let enrollments = read(Path::new(ENROLLED_DIR), &Identities::open());
        let read = enrollments.map(|enrollments| self.services = services(enrollments));
        self.errors.print_change(read.context("cannot read the enrolled users").err());
        self.read = Some((now, changes));
    }
}

fn last_changes() -> Changes {
    let bound = Path::new(STATE_DIR).join(IDENTITIES);
    [Path::new(ENROLLED_DIR), bound.as_path()].map(|directory| fs::metadata(directory).ok()?.modified().ok())
}

/// Returns the names with a marker in this directory. A name without a bound user id, or whose
/// marker was removed meanwhile, is left out.
///
/// # Errors
/// If the directory cannot be read. A missing one is empty.
fn read(markers: &Path, identities: &Identities) -> io::Result<Vec<Enrollment>> {
    let enrollment = |name: OsString| {
        let name = name.into_string().ok().filter(|name| paths::is_enrolled_in(markers, name))?;
        let uid = identities.bound_uid(&name).ok().flatten()?;
        let enrolled_at = markers.join(&name).symlink_metadata().ok()?.modified().ok()?;
        Some(Enrollment { name, uid, enrolled_at })
    };
    Ok(list_names(markers)?.unwrap_or_default().into_iter().filter_map(enrollment).collect())
}

/// Returns the service of each user id. If several names have the same user id, the last enrolled
/// one counts: the others belong to removed accounts.
fn services(mut enrollments: Vec<Enrollment>) -> HashMap<u32, String> {
    enrollments.sort_by(|one, other| (one.enrolled_at, &one.name).cmp(&(other.enrolled_at, &other.name)));
    let service = |enrollment: Enrollment| Some((enrollment.uid, Units::for_user(&enrollment.name)?.service));
    enrollments.into_iter().filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown};

    use cas_protocol::paths::ENROLLED;
    use nix::unistd::Uid;

    use super::*;

    fn enrollment(name: &str, uid: u32, second: u64) -> Enrollment {
        Enrollment {
            name: name.into(),
            uid,
            enrolled_at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    #[test]
    fn uid_maps_to_last_enrolled_name() {
        let found = services(vec![
            enrollment("bob", 1001, 9),
            enrollment("carol", 1002, 5),
            enrollment("alice", 1001, 7),
            enrollment("1234", 1003, 1),
        ]);
        let service = |uid| found.get(&uid).map(String::as_str);
        assert_eq!(service(1001), Some("claude-auth-sync@bob.service"));
        assert_eq!(service(1002), Some("claude-auth-sync@carol.service"));
        assert_eq!((service(1003), service(0)), (None, None));
    }

    #[test]
    fn only_root_markers_with_bound_uid_count() {
        if !Uid::effective().is_root() {
            return eprintln!("SKIPPED: only root can create a marker");
        }
        let state = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| state.path().join(name);
        for directory in [ENROLLED, IDENTITIES] {
            fs::create_dir(path(directory)).expect("a directory");
        }
        for name in ["alice", "bob", "carol"] {
            fs::write(path(ENROLLED).join(name), "").expect("a marker");
            fs::set_permissions(path(ENROLLED).join(name), Permissions::from_mode(0o644)).expect("a mode");
        }
        chown(path(ENROLLED).join("bob"), Some(1002), None).expect("a marker of a user");
        for (name, uid) in [("alice", "1001\n"), ("bob", "1002\n"), ("dave", "1004\n")] {
            fs::write(path(IDENTITIES).join(name), uid).expect("bound");
        }
        let identities = Identities::in_directory(state.path());
        let found = read(&path(ENROLLED), &identities).expect("readable");
        let found: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.uid)).collect();
        assert_eq!(found, [("alice", 1001)]);
        assert!(read(&path("missing"), &identities).is_ok_and(|found| found.is_empty()));
        fs::write(path("file"), "").expect("a file");
        assert!(read(&path("file"), &identities).is_err(), "not an empty list");
    }
}
