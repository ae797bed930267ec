//! Lets every call the module makes to libc and libpam fail, one after the other, in a real login each.
//!
//! The host defines the functions itself, and a shared object's calls find the host's definition first. Unless a fault is
//! armed, each passes on to the real one.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::transmute;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::{Scenario, state};

/// The functions that can fail, with the errors they are made to fail with.
const FAULTS: &[(&CStr, &[c_int])] = &[
    (c"lstat", &[libc::EIO, libc::EACCES, libc::ENOMEM]),
    (c"pipe2", &[libc::EMFILE, libc::ENFILE]),
    (c"posix_spawn", &[libc::ENOENT, libc::EACCES, libc::EAGAIN, libc::ENOMEM, libc::ENOEXEC]),
    (c"posix_spawn_file_actions_init", &[libc::ENOMEM]),
    (c"posix_spawn_file_actions_addopen", &[libc::ENOMEM]),
    (c"posix_spawnattr_init", &[libc::ENOMEM]),
    (c"syscall", &[libc::ENOSYS, libc::EMFILE, libc::ESRCH, libc::EINVAL]),
    (c"ppoll", &[libc::EINTR, libc::ENOMEM]),
    (c"read", &[libc::EINTR, libc::EIO]),
    (c"waitid", &[libc::ECHILD]),
    (c"waitpid", &[libc::ECHILD]),
    // Never made to fail: with valid arguments it cannot, and putting a handler back depends on it.
    (c"sigaction", &[]),
    (c"kill", &[libc::EPERM]),
    (c"clock_gettime", &[libc::EINVAL]),
    (c"pam_get_item", &[4]),
    (c"pam_putenv", &[5]),
];

/// How often each of the functions was called while calls were counted.
static COUNTS: [AtomicUsize; FAULTS.len()] = [const { AtomicUsize::new(0) }; FAULTS.len()];
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Which kernel's pidfds there are.
static KERNEL: AtomicI32 = AtomicI32::new(0);
const KERNEL_5_2: i32 = 52;
const KERNEL_6_1: i32 = 61;

/// From now on there are no pidfds, as before Linux 5.3 or where a sandbox forbids them.
pub(crate) fn without_pidfds() {
    KERNEL.store(KERNEL_5_2, Relaxed);
}

/// From now on a pidfd cannot signal a process group, as before Linux 6.9 (Debian 12 has 6.1).
pub(crate) fn without_group_signals() {
    KERNEL.store(KERNEL_6_1, Relaxed);
}

/// The flags of the last pipe that was made while calls were counted.
static PIPE_FLAGS: AtomicI32 = AtomicI32::new(-1);

/// See [`PIPE_FLAGS`].
pub(crate) fn pipe_flags() -> c_int {
    PIPE_FLAGS.load(Relaxed)
}

/// Begins or ends counting.
pub(crate) fn count(on: bool) {
    COUNTING.store(on, Relaxed);
}

/// What was counted; functions that were not called are left out.
pub(crate) fn counts() -> Value {
    let counted =
        FAULTS.iter().zip(&COUNTS).map(|((name, _), count)| (name.to_string_lossy(), count.load(Relaxed)));
    counted.filter(|(_, count)| *count > 0).map(|(name, count)| (name.into_owned(), json!(count))).collect()
}

static ARMED: AtomicUsize = AtomicUsize::new(usize::MAX);
static CALLS_LEFT: AtomicI32 = AtomicI32::new(0);
static ERROR: AtomicI32 = AtomicI32::new(0);
static STRUCK: AtomicBool = AtomicBool::new(false);

/// For every function, every error and every call of it that a login makes: one login in which just that call fails.
pub(crate) fn one_by_one(scenario: &Scenario) -> Value {
    const MORE_CALLS_THAN_ANY_LOGIN_MAKES: i32 = 200;
    let mut logins = Vec::new();
    for (function, (name, errors)) in FAULTS.iter().enumerate() {
        for error in *errors {
            for call in 0..MORE_CALLS_THAN_ANY_LOGIN_MAKES {
                let (mut session, _) = scenario.start();
                let before = state::snapshot();
                STRUCK.store(false, Relaxed);
                CALLS_LEFT.store(call, Relaxed);
                ERROR.store(*error, Relaxed);
                ARMED.store(function, Relaxed);
                let open = session.call("open", scenario.silent);
                ARMED.store(usize::MAX, Relaxed);
                let environment = session.environment();
                let children = state::has_children();
                reap_everything();
                let unchanged = state::snapshot() == before;
                let close = session.call("close", scenario.silent);
                session.end();
                if !STRUCK.load(Relaxed) {
                    break;
                }
                logins.push(json!({
                    "function": name.to_str().expect("ASCII"), "error": error, "call": call, "open": open, "close": close,
                    "environment": environment, "children": children, "unchanged": unchanged,
                }));
            }
        }
    }
    json!(logins)
}

/// What a fault in `waitpid` itself leaves behind.
fn reap_everything() {
    // SAFETY: the statuses are not wanted.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
}

/// The error a call has to fail with, when it is the one.
fn strikes(name: &CStr) -> Option<c_int> {
    if COUNTING.load(Relaxed) {
        let count = FAULTS.iter().position(|(listed, _)| *listed == name).and_then(|place| COUNTS.get(place));
        count.map(|count| count.fetch_add(1, Relaxed));
    }
    let armed = FAULTS.get(ARMED.load(Relaxed))?;
    if armed.0 != name || CALLS_LEFT.fetch_sub(1, Relaxed) != 0 {
        return None;
    }
    STRUCK.store(true, Relaxed);
    Some(ERROR.load(Relaxed))
}

fn real(name: &CStr) -> *mut c_void {
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
        /// Stands before the library's function of this name.
        ///
        /// # Safety
        /// As for the library's.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            let name = const { c_name(concat!(stringify!($name), "\0")) };
            match strikes(name) {
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
        /// Stands before the library's function of this name.
        ///
        /// # Safety
        /// As for the library's.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            let name = const { c_name(concat!(stringify!($name), "\0")) };
            match strikes(name) {
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
    sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    kill(pid: libc::pid_t, signal: c_int) -> c_int;
    clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int;
}

/// Stands before the library's function of this name, and refuses what an older kernel refuses.
///
/// # Safety
/// As for the library's.
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
        _ => strikes(c"syscall"),
    };
    match refused {
        Some(error) => fail(error).into(),
        // SAFETY: the library's function reads its arguments as these, and gets what the caller gave.
        None => unsafe { transmute::<*mut c_void, Real>(real(c"syscall"))(number, a, b, c, d, e, f) },
    }
}

/// Stands before the library's function of this name, and keeps the flags.
///
/// # Safety
/// As for the library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    if COUNTING.load(Relaxed) {
        PIPE_FLAGS.store(flags, Relaxed);
    }
    match strikes(c"pipe2") {
        Some(error) => fail(error),
        // SAFETY: the library's function has this signature, and gets what the caller gave.
        None => unsafe {
            transmute::<*mut c_void, unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(real(c"pipe2"))(
                ends, flags,
            )
        },
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
