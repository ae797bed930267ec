//! The host's side of a supervisor: waits for its helper, and ensures that neither process remains.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::check;
use super::verdict::{Exit, Verdict};

/// A supervisor with its helper. Dropping it ends both processes and reaps the supervisor, so that
/// neither a process nor a zombie remains.
pub(crate) struct Child {
    /// The supervisor's process id. Only a wait with `__WALL` frees it, so it cannot name another
    /// process.
    pid: libc::pid_t,
    /// `None` on a kernel without pidfds, or if no descriptor is available.
    pidfd: Option<OwnedFd>,
    verdict: Verdict,
    is_ended: bool,
}

/// The first event of a wait.
pub(crate) enum WaitEvent {
    /// The pipe has bytes, or its other end was closed.
    PipeReady,
    /// The helper has exited and the pipe is empty.
    ChildExited,
    /// No event within the timeout, or a signal arrived.
    Timeout,
}

impl Child {
    /// The time limit for the end of a supervisor after SIGTERM: three times that for the helper.
    const END_TIMEOUT: Duration = Duration::from_millis(150);

    /// The time limit for its end after SIGKILL.
    const KILL_TIMEOUT: Duration = Duration::from_millis(50);

    /// The interval at which it is checked without a pidfd.
    const POLL_INTERVAL: Duration = Duration::from_millis(5);

    pub(super) fn new(pid: libc::pid_t, verdict: Verdict) -> Self {
        // SAFETY: the call takes two plain numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let pidfd = c_int::try_from(opened).ok().filter(|descriptor| *descriptor >= 0);
        // SAFETY: the descriptor is new and has no other owner.
        let pidfd = pidfd.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
        Self { pid, pidfd, verdict, is_ended: false }
    }

    /// Waits for the pipe or for the helper's exit, up to `timeout`.
    ///
    /// # Errors
    /// The system's error. An interruption by a signal of the host is not an error.
    pub(crate) fn wait_event(&self, pipe: &File, timeout: Duration) -> io::Result<WaitEvent> {
        let [is_ready, has_exited] = match &self.pidfd {
            Some(pidfd) => readable([pipe.as_raw_fd(), pidfd.as_raw_fd()], timeout)?,
            None => {
                let has_exited = self.has_ended();
                let timeout = if has_exited { Duration::ZERO } else { timeout.min(Self::POLL_INTERVAL) };
                let [is_ready] = readable([pipe.as_raw_fd()], timeout)?;
                [is_ready, has_exited]
            }
        };
        Ok(if is_ready {
            WaitEvent::PipeReady
        } else if has_exited {
            WaitEvent::ChildExited
        } else {
            WaitEvent::Timeout
        })
    }

    /// Waits up to `grace` for the helper to exit, then ends it, its process group and the
    /// supervisor.
    pub(crate) fn end(&mut self, grace: Duration) -> Exit {
        if !self.wait_until_ended(grace) {
            self.signal(libc::SIGTERM);
            if !self.wait_until_ended(Self::END_TIMEOUT) {
                self.signal(libc::SIGKILL);
                self.wait_until_ended(Self::KILL_TIMEOUT);
            }
        }
        self.reap();
        self.is_ended = true;
        self.verdict.get()
    }

    fn wait_until_ended(&self, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        loop {
            if self.has_ended() {
                return true;
            }
            let left = deadline.remaining();
            if left.is_zero() {
                return false;
            }
            // After an error of the wait, check again. The deadline ends the loop.
            let _ = match &self.pidfd {
                Some(pidfd) => readable([pidfd.as_raw_fd()], left).map(|_| ()),
                None => readable([], left.min(Self::POLL_INTERVAL)).map(|_| ()),
            };
        }
    }

    /// Checks without reaping. A supervisor that no longer exists has ended too: the host waited
    /// with `__WALL`.
    fn has_ended(&self) -> bool {
        self.wait(libc::WNOWAIT).is_none_or(|found| found != 0)
    }

    fn reap(&self) {
        let _ = self.wait(0);
    }

    /// Returns the supervisor's process id if it has ended, 0 if not, and `None` if there is no
    /// such child.
    fn wait(&self, how: c_int) -> Option<libc::pid_t> {
        let id = libc::id_t::from(self.pid.unsigned_abs());
        let mut found = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        let how = how | libc::WEXITED | libc::WNOHANG | libc::__WALL;
        // SAFETY: the buffer has room for one `siginfo_t`; only the own child is queried.
        check(unsafe { libc::waitid(libc::P_PID, id, found.as_mut_ptr(), how) }).ok()?;
        // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote; the pid is 0
        // when nothing was found.
        Some(unsafe { found.assume_init().si_pid() })
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: the call takes two plain numbers; the process is our child, alive or not yet
        // waited for.
        unsafe { libc::kill(self.pid, signal) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Duration::ZERO);
        }
    }
}

/// Returns which descriptors become readable within the timeout.
fn readable<const COUNT: usize>(descriptors: [c_int; COUNT], timeout: Duration) -> io::Result<[bool; COUNT]> {
    let mut polled = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
    };
    let count = libc::nfds_t::try_from(COUNT).unwrap_or_default();
    // SAFETY: the array has as many entries as are named, and no signal mask is given.
    match check(unsafe { libc::ppoll(polled.as_mut_ptr(), count, &raw const timeout, ptr::null()) }) {
        Ok(_) => Ok(polled.map(|entry| entry.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; COUNT]),
        Err(error) => Err(error),
    }
}
