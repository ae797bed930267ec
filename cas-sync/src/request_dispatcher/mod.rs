//! `claude-auth-request.service`: starts the sync of each user who connects to the socket of
//! requests.
//!
//! PID 1 opens the socket, in a directory of root, and never resolves a path that a user can
//! change. Of a request only the user id counts that the kernel reports (`SO_PEERCRED`).

mod acceptor;
mod enrolled_users;
mod pending_file;
mod start_limiter;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cas_core::state::sync_requests::connect_to;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths::REQUEST_SOCKET;

pub(crate) use self::acceptor::run as accept;
use self::enrolled_users::EnrolledUsers;
use self::start_limiter::StartLimiter;
use crate::os::deferred_signals::{SignalBlock, Wake};
use crate::os::environment::env_var;
use crate::systemd::{self, BATCH_SIZE};
use crate::term::stderr::{exit_with_error, print_error};

/// The dispatcher ends this long after the last connection, unless a limit must be remembered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit of systemd's replies for one batch.
const SYSTEMD_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval of retries for a sync that is running, or that systemd did not start.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The delay after a batch that could not be accepted.
const ERROR_BACKOFF: Duration = Duration::from_millis(200);

/// The interval of checks whether PID 1 still listens.
const SOCKET_INTERVAL: Duration = Duration::from_millis(250);

/// Serves the listening socket on the standard input until it is idle or a signal arrives, or until
/// PID 1 has closed the socket and removed its name (`RemoveOnStop=`).
///
/// Closing the last descriptor of the socket closes what clients have sent, which clients can delay
/// without limit (see [`acceptor`]). So the socket is stopped while this process has it open, never
/// after it: PID 1 would accept and close the connections itself, as it does between the end of a
/// service and the end of its socket unit.
pub(crate) fn run() -> ExitCode {
    match Dispatcher::default().serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, 1),
    }
}

#[derive(Default)]
struct Dispatcher {
    limiter: StartLimiter,
    users: EnrolledUsers,
}

impl Dispatcher {
    fn serve(mut self) -> Result<()> {
        let signals = SignalBlock::new().context("cannot block signals")?;
        let listener = io::stdin();
        let mut idle_from = Instant::now();
        let socket = named_socket();
        notify_ready();
        for uid in pending_file::take() {
            self.limiter.request(uid, idle_from);
        }
        loop {
            if socket.is_none() || named_socket() != socket {
                return self.end();
            }
            let now = Instant::now();
            self.start_due(now);
            let idle_at = idle_from + IDLE_TIMEOUT;
            if self.limiter.forget_expired(now) && idle_at <= now {
                return Ok(());
            }
            let wake_at = self.limiter.next_due().into_iter().chain((idle_at > now).then_some(idle_at)).min();
            let timeout = wake_at.map_or(IDLE_TIMEOUT, |at| at.saturating_duration_since(Instant::now()));
            let timeout = timeout.min(SOCKET_INTERVAL);
            // At least a millisecond, because poll(2) rounds down.
            match signals.wait(Some(listener.as_fd()), Some(timeout + Duration::from_millis(1))) {
                Wake::Signal => return self.end(),
                Wake::Readable => {
                    idle_from = Instant::now();
                    self.take_requests();
                }
                Wake::Timeout => {}
            }
        }
    }

    fn take_requests(&mut self) {
        match acceptor::accept_batch() {
            Ok(uids) => {
                let now = Instant::now();
                for uid in uids {
                    if self.users.find_service(uid, now).is_some() {
                        self.limiter.request(uid, now);
                    }
                }
            }
            Err(error) => {
                print_error(&anyhow::Error::new(error).context("cannot accept requests from the socket"));
                thread::sleep(ERROR_BACKOFF);
            }
        }
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
        let services: Vec<_> = batch.iter().map(|(_, service)| service.as_str()).collect();
        let started = systemd::start_inactive(&services, &Deadline::after(SYSTEMD_TIMEOUT));
        let started = started.unwrap_or_else(|error| {
            print_error(&error.context("cannot start syncs; trying again"));
            vec![false; services.len()]
        });
        for ((uid, _), is_started) in batch.iter().zip(started) {
            match is_started {
                true => self.limiter.note_start(*uid, Instant::now()),
                false => self.limiter.postpone(*uid, Instant::now() + RETRY_INTERVAL),
            }
        }
    }

    /// Stores the waiting requests, including those in the queue of the socket, for the next
    /// dispatcher.
    fn end(&mut self) -> Result<()> {
        self.take_requests();
        let pending = self.limiter.pending();
        pending_file::write(&pending).context("cannot store the waiting requests")?;
        if !pending.is_empty() {
            // The socket of an upgrade starts the next dispatcher after this one. While the target
            // is stopped, there is no socket.
            connect_to(Path::new(REQUEST_SOCKET));
        }
        Ok(())
    }
}

/// Tells systemd that the socket is served (sd_notify(3)); `systemctl start` waits for this.
fn notify_ready() {
    if let Some(manager) = env_var("NOTIFY_SOCKET") {
        // If this fails, systemd stops this process after 90 seconds and logs that.
        drop(UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1", manager)));
    }
}

/// Returns the inode of the socket with this name; `None` if it does not exist.
fn named_socket() -> Option<u64> {
    Path::new(REQUEST_SOCKET).symlink_metadata().ok().map(|socket| socket.ino())
}
