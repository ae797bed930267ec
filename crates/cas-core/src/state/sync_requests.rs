//! Requests for a sync. A user requests one by setting the modification time of the user's request
//! file ([`REQUEST_DIR`]). Nothing is sent and no process of root is contacted: the dispatcher sees
//! the time, and the owner of the file is the user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cas_protocol::paths::REQUEST_DIR;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::state::directory::StateDirectory;
use crate::time::timestamp::Timestamp;

/// The file in the state directory whose change time says when a sync was last requested or begun.
pub(super) const LAST_REQUEST: &str = "last-request";

/// The file in the state directory that exists while a request could not be recorded, because there
/// is no request file. The next login repeats the request.
const UNRECORDED_REQUEST: &str = "request-unsent";

/// The requests of one user.
#[derive(Clone, Debug)]
pub struct SyncRequests {
    file: PathBuf,
    state: StateDirectory,
}

/// The result of an attempt to request a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// The request is recorded. The dispatcher answers it, also if it is started later.
    Recorded,
    /// The user has no request file, because the package is removed, the user is not enrolled, or
    /// the administrator has paused the syncs since the boot.
    NoRequestFile,
}

impl SyncRequests {
    /// Creates the requests of the user with this state directory.
    pub fn new(state: StateDirectory) -> Self {
        Self { file: Path::new(REQUEST_DIR).join(state.owner().to_string()), state }
    }

    /// Requests a sync. Never waits.
    pub fn submit(&self) -> Submission {
        let submission = self.set_time();
        match submission {
            Submission::Recorded => {
                self.note_activity();
                drop(fs::remove_file(self.state.path(UNRECORDED_REQUEST)));
            }
            Submission::NoRequestFile => self.state.write_flag(UNRECORDED_REQUEST, ""),
        }
        submission
    }

    /// Returns true if an earlier request could not be recorded, so that the next login must repeat
    /// it.
    pub fn has_unrecorded(&self) -> bool {
        self.state.path(UNRECORDED_REQUEST).symlink_metadata().is_ok()
    }

    /// Returns the time of the last request, or of the start of the last sync if that is later.
    /// Returns `None` if the time is unknown.
    pub fn last_activity(&self) -> Option<Timestamp> {
        let found = fs::symlink_metadata(self.state.path(LAST_REQUEST)).ok()?;
        let (seconds, nanoseconds) = (found.ctime(), found.ctime_nsec());
        Some(Timestamp::from_millis(u64::try_from(seconds * 1000 + nanoseconds / 1_000_000).ok()?))
    }

    /// Records that a sync is requested or starts now. If the state directory does not exist or
    /// cannot be written, nothing is recorded, and later logins request more syncs than necessary;
    /// the dispatcher limits them.
    pub fn note_activity(&self) {
        self.state.write_flag(LAST_REQUEST, "");
    }

    /// Sets the time of the request file, and notes nothing.
    pub(super) fn set_time(&self) -> Submission {
        let now = TimeSpec::UTIME_NOW;
        match utimensat(AT_FDCWD, &self.file, &now, &now, UtimensatFlags::NoFollowSymlink) {
            Ok(()) => Submission::Recorded,
            Err(_) => Submission::NoRequestFile,
        }
    }

    /// Creates requests with another request file.
    #[cfg(test)]
    pub(super) fn with_file(file: PathBuf, state: StateDirectory) -> Self {
        Self { file, state }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::{Uid, mkfifo};

    use super::*;

    struct Fixture {
        scratch: tempfile::TempDir,
        requests: SyncRequests,
    }

    fn fixture() -> Fixture {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().join("state"), Uid::effective().as_raw());
        fs::create_dir(scratch.path().join("state")).expect("a state directory");
        let requests = SyncRequests { file: scratch.path().join("request"), state };
        Fixture { scratch, requests }
    }

    #[test]
    fn request_sets_the_time_of_the_file_and_is_noted() {
        let Fixture { scratch, requests } = fixture();
        assert!(!requests.has_unrecorded());
        assert_eq!((requests.submit(), requests.last_activity()), (Submission::NoRequestFile, None));
        assert!(requests.has_unrecorded(), "the next login repeats the request");
        let file = scratch.path().join("request");
        mkfifo(&file, Mode::empty()).expect("a FIFO");
        let epoch = TimeSpec::new(0, 0);
        utimensat(AT_FDCWD, &file, &epoch, &epoch, UtimensatFlags::NoFollowSymlink).expect("its time");
        assert_eq!((requests.submit(), requests.has_unrecorded()), (Submission::Recorded, false));
        assert_ne!(fs::symlink_metadata(&file).expect("there").mtime(), 0);
        let first = requests.last_activity().expect("a time");
        thread::sleep(Duration::from_millis(20)); // longer than a tick of the file system's clock
        requests.note_activity();
        assert!(requests.last_activity() > Some(first));
    }

    #[test]
    fn missing_state_directory_is_not_created_and_no_error() {
        let Fixture { scratch, requests } = fixture();
        fs::remove_dir(scratch.path().join("state")).expect("removed");
        requests.note_activity();
        assert_eq!(requests.last_activity(), None);
        assert!(!scratch.path().join("state").exists());
    }
}
