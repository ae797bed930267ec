//! The host's own definitions of the functions that the module calls. The calls of a shared object
//! find the definition of the host first. Unless a fault is due, each calls the function of the
//! library.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering::Relaxed};

use crate::faults::{self, should_fail};

/// The kernel version whose pidfds are simulated.
static KERNEL: AtomicI32 = AtomicI32::new(0);
const KERNEL_5_2: i32 = 52;
const KERNEL_6_1: i32 = 61;

/// Makes pidfds unavailable, as before Linux 5.3 or in a sandbox that forbids them.
pub(crate) fn without_pidfds() {
    KERNEL.store(KERNEL_5_2, Relaxed);
}

/// Makes a pidfd unable to signal a process group, as before Linux 6.9 (Debian 12 has 6.1).
pub(crate) fn without_group_signals() {
    KERNEL.store(KERNEL_6_1, Relaxed);
}

/// The flags of the last pipe that was created while calls were counted.
static PIPE_FLAGS: AtomicI32 = AtomicI32::new(-1);

/// Returns [`PIPE_FLAGS`].
pub(crate) fn pipe_flags() -> c_int {
    PIPE_FLAGS.load(Relaxed)
}

/// The library's functions that are called in the supervisor too.
static FOUND: [(&CStr, AtomicPtr<c_void>); 7] = [
    (c"kill", AtomicPtr::new(ptr::null_mut())),
    (c"posix_spawn", AtomicPtr::new(ptr::null_mut())),
    (c"read", AtomicPtr::new(ptr::null_mut())),
    (c"sigwaitinfo", AtomicPtr::new(ptr::null_mut())),
    (c"syscall", AtomicPtr::new(ptr::null_mut())),
    (c"waitid", AtomicPtr::new(ptr::null_mut())),
    (c"waitpid", AtomicPtr::new(ptr::null_mut())),
];

/// Looks up what a forked process cannot: another thread may hold the lock of the dynamic linker at
/// the fork.
pub(crate) fn find_all() {
    for (name, found) in &FOUND {
        found.store(real(name), Relaxed);
    }
}

fn real(name: &CStr) -> *mut c_void {
    let found = FOUND.iter().find(|(known, _)| *known == name).map(|(_, found)| found.load(Relaxed));
    if let Some(found) = found.filter(|found| !found.is_null()) {
        return found;
    }
    // SAFETY: the name ends in NUL; the next definition is the library's.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "the library has {name:?}");
    found
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the location of errno is valid for the calling thread.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// Functions that return -1 and set `errno`.
macro_rules! by_errno {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        /// Replaces the function of the library.
        ///
        /// # Safety
        /// Same requirements as the function of the library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            let name = const { c_name(concat!(stringify!($name), "\0")) };
            match should_fail(name) {
                Some(error) => <$result>::try_from(fail(error)).unwrap_or_default(),
                // SAFETY: the library's function has this signature, and gets what the caller gave.
                None => unsafe { transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>(real(name))($($argument),*) },
            }
        }
    )*};
}

/// Functions that return the error itself.
macro_rules! by_value {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        /// Replaces the function of the library.
        ///
        /// # Safety
        /// Same requirements as the function of the library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            let name = const { c_name(concat!(stringify!($name), "\0")) };
            match should_fail(name) {
                Some(error) => error,
                // SAFETY: the library's function has this signature, and gets what the caller gave.
                None => unsafe { transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> c_int>(real(name))($($argument),*) },
            }
        }
    )*};
}

const fn c_name(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("the name ends in NUL"),
    }
}

by_errno! {
    lstat(path: *const c_char, status: *mut libc::stat) -> c_int;
    ppoll(asked: *mut libc::pollfd, count: libc::nfds_t, patience: *const libc::timespec, mask: *const libc::sigset_t) -> c_int;
    read(descriptor: c_int, buffer: *mut c_void, size: usize) -> isize;
    waitid(kind: libc::idtype_t, id: libc::id_t, found: *mut libc::siginfo_t, how: c_int) -> c_int;
    waitpid(pid: libc::pid_t, status: *mut c_int, how: c_int) -> c_int;
    sigwaitinfo(events: *const libc::sigset_t, found: *mut libc::siginfo_t) -> c_int;
    kill(pid: libc::pid_t, signal: c_int) -> c_int;
    clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int;
}

/// Replaces the function of the library, and rejects what an older kernel rejects.
///
/// # Safety
/// Same requirements as the function of the library.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    type Real = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
    let refused = match KERNEL.load(Relaxed) {
        KERNEL_5_2 if [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal].contains(&number) => {
            Some(libc::ENOSYS)
        }
        KERNEL_6_1 if number == libc::SYS_pidfd_send_signal && d != 0 => Some(libc::EINVAL),
        _ => should_fail(c"syscall"),
    };
    match refused {
        Some(error) => fail(error).into(),
        // SAFETY: the function of the library has these parameters, and gets the arguments of the
        // caller.
        None => unsafe { transmute::<*mut c_void, Real>(real(c"syscall"))(number, a, b, c, d, e, f) },
    }
}

/// Replaces the function of the library, and records the flags.
///
/// # Safety
/// Same requirements as the function of the library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    if faults::is_counting() {
        PIPE_FLAGS.store(flags, Relaxed);
    }
    match should_fail(c"pipe2") {
        Some(error) => fail(error),
        // SAFETY: the library's function has this signature, and gets what the caller gave.
        None => unsafe {
            transmute::<*mut c_void, unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(real(c"pipe2"))(
                ends, flags,
            )
        },
    }
}

/// Replaces the function of the library.
///
/// # Safety
/// Same requirements as the function of the library.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    descriptor: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    type Real = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, libc::off_t) -> *mut c_void;
    if let Some(error) = should_fail(c"mmap") {
        fail(error);
        return libc::MAP_FAILED;
    }
    // SAFETY: the library's function has this signature, and gets what the caller gave.
    unsafe {
        transmute::<*mut c_void, Real>(real(c"mmap"))(address, length, protection, flags, descriptor, offset)
    }
}

by_value! {
    posix_spawn(
        pid: *mut libc::pid_t, path: *const c_char, actions: *const libc::posix_spawn_file_actions_t,
        attributes: *const libc::posix_spawnattr_t, arguments: *const *mut c_char, environment: *const *mut c_char
    );
    posix_spawn_file_actions_init(actions: *mut libc::posix_spawn_file_actions_t);
    posix_spawn_file_actions_addopen(
        actions: *mut libc::posix_spawn_file_actions_t, number: c_int, path: *const c_char, flags: c_int, mode: libc::mode_t
    );
    posix_spawnattr_init(attributes: *mut libc::posix_spawnattr_t);
    pam_get_item(handle: *const c_void, item: c_int, value: *mut *const c_void);
    pam_putenv(handle: *mut c_void, assignment: *const c_char);
}
