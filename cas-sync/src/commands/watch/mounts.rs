//! Detects mounts: a mount hides directories without an inotify event.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The mount table of this process.
pub(super) struct Mounts(File);

/// The reason of a wakeup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Woken {
    /// True if there are events.
    pub(super) by_events: bool,
    /// True if the mount table has changed.
    pub(super) by_mounts: bool,
}

impl Mounts {
    /// Opens the mount table; all later changes are reported.
    ///
    /// # Errors
    /// If proc(5) is not mounted.
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/mountinfo").map(Self)
    }

    /// Waits until `events` is readable or the mount table has changed.
    ///
    /// # Errors
    /// No expected errors.
    pub(super) fn wait_or(&self, events: BorrowedFd<'_>) -> io::Result<Woken> {
        // poll(2) always reports this file as readable; a change is POLLPRI
        // (proc_pid_mountinfo(5)).
        let changed = PollFlags::POLLPRI | PollFlags::POLLERR;
        let mut both = [PollFd::new(events, PollFlags::POLLIN), PollFd::new(self.0.as_fd(), changed)];
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
