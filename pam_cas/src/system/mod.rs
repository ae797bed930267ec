//! Safe wrappers of libc calls that the standard library lacks. Only this module and
//! [`crate::pam_ext`] contain unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;

mod child;
mod spawn;
mod spawn_settings;
mod supervisor;
mod verdict;

pub(crate) use self::child::{Child, WaitEvent};
pub(crate) use self::spawn::spawn;
pub(crate) use self::verdict::ExitError;

/// The result of [`lstat`].
#[derive(Clone, Copy)]
pub(crate) struct FileStatus {
    /// Type and permissions, as in `st_mode`.
    pub(crate) mode: libc::mode_t,
    /// The owner's uid.
    pub(crate) owner: libc::uid_t,
}

/// Reads the metadata of a file without following a symlink. One system call: the standard library
/// makes a second one after a failure, and most users are not enrolled.
///
/// # Errors
/// The system's error.
pub(crate) fn lstat(path: &CStr) -> io::Result<FileStatus> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends in NUL and the buffer has room for one `stat`.
    check(unsafe { libc::lstat(path.as_ptr(), status.as_mut_ptr()) })?;
    // SAFETY: `lstat` succeeded and has filled the buffer.
    let status = unsafe { status.assume_init() };
    Ok(FileStatus { mode: status.st_mode, owner: status.st_uid })
}

/// Prevents a host that cancels the thread of a slow login (`pthread_cancel`) from unwinding
/// through Rust code, which would abort the host. The cancellation takes effect after the module
/// has returned.
pub(crate) struct CancellationGuard(c_int);

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
}

impl CancellationGuard {
    /// `PTHREAD_CANCEL_DISABLE` of glibc's `pthread.h`, which the libc crate does not list.
    const DISABLE: c_int = 1;

    /// Disables cancellation of the calling thread until the value is dropped.
    pub(crate) fn new() -> Self {
        let mut previous = Self::DISABLE;
        // SAFETY: the call only reads the given state and writes the previous one into a live
        // variable.
        unsafe { pthread_setcancelstate(Self::DISABLE, &raw mut previous) };
        Self(previous)
    }
}

impl Drop for CancellationGuard {
    fn drop(&mut self) {
        let mut ignored = 0;
        // SAFETY: the state was returned by the same call.
        unsafe { pthread_setcancelstate(self.0, &raw mut ignored) };
    }
}

/// Converts the result `-1` of a system call into its error.
fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
