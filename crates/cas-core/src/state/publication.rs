//! Publishes the result of a command that the user runs. Only root can write what root reads, and
//! the service of the sync ends with root's publication (`ExecStopPost=`). So the command requests
//! that service and leaves a note that there is nothing else to do. It needs no further privilege:
//! the request is that of a login.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use crate::state::directory::StateDirectory;
use crate::state::sync_requests::{LAST_REQUEST, SyncRequests};
use crate::time::timestamp::Timestamp;

/// The note: the next start of the service only publishes.
const PUBLISH_ONLY: &str = "publish-only";

/// The content of [`LAST_REQUEST`] after a sync has begun to read. A later request empties the
/// file.
const SYNC_BEGAN: &str = "sync\n";

/// How long the note counts. The dispatcher starts the service within milliseconds, unless it
/// limits the user; a later start runs a complete sync, because an administrator or the timer may
/// have started it.
const NOTE_LIFETIME: Duration = Duration::from_secs(10);

/// The notes of one user.
pub struct Publication<'a> {
    state: &'a StateDirectory,
    requests: &'a SyncRequests,
}

impl<'a> Publication<'a> {
    /// Creates the notes in this state directory, for these requests.
    pub fn new(state: &'a StateDirectory, requests: &'a SyncRequests) -> Self {
        Self { state, requests }
    }

    /// Notes that a sync begins to read now, which answers all requests before it.
    pub fn note_sync_begin(&self) {
        self.state.write_flag(LAST_REQUEST, SYNC_BEGAN);
    }

    /// Requests the publication of the state. If a login has requested a sync that has not begun,
    /// that sync publishes.
    pub fn request(&self) {
        if self.has_pending_request() {
            return;
        }
        // If the note cannot be written, the sync that starts publishes the state.
        self.state.write_flag(PUBLISH_ONLY, "");
        self.requests.set_time();
    }

    /// Returns true if the service was started only to publish, and removes the note.
    pub fn take(&self, now: Timestamp) -> bool {
        let path = self.state.path(PUBLISH_ONLY);
        let noted_at = fs::symlink_metadata(&path).and_then(|found| found.modified());
        drop(fs::remove_file(path));
        let since_epoch = noted_at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let is_recent = |at: Duration| Timestamp::default().saturating_add(at).is_within(NOTE_LIFETIME, now);
        since_epoch.is_some_and(is_recent) && !self.has_pending_request()
    }

    fn has_pending_request(&self) -> bool {
        let last = fs::symlink_metadata(self.state.path(LAST_REQUEST));
        last.is_ok_and(|last| last.len() != SYNC_BEGAN.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;
    use crate::state::sync_requests::Submission;

    fn now() -> Timestamp {
        let file = tempfile::tempfile().and_then(|file| file.metadata()).expect("a new file");
        let written_at = file.modified().expect("its time").duration_since(UNIX_EPOCH);
        Timestamp::default().saturating_add(written_at.expect("after the epoch"))
    }

    fn fixture(scratch: &Path) -> (StateDirectory, SyncRequests) {
        let state = StateDirectory::new(scratch.to_owned(), nix::unistd::Uid::effective().as_raw());
        (state.clone(), SyncRequests::with_file(scratch.join("request"), state))
    }

    #[test]
    fn note_counts_once_and_for_seconds() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = fixture(scratch.path());
        let publication = Publication::new(&state, &requests);
        mkfifo(&scratch.path().join("request"), Mode::empty()).expect("a request file");
        publication.note_sync_begin();
        assert!(!publication.take(now()), "nothing was requested");
        publication.request();
        assert!(publication.take(now()) && !publication.take(now()));
        for (later, expected) in [(Duration::from_secs(5), true), (Duration::from_secs(3600), false)] {
            publication.request();
            assert_eq!(publication.take(now().saturating_add(later)), expected, "{later:?}");
        }
    }

    #[test]
    fn login_request_is_not_taken_for_a_note() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = fixture(scratch.path());
        let publication = Publication::new(&state, &requests);
        let file = scratch.path().join("request");
        mkfifo(&file, Mode::empty()).expect("a request file");
        publication.note_sync_begin();
        publication.request();
        assert_eq!(requests.submit(), Submission::Recorded);
        assert!(!publication.take(now()), "a login came meanwhile");
        let changed_at =
            || fs::symlink_metadata(&file).map(|file| (file.mtime(), file.mtime_nsec())).expect("there");
        let before = changed_at();
        publication.request();
        assert_eq!(changed_at(), before, "the sync that is to come publishes");
        assert!(!publication.take(now()));
        publication.note_sync_begin();
        publication.request();
        assert!(publication.take(now()), "it was answered");
    }

    #[test]
    fn missing_request_file_is_no_error() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = fixture(&scratch.path().join("absent"));
        let publication = Publication::new(&state, &requests);
        publication.note_sync_begin();
        publication.request();
        assert!(!publication.take(now()));
        assert!(!scratch.path().join("absent").exists());
    }
}
