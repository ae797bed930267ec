//! What the helper is started with. `posix_spawn` starts it: everything it must not inherit is said declaratively.

use std::ffi::{CStr, c_char, c_int, c_short};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use super::child::Child;
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

/// What happens to descriptors and directory in the child.
pub(super) struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    pub(super) fn as_ptr(&self) -> *const libc::posix_spawn_file_actions_t {
        &raw const self.0
    }

    fn new(output: &OwnedFd) -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initialises the object it is given room for.
        number(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it has just been initialised.
        let mut actions = Self(unsafe { actions.assume_init() });
        let list = &raw mut actions.0;
        let null = c"/dev/null".as_ptr();
        // SAFETY: the list is initialised and outlives every call, and glibc copies the paths.
        unsafe {
            number(libc::posix_spawn_file_actions_adddup2(list, output.as_raw_fd(), libc::STDOUT_FILENO))?;
            number(libc::posix_spawn_file_actions_addopen(
                list,
                libc::STDIN_FILENO,
                null,
                libc::O_RDONLY,
                0,
            ))?;
            number(libc::posix_spawn_file_actions_addopen(
                list,
                libc::STDERR_FILENO,
                null,
                libc::O_WRONLY,
                0,
            ))?;
            number(libc::posix_spawn_file_actions_addclosefrom_np(list, 3))?;
            number(libc::posix_spawn_file_actions_addchdir_np(list, c"/".as_ptr()))?;
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: the object is initialised and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// What happens to session and signals in the child.
pub(super) struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    pub(super) fn as_ptr(&self) -> *const libc::posix_spawnattr_t {
        &raw const self.0
    }

    fn new() -> io::Result<Self> {
        const FLAGS: c_int = libc::POSIX_SPAWN_SETSID as c_int
            | libc::POSIX_SPAWN_SETSIGDEF as c_int
            | libc::POSIX_SPAWN_SETSIGMASK as c_int;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the call initialises the object it is given room for.
        number(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it has just been initialised.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: each call initialises or reads objects that live on this stack frame.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            number(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, set.as_ptr()))?;
            libc::sigemptyset(set.as_mut_ptr());
            number(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, set.as_ptr()))?;
            number(libc::posix_spawnattr_setflags(&raw mut attributes.0, FLAGS as c_short))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the object is initialised and not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// The pointers `posix_spawn` wants. It writes to none of the strings, whatever its signature says.
fn null_terminated(strings: &[&CStr]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// Turns an error number as the `posix_spawn` family returns it into the error behind it.
fn number(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
