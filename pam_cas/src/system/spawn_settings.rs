//! The settings of `posix_spawn`: descriptors, directory, session and signals of the new process.

use std::ffi::{c_int, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

/// The descriptors and the directory of the child.
pub(super) struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    pub(super) fn as_ptr(&self) -> *const libc::posix_spawn_file_actions_t {
        &raw const self.0
    }

    pub(super) fn new(output: &OwnedFd) -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initializes the object in the given buffer.
        number(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it has just been initialized.
        let mut actions = Self(unsafe { actions.assume_init() });
        let list = &raw mut actions.0;
        let null = c"/dev/null".as_ptr();
        // SAFETY: the list is initialized and outlives every call, and glibc copies the paths.
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
        // SAFETY: the object is initialized and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// The session and the signals of the child.
pub(super) struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    pub(super) fn as_ptr(&self) -> *const libc::posix_spawnattr_t {
        &raw const self.0
    }

    pub(super) fn new() -> io::Result<Self> {
        const FLAGS: c_int = libc::POSIX_SPAWN_SETSID as c_int
            | libc::POSIX_SPAWN_SETSIGDEF as c_int
            | libc::POSIX_SPAWN_SETSIGMASK as c_int;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the call initializes the object in the given buffer.
        number(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it has just been initialized.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: each call initializes or reads objects on this stack frame.
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
        // SAFETY: the object is initialized and not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// Converts an error number of the `posix_spawn` family into an error.
fn number(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
