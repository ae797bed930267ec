//! The host's side of a supervisor: listening to its helper, and making sure that nothing of either is left.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::check;
use super::verdict::{Ending, Verdict};

/// A supervisor with its helper. Dropping it ends both and takes the supervisor's status, so that neither a process nor a
/// zombie is left behind.
pub(crate) struct Child {
    /// The supervisor's number. Nothing but a wait with `__WALL` frees it, so it names no other process.
    pid: libc::pid_t,
    /// `None` on a kernel without pidfds, or when descriptors have run out.
    pidfd: Option<OwnedFd>,
    verdict: Verdict,
    over: bool,
}

/// What came first.
pub(crate) enum Heard {
    /// The pipe has bytes, or its other end was closed.
    Pipe,
    /// The pipe is silent and the helper has ended.
    Ended,
    /// Neither, within the time given (or a signal came).
    Silence,
}

impl Child {
    /// How long a supervisor that was told to end may take: three times as long as it waits for the helper at most.
    const END_TIMEOUT: Duration = Duration::from_millis(150);

    /// How long it may take to go after SIGKILL.
    const KILL_TIMEOUT: Duration = Duration::from_millis(50);

    /// How often it is looked at where there is no pidfd.
    const POLL_INTERVAL: Duration = Duration::from_millis(5);

    pub(super) fn new(pid: libc::pid_t, verdict: Verdict) -> Self {
        // SAFETY: the call takes two plain numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let pidfd = c_int::try_from(opened).ok().filter(|descriptor| *descriptor >= 0);
        // SAFETY: the descriptor is new and nobody else's.
        let pidfd = pidfd.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
        Self { pid, pidfd, verdict, over: false }
    }

    /// Waits for the pipe or the helper's end, whatever comes first, at most as long as `timeout`.
    ///
    /// # Errors
    /// What the system says; being interrupted by a signal of the host is no error.
    pub(crate) fn hear(&self, pipe: &File, timeout: Duration) -> io::Result<Heard> {
        let [piped, ended] = match &self.pidfd {
            Some(pidfd) => readable([pipe.as_raw_fd(), pidfd.as_raw_fd()], timeout)?,
            None => {
                let ended = self.has_ended();
                let timeout = if ended { Duration::ZERO } else { timeout.min(Self::POLL_INTERVAL) };
                let [piped] = readable([pipe.as_raw_fd()], timeout)?;
                [piped, ended]
            }
        };
        Ok(if piped {
            Heard::Pipe
        } else if ended {
            Heard::Ended
        } else {
            Heard::Silence
        })
    }

    /// Gives the helper `linger` to end by itself; then ends it, its process group and the supervisor.
    pub(crate) fn end(&mut self, linger: Duration) -> Ending {
        if !self.wait_until_ended(linger) {
            self.signal(libc::SIGTERM);
            if !self.wait_until_ended(Self::END_TIMEOUT) {
                self.signal(libc::SIGKILL);
                self.wait_until_ended(Self::KILL_TIMEOUT);
            }
        }
        self.reap();
        self.over = true;
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
            // An error of the wait only means looking again; the deadline ends the loop.
            let _ = match &self.pidfd {
                Some(pidfd) => readable([pidfd.as_raw_fd()], left).map(|_| ()),
                None => readable([], left.min(Self::POLL_INTERVAL)).map(|_| ()),
            };
        }
    }

    /// Looks without taking the status. A supervisor that is not there any more has ended: the host waits with `__WALL`.
    fn has_ended(&self) -> bool {
        self.wait(libc::WNOWAIT).is_none_or(|found| found != 0)
    }

    fn reap(&self) {
        let _ = self.wait(0);
    }

    /// The number of the supervisor if it has ended, 0 if not; `None` if there is no such child.
    fn wait(&self, how: c_int) -> Option<libc::pid_t> {
        let id = libc::id_t::from(self.pid.unsigned_abs());
        let mut found = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        let how = how | libc::WEXITED | libc::WNOHANG | libc::__WALL;
        // SAFETY: the buffer has room for one `siginfo_t`; only our own child is asked for.
        check(unsafe { libc::waitid(libc::P_PID, id, found.as_mut_ptr(), how) }).ok()?;
        // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote; the pid is 0 when nothing was found.
        Some(unsafe { found.assume_init().si_pid() })
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: the call takes two plain numbers; the process is our child, alive or not yet waited for.
        unsafe { libc::kill(self.pid, signal) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.over {
            self.end(Duration::ZERO);
        }
    }
}

/// Which of the descriptors have something to say within the time given.
fn readable<const COUNT: usize>(descriptors: [c_int; COUNT], timeout: Duration) -> io::Result<[bool; COUNT]> {
    let mut asked = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
    };
    let count = libc::nfds_t::try_from(COUNT).unwrap_or_default();
    // SAFETY: the array has as many entries as are named, and no signal mask is given.
    match check(unsafe { libc::ppoll(asked.as_mut_ptr(), count, &raw const timeout, ptr::null()) }) {
        Ok(_) => Ok(asked.map(|answer| answer.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; COUNT]),
        Err(error) => Err(error),
    }
}
