//! A child of the host that is ours: listening to it, and making sure that nothing of it is left.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::check;

/// A child that leads its own process group. Dropping it kills the group and takes the child's status, so that neither a
/// process nor a zombie is left behind.
pub(crate) struct Child {
    pid: libc::pid_t,
    /// `None` on a kernel without pidfds, when descriptors have run out, or when somebody else took the status already.
    pidfd: Option<OwnedFd>,
    over: bool,
}

/// What came first.
pub(crate) enum Heard {
    /// The pipe has bytes, or its other end was closed.
    Pipe,
    /// The pipe is silent and the child has ended.
    Ended,
    /// Neither, within the time given (or a signal came).
    Silence,
}

/// How a child ended, as far as can be known.
pub(crate) enum Ending {
    /// By itself or by somebody else's signal.
    Itself(ExitStatus),
    /// We killed it.
    Killed,
    /// The host took the status, or ignores SIGCHLD; or the child cannot be killed now (it hangs in the kernel).
    Unknown,
}

impl Child {
    /// How long a killed child may take to go: one that hangs in the kernel, on a dead file server, cannot be waited for.
    const PATIENCE: Duration = Duration::from_millis(50);

    /// How often a child is looked at where there is no pidfd.
    const LOOK_EVERY: Duration = Duration::from_millis(5);

    pub(crate) fn new(pid: libc::pid_t) -> Self {
        // SAFETY: the call takes two plain numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let pidfd = c_int::try_from(opened).ok().filter(|descriptor| *descriptor >= 0);
        // SAFETY: the descriptor is new and nobody else's.
        let pidfd = pidfd.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
        Self { pid, pidfd, over: false }
    }

    /// Waits for the pipe or the child's end, whatever comes first, at most as long as `patience`.
    ///
    /// # Errors
    /// What the system says; being interrupted by a signal of the host is no error.
    pub(crate) fn hear(&self, pipe: &File, patience: Duration) -> io::Result<Heard> {
        if let Some(pidfd) = &self.pidfd {
            let [piped, ended] = readable([pipe.as_raw_fd(), pidfd.as_raw_fd()], patience)?;
            return Ok(if piped {
                Heard::Pipe
            } else if ended {
                Heard::Ended
            } else {
                Heard::Silence
            });
        }
        let ended = self.has_ended();
        let patience = if ended { Duration::ZERO } else { patience.min(Self::LOOK_EVERY) };
        let [piped] = readable([pipe.as_raw_fd()], patience)?;
        Ok(if piped {
            Heard::Pipe
        } else if ended {
            Heard::Ended
        } else {
            Heard::Silence
        })
    }

    /// Gives the child `linger` to end by itself, kills what is left of its process group, and takes its status.
    pub(crate) fn end(&mut self, linger: Duration) -> Ending {
        let by_itself = self.wait_until_ended(linger);
        // Before the status is taken: until then the number cannot become another process group's.
        self.kill_group();
        let status =
            if by_itself || self.wait_until_ended(Self::PATIENCE) { self.take_status() } else { None };
        self.over = true;
        match status {
            Some(status) if by_itself => Ending::Itself(status),
            Some(_) => Ending::Killed,
            None => Ending::Unknown,
        }
    }

    fn wait_until_ended(&self, patience: Duration) -> bool {
        let deadline = Deadline::after(patience);
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
                None => readable([], left.min(Self::LOOK_EVERY)).map(|_| ()),
            };
        }
    }

    /// Looks without taking the status. A child that is not there any more has ended: somebody else took its status.
    fn has_ended(&self) -> bool {
        let id = libc::id_t::from(self.pid.unsigned_abs());
        let mut found = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the buffer has room for one `siginfo_t`.
        let result = check(unsafe { libc::waitid(libc::P_PID, id, found.as_mut_ptr(), how) });
        // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote; the pid is 0 when nothing was found.
        result.is_err() || unsafe { found.assume_init().si_pid() } != 0
    }

    fn take_status(&self) -> Option<ExitStatus> {
        let mut status = 0;
        // SAFETY: the status goes into a live variable; only our own pid is asked for.
        let taken = check(unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) });
        taken.is_ok_and(|pid| pid == self.pid).then(|| ExitStatus::from_raw(status))
    }

    /// Kills the whole group, also when its leader has gone and something it started has not.
    fn kill_group(&self) {
        // From linux/pidfd.h (Linux 6.9); the libc crate does not list it. Through the pidfd the signal cannot reach a
        // group that got the number later.
        const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
        if let Some(pidfd) = &self.pidfd {
            let info: *const libc::siginfo_t = ptr::null();
            // SAFETY: the descriptor is open, and a null info stands for that of `kill`.
            let sent = unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    pidfd.as_raw_fd(),
                    libc::SIGKILL,
                    info,
                    PIDFD_SIGNAL_PROCESS_GROUP,
                )
            };
            if sent == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) {
                return;
            }
        }
        // SAFETY: the call takes two plain numbers; the child made its own group before it was ours.
        unsafe { libc::kill(self.pid.saturating_neg(), libc::SIGKILL) };
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
fn readable<const COUNT: usize>(
    descriptors: [c_int; COUNT],
    patience: Duration,
) -> io::Result<[bool; COUNT]> {
    let mut asked = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let patience = libc::timespec {
        tv_sec: libc::time_t::try_from(patience.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(patience.subsec_nanos()),
    };
    let count = libc::nfds_t::try_from(COUNT).unwrap_or_default();
    // SAFETY: the array has as many entries as are named, and no signal mask is given.
    match check(unsafe { libc::ppoll(asked.as_mut_ptr(), count, &raw const patience, ptr::null()) }) {
        Ok(_) => Ok(asked.map(|answer| answer.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; COUNT]),
        Err(error) => Err(error),
    }
}
