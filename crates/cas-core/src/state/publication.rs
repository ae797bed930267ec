//! How a command that the user runs by hand gets its result published. Only root can write what root reads, and only the
//! service of the sync ends in root's publishing (`ExecStopPost=`). So the command asks for that service, and leaves a note
//! that there is nothing else to do. No new privilege is needed: it is the same socket on which logins request a sync.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use cas_protocol::deadline::Deadline;
use nix::libc;

use crate::state::directory::StateDirectory;
use crate::state::sync_requests::{LAST_REQUEST, Submission, SyncRequests};
use crate::time::timestamp::Timestamp;

/// The note: the next start of the service has to publish, and nothing else.
const PUBLISH_ONLY: &str = "publish-only";

/// What a sync writes into [`LAST_REQUEST`] when it begins to look. A request that comes later empties the file.
const SYNC_BEGAN: &str = "sync\n";

/// How long the note counts. The dispatcher starts the service within milliseconds, unless it limits the user; a later start
/// does everything, since an administrator or the timer may be behind it.
const NOTE_LIFETIME: Duration = Duration::from_secs(10);

/// Between two attempts while the queue of the socket is full.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The notes of one user.
pub struct Publication<'a> {
    state: &'a StateDirectory,
    requests: &'a SyncRequests,
}

impl<'a> Publication<'a> {
    /// Those in this state directory, beside these requests.
    pub fn new(state: &'a StateDirectory, requests: &'a SyncRequests) -> Self {
        Self { state, requests }
    }

    /// Notes that a sync begins to look now, and answers all requests before it.
    pub fn note_sync_begin(&self) {
        self.write(LAST_REQUEST, SYNC_BEGAN);
    }

    /// Asks that the state is published. Where a login has requested a sync that is still to come, that one publishes.
    pub fn request(&self, deadline: &Deadline) {
        if self.has_pending_request() {
            return;
        }
        self.write(PUBLISH_ONLY, "");
        while self.requests.connect() == Submission::QueueFull && !deadline.is_expired() {
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Returns true if the service was started only to publish, and takes the note away.
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

    /// Where it cannot be written, the state is published by the next sync.
    fn write(&self, name: &str, content: &str) {
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        drop(file.open(self.state.path(name)).and_then(|mut file| file.write_all(content.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    fn now() -> Timestamp {
        let file = tempfile::tempfile().and_then(|file| file.metadata()).expect("a new file");
        let written_at = file.modified().expect("its time").duration_since(UNIX_EPOCH);
        Timestamp::default().saturating_add(written_at.expect("after the epoch"))
    }

    fn bed(scratch: &Path) -> (StateDirectory, SyncRequests) {
        let state = StateDirectory::new(scratch.to_owned(), nix::unistd::Uid::effective().as_raw());
        (state.clone(), SyncRequests::with_socket(scratch.join("socket"), state))
    }

    fn request(publication: &Publication<'_>) {
        publication.request(&Deadline::after(Duration::from_secs(60)));
    }

    #[test]
    fn note_counts_once_and_for_seconds() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = bed(scratch.path());
        let publication = Publication::new(&state, &requests);
        let listener = UnixListener::bind(scratch.path().join("socket")).expect("a socket");
        publication.note_sync_begin();
        assert!(!publication.take(now()), "nothing was asked");
        request(&publication);
        drop(listener.accept().expect("it is there"));
        assert!(publication.take(now()) && !publication.take(now()));
        for (later, expected) in [(Duration::from_secs(5), true), (Duration::from_secs(3600), false)] {
            request(&publication);
            assert_eq!(publication.take(now().saturating_add(later)), expected, "{later:?}");
        }
    }

    #[test]
    fn login_request_is_not_taken_for_a_note() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = bed(scratch.path());
        let publication = Publication::new(&state, &requests);
        let listener = UnixListener::bind(scratch.path().join("socket")).expect("a socket");
        listener.set_nonblocking(true).expect("a mode of the socket");
        publication.note_sync_begin();
        request(&publication);
        assert_eq!(requests.try_submit(), Submission::Queued);
        assert!(!publication.take(now()), "a login came meanwhile");
        assert!(listener.accept().is_ok() && listener.accept().is_ok());
        request(&publication);
        assert!(listener.accept().is_err(), "the sync that is to come publishes");
        assert!(!publication.take(now()));
        publication.note_sync_begin();
        request(&publication);
        assert!(publication.take(now()), "it was answered");
    }

    #[test]
    fn missing_dispatcher_is_not_waited_for() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (state, requests) = bed(&scratch.path().join("absent"));
        let publication = Publication::new(&state, &requests);
        publication.note_sync_begin();
        request(&publication);
        assert!(!publication.take(now()));
        assert!(!scratch.path().join("absent").exists());
    }
}
