//! The exit of the helper, which the supervisor reports to the host: two numbers in a shared page.

use std::ffi::c_int;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// The exit of a helper, as far as known. Plain numbers, because the supervisor cannot allocate.
#[derive(Clone, Copy)]
pub(crate) enum Exit {
    /// The supervisor was killed, or the helper cannot be killed because it hangs in the kernel.
    Unknown,
    /// It could not be started, with this error number.
    NotStarted(c_int),
    /// It exited, or another process ended it by a signal, with this wait status.
    Own(c_int),
    /// The supervisor killed it.
    Killed,
}

impl Exit {
    /// Returns why the reply of such a helper must not be used, if so.
    pub(crate) fn failure(self) -> Option<ExitError> {
        match self {
            Self::NotStarted(error) => Some(ExitError::NotStarted(io::Error::from_raw_os_error(error))),
            Self::Own(status) => {
                let status = ExitStatus::from_raw(status);
                (!status.success()).then_some(ExitError::Status(status))
            }
            Self::Unknown | Self::Killed => None,
        }
    }
}

/// Why a helper failed.
pub(crate) enum ExitError {
    /// It was not started.
    NotStarted(io::Error),
    /// It exited with an error, or was killed.
    Status(ExitStatus),
}

/// A page that is shared with the copies of this process that are created while it lives.
pub(super) struct Verdict(NonNull<Page>);

struct Page {
    kind: AtomicI32,
    value: AtomicI32,
}

impl Verdict {
    /// Creates a page with [`Exit::Unknown`].
    ///
    /// # Errors
    /// The system's error: no memory is available.
    pub(super) fn new() -> io::Result<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping touches no existing memory.
        let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Page>(), protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Self).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    pub(super) fn set(&self, exit: &Exit) {
        let (kind, value) = match *exit {
            Exit::Unknown => (0, 0),
            Exit::NotStarted(error) => (1, error),
            Exit::Own(status) => (2, status),
            Exit::Killed => (3, 0),
        };
        self.page().value.store(value, Relaxed);
        self.page().kind.store(kind, Release);
    }

    pub(super) fn get(&self) -> Exit {
        let kind = self.page().kind.load(Acquire);
        let value = self.page().value.load(Relaxed);
        match kind {
            1 => Exit::NotStarted(value),
            2 => Exit::Own(value),
            3 => Exit::Killed,
            _ => Exit::Unknown,
        }
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping is large and aligned enough, lives as long as this, and zeroes are
        // two valid atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value and is not used again.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Page>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_is_read_from_the_shared_page() {
        let verdict = Verdict::new().expect("a page");
        assert!(matches!(verdict.get(), Exit::Unknown));
        for status in [0, 3 << 8, libc::SIGKILL] {
            verdict.set(&Exit::Own(status));
            assert!(matches!(verdict.get(), Exit::Own(value) if value == status));
            assert_eq!(verdict.get().failure().is_some(), status != 0);
        }
        verdict.set(&Exit::NotStarted(libc::ENOENT));
        assert!(matches!(verdict.get().failure(), Some(ExitError::NotStarted(error))
            if error.kind() == io::ErrorKind::NotFound));
        verdict.set(&Exit::Killed);
        assert!(verdict.get().failure().is_none());
    }
}
