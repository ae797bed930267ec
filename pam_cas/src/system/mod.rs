//! The calls to libc that the standard library lacks, each behind a safe function. Together with [`crate::pam_ext`] this
//! is all the unsafe code of the module.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;

mod child;
mod spawn;
mod spawn_settings;
mod supervisor;
mod verdict;

pub(crate) use self::child::{Child, Heard};
pub(crate) use self::spawn::spawn;
pub(crate) use self::verdict::EndingError;

/// What [`lstat`] tells of a file.
#[derive(Clone, Copy)]
pub(crate) struct FileStatus {
    /// Type and permissions, as in `st_mode`.
    pub(crate) mode: libc::mode_t,
    /// The owner's uid.
    pub(crate) owner: libc::uid_t,
}

/// Looks at a file without following a link. One system call: the standard library would make a second one to find out
/// why the first failed, and most users are not enrolled.
///
/// # Errors
/// What the system says.
pub(crate) fn lstat(path: &CStr) -> io::Result<FileStatus> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends in NUL and the buffer has room for one `stat`.
    check(unsafe { libc::lstat(path.as_ptr(), status.as_mut_ptr()) })?;
    // SAFETY: `lstat` succeeded and has filled the buffer.
    let status = unsafe { status.assume_init() };
    Ok(FileStatus { mode: status.st_mode, owner: status.st_uid })
}

/// Keeps a host that cancels the thread of a slow login (`pthread_cancel`) from unwinding through Rust code, which would
/// abort the host. The cancellation takes effect when the module has returned.
pub(crate) struct CancellationOff(c_int);

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
}

impl CancellationOff {
    /// `PTHREAD_CANCEL_DISABLE` of glibc's `pthread.h`, which the libc crate does not list.
    const DISABLE: c_int = 1;

    /// From now until the value is dropped the calling thread cannot be cancelled.
    pub(crate) fn begin() -> Self {
        let mut previous = Self::DISABLE;
        // SAFETY: the call only reads the state given and writes the previous one into a live variable.
        unsafe { pthread_setcancelstate(Self::DISABLE, &raw mut previous) };
        Self(previous)
    }
}

impl Drop for CancellationOff {
    fn drop(&mut self) {
        let mut ignored = 0;
        // SAFETY: the state is the one the same call gave out before.
        unsafe { pthread_setcancelstate(self.0, &raw mut ignored) };
    }
}

/// Turns the `-1` of a system call into the error behind it.
fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
