//! Requests for a sync. A connection to the socket of the request dispatcher is the request. Nothing
//! is sent: the dispatcher gets the user id of the client from the kernel.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::paths::REQUEST_SOCKET;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::state::directory::StateDirectory;
use crate::time::timestamp::Timestamp;

/// The file in the state directory whose change time says when a sync was last requested or begun.
pub(super) const LAST_REQUEST: &str = "last-request";

/// The file in the state directory that exists while a request could not be sent, because the
/// administrator has paused the syncs.
const UNSENT_REQUEST: &str = "request-unsent";

/// The interval between two attempts while the queue of the socket is full. The dispatcher empties a
/// full queue within some milliseconds.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The requests of one user.
#[derive(Clone, Debug)]
pub struct SyncRequests {
    socket: PathBuf,
    state: StateDirectory,
}

/// The result of an attempt to request a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// The request is in the queue of the dispatcher.
    Queued,
    /// The queue of the socket is full for some milliseconds.
    QueueFull,
    /// The socket does not exist or no process listens on it, because the package is removed or the
    /// administrator has paused the syncs.
    NoDispatcher,
}

impl SyncRequests {
    /// Creates the requests of the user with this state directory.
    pub fn new(state: StateDirectory) -> Self {
        Self { socket: Path::new(REQUEST_SOCKET).to_owned(), state }
    }

    /// Requests a sync and never waits. The dispatcher ignores requests of users who are not enrolled.
    pub fn try_submit(&self) -> Submission {
        let submission = self.connect();
        match submission {
            Submission::Queued => {
                self.note_activity();
                drop(fs::remove_file(self.state.path(UNSENT_REQUEST)));
            }
            Submission::NoDispatcher => self.touch(UNSENT_REQUEST),
            Submission::QueueFull => (),
        }
        submission
    }

    /// Returns true if an earlier request could not be sent, so that the next login must repeat it.
    pub fn has_unsent(&self) -> bool {
        self.state.path(UNSENT_REQUEST).symlink_metadata().is_ok()
    }

    /// Requests a sync. Waits until the deadline while the queue is full.
    pub fn submit(&self, deadline: &Deadline) -> Submission {
        loop {
            match self.try_submit() {
                Submission::QueueFull if !deadline.is_expired() => thread::sleep(RETRY_INTERVAL),
                submission => return submission,
            }
        }
    }

    /// Returns the time of the last request, or of the start of the last sync if that is later. Returns
    /// `None` if the time is unknown.
    pub fn last_activity(&self) -> Option<Timestamp> {
        let found = fs::symlink_metadata(self.state.path(LAST_REQUEST)).ok()?;
        let (seconds, nanoseconds) = (found.ctime(), found.ctime_nsec());
        Some(Timestamp::from_millis(u64::try_from(seconds * 1000 + nanoseconds / 1_000_000).ok()?))
    }

    /// Records that a sync is requested or starts now. If the state directory does not exist or cannot
    /// be written, nothing is recorded, and later logins request more syncs than necessary; the
    /// dispatcher limits them.
    pub fn note_activity(&self) {
        self.touch(LAST_REQUEST);
    }

    fn touch(&self, name: &str) {
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        drop(file.open(self.state.path(name)));
    }

    /// Connects, and notes nothing.
    pub(super) fn connect(&self) -> Submission {
        connect_to(&self.socket)
    }

    /// The requests that go to another socket.
    #[cfg(test)]
    pub(super) fn with_socket(socket: PathBuf, state: StateDirectory) -> Self {
        Self { socket, state }
    }
}

/// Connects to the request socket at this path. Never waits.
pub fn connect_to(path: &Path) -> Submission {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let connected = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .and_then(|socket| connect(socket.as_raw_fd(), &UnixAddr::new(path)?));
    match connected {
        Ok(()) => Submission::Queued,
        Err(Errno::EAGAIN) => Submission::QueueFull,
        Err(_) => Submission::NoDispatcher,
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{Backlog, bind, listen};

    use super::*;

    struct Bed {
        scratch: tempfile::TempDir,
        requests: SyncRequests,
    }

    fn bed() -> Bed {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let owner = nix::unistd::Uid::effective().as_raw();
        let state = StateDirectory::new(scratch.path().join("state"), owner);
        fs::create_dir(scratch.path().join("state")).expect("a state directory");
        let requests = SyncRequests { socket: scratch.path().join("socket"), state };
        Bed { scratch, requests }
    }

    #[test]
    fn request_is_a_connection_and_its_time_is_recorded() {
        let Bed { scratch, requests } = bed();
        assert!(!requests.has_unsent());
        assert_eq!((requests.try_submit(), requests.last_activity()), (Submission::NoDispatcher, None));
        assert!(requests.has_unsent(), "the next login repeats the request");
        let listener =
            std::os::unix::net::UnixListener::bind(scratch.path().join("socket")).expect("a socket");
        assert_eq!((requests.try_submit(), requests.has_unsent()), (Submission::Queued, false));
        let first = requests.last_activity().expect("a time");
        drop(listener.accept().expect("a connection"));
        thread::sleep(Duration::from_millis(20)); // longer than a tick of the file system's clock
        requests.note_activity();
        assert!(requests.last_activity() > Some(first));
    }

    #[test]
    fn submit_waits_for_a_full_queue_until_the_deadline() {
        let Bed { scratch, requests } = bed();
        let listener =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).expect("a socket");
        let address = UnixAddr::new(&scratch.path().join("socket")).expect("an address");
        bind(listener.as_raw_fd(), &address).expect("bound");
        listen(&listener, Backlog::new(0).expect("a backlog")).expect("listening");
        assert_eq!(requests.try_submit(), Submission::Queued);
        assert_eq!(requests.try_submit(), Submission::QueueFull);
        let short = Deadline::after(Duration::from_millis(50));
        assert_eq!(requests.submit(&short), Submission::QueueFull);
        let listener = std::os::unix::net::UnixListener::from(listener);
        let accepts = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(listener.accept());
            listener
        });
        assert_eq!(requests.submit(&Deadline::after(Duration::from_secs(60))), Submission::Queued);
        drop(accepts.join());
    }

    #[test]
    fn missing_state_directory_is_not_created_and_no_error() {
        let Bed { scratch, requests } = bed();
        fs::remove_dir(scratch.path().join("state")).expect("removed");
        requests.note_activity();
        assert_eq!(requests.last_activity(), None);
        assert!(!scratch.path().join("state").exists());
    }
}
