//! What the helper is started with. `posix_spawn` starts it: everything it must not inherit is said declaratively.

use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use super::child::Child;
use super::spawn_settings::{Actions, Attributes};
use super::supervisor::{self, Order};
use super::verdict::Verdict;

/// Starts `program` below a supervisor and gives the reading end of its standard output. The program has `/dev/null` for
/// input and errors and no other descriptor, the environment given, its own session and process group, default signal
/// dispositions, nothing blocked, and `/` as its directory. After `timeout` the supervisor kills it, host or no host.
///
/// # Errors
/// What kept the pipe or the supervisor from being made. A program that cannot be started is found out when it is ended.
pub(crate) fn spawn(
    program: &CStr,
    arguments: &[&CStr],
    environment: &[&CStr],
    timeout: Duration,
) -> io::Result<(Child, File)> {
    let (reading, writing) = pipe()?;
    let verdict = Verdict::new()?;
    let order = Order {
        program: program.as_ptr(),
        arguments: &null_terminated(arguments),
        environment: &null_terminated(environment),
        actions: &Actions::new(&writing)?,
        attributes: &Attributes::new()?,
        output: &writing,
        timeout,
    };
    let supervisor = supervisor::start(&order, &verdict)?;
    Ok((Child::new(supervisor, verdict), File::from(reading)))
}

/// A pipe whose ends are closed on exec from the start, and never take the place of a standard stream the host closed:
/// another thread of it may be writing there.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [reading, writing] = ends;
    // SAFETY: both descriptors are new and nobody else's.
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

/// The pointers `posix_spawn` wants. It writes to none of the strings, whatever its signature says.
fn null_terminated(strings: &[&CStr]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}
