//! How a helper ended, as the supervisor tells the host: two numbers in a page that both share.

use std::ffi::c_int;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// How a helper ended, as far as can be known. Numbers only: the supervisor cannot allocate.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// The supervisor was killed, or the helper cannot be killed now (it hangs in the kernel).
    Unknown,
    /// It could not be started, for this error number.
    NotStarted(c_int),
    /// By itself or by another process's signal, with this status as wait(2) has it.
    Itself(c_int),
    /// The supervisor killed it.
    Killed,
}

impl Ending {
    /// What speaks against the answer of such a helper, if anything.
    pub(crate) fn failure(self) -> Option<EndingError> {
        match self {
            Self::NotStarted(error) => Some(EndingError::NotStarted(io::Error::from_raw_os_error(error))),
            Self::Itself(status) => {
                let status = ExitStatus::from_raw(status);
                (!status.success()).then_some(EndingError::Status(status))
            }
            Self::Unknown | Self::Killed => None,
        }
    }
}

/// Why a helper that has ended did not do what it was started for.
pub(crate) enum EndingError {
    /// It never ran.
    NotStarted(io::Error),
    /// It failed, or was killed.
    Status(ExitStatus),
}

/// A page shared with the copies of this process that are made while it lives.
pub(super) struct Verdict(NonNull<Page>);

struct Page {
    kind: AtomicI32,
    value: AtomicI32,
}

impl Verdict {
    /// A page that says [`Ending::Unknown`].
    ///
    /// # Errors
    /// What the system says: no memory is left.
    pub(super) fn new() -> io::Result<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping touches no memory that exists.
        let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Page>(), protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Self).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    pub(super) fn set(&self, ending: &Ending) {
        let (kind, value) = match *ending {
            Ending::Unknown => (0, 0),
            Ending::NotStarted(error) => (1, error),
            Ending::Itself(status) => (2, status),
            Ending::Killed => (3, 0),
        };
        self.page().value.store(value, Relaxed);
        self.page().kind.store(kind, Release);
    }

    pub(super) fn get(&self) -> Ending {
        let kind = self.page().kind.load(Acquire);
        let value = self.page().value.load(Relaxed);
        match kind {
            1 => Ending::NotStarted(value),
            2 => Ending::Itself(value),
            3 => Ending::Killed,
            _ => Ending::Unknown,
        }
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping is large and aligned enough, lives as long as this, and zeroes are two valid atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and not used again.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Page>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_survives_the_page() {
        let verdict = Verdict::new().expect("a page");
        assert!(matches!(verdict.get(), Ending::Unknown));
        for status in [0, 3 << 8, libc::SIGKILL] {
            verdict.set(&Ending::Itself(status));
            assert!(matches!(verdict.get(), Ending::Itself(value) if value == status));
            assert_eq!(verdict.get().failure().is_some(), status != 0);
        }
        verdict.set(&Ending::NotStarted(libc::ENOENT));
        assert!(matches!(verdict.get().failure(), Some(EndingError::NotStarted(error))
            if error.kind() == io::ErrorKind::NotFound));
        verdict.set(&Ending::Killed);
        assert!(verdict.get().failure().is_none());
    }
}
