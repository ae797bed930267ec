//! Starts the helper with `posix_spawn`, which declares everything that the helper must not
//! inherit.

use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use super::child::Child;
use super::spawn_settings::{Actions, Attributes};
use super::supervisor::{self, SpawnRequest};
use super::verdict::Verdict;

/// Starts `program` below a supervisor and returns the reading end of its standard output. The
/// program gets `/dev/null` for input and errors, no other descriptor, the given environment, its
/// own session and process group, default signal dispositions, an empty signal mask, and `/` as its
/// directory. After `timeout` the supervisor kills it, even if the host has ended.
///
/// # Errors
/// The error of creating the pipe or the supervisor. A program that cannot be started is reported
/// when it is ended.
pub(crate) fn spawn(
    program: &CStr,
    arguments: &[&CStr],
    environment: &[&CStr],
    timeout: Duration,
) -> io::Result<(Child, File)> {
    let (reading, writing) = pipe()?;
    let verdict = Verdict::new()?;
    let request = SpawnRequest {
        program: program.as_ptr(),
        arguments: &null_terminated(arguments),
        environment: &null_terminated(environment),
        actions: &Actions::new(&writing)?,
        attributes: &Attributes::new()?,
        output: &writing,
        timeout,
    };
    let supervisor = supervisor::start(&request, &verdict)?;
    Ok((Child::new(supervisor, verdict), File::from(reading)))
}

/// Creates a pipe with close-on-exec. Its ends never get the number of a standard stream that the
/// host has closed, because another thread of the host may be writing there.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [reading, writing] = ends;
    // SAFETY: both descriptors are new and have no other owner.
    let (reading, writing) = unsafe { (OwnedFd::from_raw_fd(reading), OwnedFd::from_raw_fd(writing)) };
    Ok((above_standard_streams(reading)?, above_standard_streams(writing)?))
}

fn above_standard_streams(end: OwnedFd) -> io::Result<OwnedFd> {
    if end.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(end);
    }
    // The standard library duplicates to 3 and above, with close-on-exec.
    end.try_clone()
}

/// Returns the pointers for `posix_spawn`. It does not write to the strings, despite its signature.
fn null_terminated(strings: &[&CStr]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}
