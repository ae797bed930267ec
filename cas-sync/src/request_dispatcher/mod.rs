//! `claude-auth-request.service`: starts the sync of each user who requests one.
//!
//! A user requests a sync by the time of a file that only root can create ([`request_files`]).
//! Neither PID 1 nor this process accepts a connection or opens a file of a user.

mod enrolled_users;
mod error_log;
mod request_files;
mod start_limiter;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use cas_core::outcome::ExitStatus;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths::{ENROLLED_DIR, IDENTITIES, STATE_DIR};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use self::enrolled_users::EnrolledUsers;
use self::error_log::ErrorLog;
use self::request_files::RequestFiles;
use self::start_limiter::StartLimiter;
use crate::os::deferred_signals::{SignalBlock, Wake};
use crate::os::environment::env_var;
use crate::systemd::{self, BATCH_SIZE, StartResult};
use crate::term::stderr::{exit_with_error, print_error};

/// The time limit of systemd's replies for one batch.
const SYSTEMD_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval of retries for a sync that is running, or that systemd did not start.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The delay between an event and the check of all files. It bounds the work that a user can cause
/// by setting the time of a file repeatedly, and is short for the user who waits.
const COALESCE_DELAY: Duration = Duration::from_millis(20);

/// The interval of checks without an event, in case an event was lost.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum number of reads of queued events before a check. The rest is read after the check.
const MAX_READS: usize = 256;

/// The changes of enrollment markers and of the user ids bound to names.
const ENROLLMENT_CHANGES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ATTRIB);

/// Answers requests until a signal arrives.
pub(crate) fn run() -> ExitCode {
    match Dispatcher::new().and_then(Dispatcher::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

struct Dispatcher {
    inotify: Inotify,
    files: RequestFiles,
    limiter: StartLimiter,
    users: EnrolledUsers,
    update_errors: ErrorLog,
}

impl Dispatcher {
    fn new() -> Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
                .context("cannot watch for requests")?,
            files: RequestFiles::open(),
            limiter: StartLimiter::default(),
            users: EnrolledUsers::default(),
            update_errors: ErrorLog::default(),
        })
    }

    fn serve(mut self) -> Result<()> {
        let signals = SignalBlock::new().context("cannot block signals")?;
        self.check();
        notify_ready();
        loop {
            let now = Instant::now();
            self.start_due(now);
            self.limiter.forget_expired(now);
            let due_in = self.limiter.next_due().map(|due| due.saturating_duration_since(Instant::now()));
            let timeout = due_in.map_or(CHECK_INTERVAL, |due_in| due_in.min(CHECK_INTERVAL));
            // At least a millisecond, because poll(2) rounds down.
            match signals.wait(Some(self.inotify.as_fd()), Some(timeout + Duration::from_millis(1))) {
                Wake::Signal => {
                    self.save_pending();
                    return Ok(());
                }
                Wake::Readable | Wake::Timeout => {
                    thread::sleep(COALESCE_DELAY);
                    self.take_events();
                    self.check();
                }
            }
        }
    }

    /// Removes the queued events. Their content is not needed, and some may be lost.
    fn take_events(&self) {
        for _ in 0..MAX_READS {
            match self.inotify.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Creates the files of new users and takes all requests.
    fn check(&mut self) {
        self.watch();
        let now = Instant::now();
        let uids = self.users.uids(now);
        let updated = self.files.update(uids).with_context(|| {
            format!("cannot update the request files in {}", self.files.directory().display())
        });
        self.update_errors.print_change(updated.err());
        for uid in self.files.requested() {
            self.limiter.request(uid, now);
        }
    }

    /// Watches the directories; watching one again changes nothing. The state directory may not
    /// exist yet: then its parent is watched. Without a watch, the files are checked every minute.
    fn watch(&self) {
        let state = Path::new(STATE_DIR);
        if self.inotify.add_watch(state, ENROLLMENT_CHANGES).is_err()
            && let Some(parent) = state.parent()
        {
            let _ = self.inotify.add_watch(parent, AddWatchFlags::IN_CREATE);
        }
        for directory in [Path::new(ENROLLED_DIR), &state.join(IDENTITIES)] {
            let _ = self.inotify.add_watch(directory, ENROLLMENT_CHANGES);
        }
        let _ = self.inotify.add_watch(self.files.directory(), AddWatchFlags::IN_ATTRIB);
    }

    /// Starts the due syncs. A running sync may have read the files before the request. So the sync
    /// is started again after its end; systemd would merge both starts.
    fn start_due(&mut self, now: Instant) {
        let mut due = Vec::new();
        for uid in self.limiter.due(now) {
            match self.users.find_service(uid, now) {
                Some(service) => due.push((uid, service.to_owned())),
                None => self.limiter.forget(uid),
            }
        }
        // A batch for which systemd does not answer is retried. The other batches are not.
        for batch in due.chunks(BATCH_SIZE) {
            self.start_batch(batch);
        }
    }

    fn start_batch(&mut self, batch: &[(u32, String)]) {
        // Before the start: a request that comes later is another one.
        for (uid, _) in batch {
            if let Err(error) = self.files.clear(*uid) {
                print_error(
                    &anyhow::Error::new(error).context(format!("cannot clear the request of user id {uid}")),
                );
            }
        }
        let services: Vec<_> = batch.iter().map(|(_, service)| service.as_str()).collect();
        let results = systemd::start_inactive(&services, &Deadline::after(SYSTEMD_TIMEOUT));
        let results = results.map_err(|error| {
            print_error(&anyhow!(
                "cannot start the requested syncs: {error:#}; they are retried in two seconds"
            ));
        });
        let now = Instant::now();
        for (index, (uid, service)) in batch.iter().enumerate() {
            match results.as_ref().ok().and_then(|results| results.get(index)) {
                Some(StartResult::Accepted) => self.limiter.note_start(*uid, now),
                Some(StartResult::Refused) => {
                    // A retry would be refused too. The next request tries again.
                    self.limiter.note_start(*uid, now);
                    print_error(&anyhow!(
                        "cannot start {service}: systemd refuses, and the request is dropped; \
                         run `systemctl start {service}` to see the reason"
                    ));
                }
                Some(StartResult::AlreadyActive) | None => {
                    self.limiter.postpone(*uid, now + RETRY_INTERVAL);
                    self.save_request(*uid);
                }
            }
        }
    }

    /// Records the waiting request of the user in the file, where it outlasts this process. A user
    /// who was unenrolled meanwhile has none.
    fn save_request(&self, uid: u32) {
        match self.files.mark(uid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                print_error(
                    &anyhow::Error::new(error).context(format!("cannot keep the request of user id {uid}")),
                );
            }
            _ => {}
        }
    }

    /// Leaves the waiting requests to the next dispatcher.
    fn save_pending(&self) {
        self.limiter.pending().into_iter().for_each(|uid| self.save_request(uid));
    }
}

/// Tells systemd that requests are answered (sd_notify(3)); `systemctl start` waits for this.
fn notify_ready() {
    if let Some(manager) = env_var("NOTIFY_SOCKET") {
        // If this fails, the start times out (`TimeoutStartSec=` of the unit), and systemd logs
        // that.
        drop(UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1", manager)));
    }
}
