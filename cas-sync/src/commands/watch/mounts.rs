//! What is mounted, as far as it changes: a mount covers directories without anything happening to them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The mounts that this process sees.
pub(super) struct Mounts(File);

/// Why it was woken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Woken {
    /// Whether there is something to be read.
    pub(super) by_events: bool,
    /// Whether something was mounted or unmounted.
    pub(super) by_mounts: bool,
}

impl Mounts {
    /// From here on, whatever is mounted or unmounted is told.
    ///
    /// # Errors
    /// When there is no proc(5).
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/mountinfo").map(Self)
    }

    /// Sleeps until there is something to be read from `events`, or something was mounted or unmounted.
    ///
    /// # Errors
    /// None that is to be expected.
    pub(super) fn wait_or(&self, events: BorrowedFd<'_>) -> io::Result<Woken> {
        // poll(2) on this file is never about reading it, which it always allows (proc_pid_mountinfo(5)).
        let told = PollFlags::POLLPRI | PollFlags::POLLERR;
        let mut both = [PollFd::new(events, PollFlags::POLLIN), PollFd::new(self.0.as_fd(), told)];
        loop {
            match poll(&mut both, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => (),
                Err(errno) => return Err(errno.into()),
            }
        }
        let [by_events, by_mounts] = both.map(|one| one.any().unwrap_or(true));
        Ok(Woken { by_events, by_mounts })
    }
}
