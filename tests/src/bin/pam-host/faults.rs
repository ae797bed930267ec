//! Makes every call of the module to libc and libpam fail, each in a real login.

use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::{Scenario, state};

/// The functions that can fail, with the errors that are injected.
const FAULTS: &[(&CStr, &[c_int])] = &[
    (c"lstat", &[libc::EIO, libc::EACCES, libc::ENOMEM]),
    (c"pipe2", &[libc::EMFILE, libc::ENFILE]),
    (c"mmap", &[libc::ENOMEM]),
    (c"posix_spawn", &[libc::ENOENT, libc::EACCES, libc::EAGAIN, libc::ENOMEM, libc::ENOEXEC]),
    (c"posix_spawn_file_actions_init", &[libc::ENOMEM]),
    (c"posix_spawn_file_actions_addopen", &[libc::ENOMEM]),
    (c"posix_spawnattr_init", &[libc::ENOMEM]),
    (c"syscall", &[libc::ENOSYS, libc::EMFILE, libc::ESRCH, libc::EINVAL]),
    (c"ppoll", &[libc::EINTR, libc::ENOMEM]),
    (c"read", &[libc::EINTR, libc::EIO]),
    (c"waitid", &[libc::ECHILD]),
    (c"waitpid", &[libc::ECHILD]),
    (c"sigwaitinfo", &[libc::EINTR, libc::EAGAIN]),
    (c"kill", &[libc::EPERM]),
    (c"clock_gettime", &[libc::EINVAL]),
    (c"pam_get_item", &[4]),
    (c"pam_putenv", &[5]),
];

/// How often each of the functions was called while calls were counted.
static COUNTS: [AtomicUsize; FAULTS.len()] = [const { AtomicUsize::new(0) }; FAULTS.len()];
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Starts or ends counting.
pub(crate) fn count(on: bool) {
    COUNTING.store(on, Relaxed);
}

/// Returns true while a session is being opened and calls are counted.
pub(crate) fn is_counting() -> bool {
    COUNTING.load(Relaxed)
}

/// Returns the counts; functions that were not called are left out.
pub(crate) fn counts() -> Value {
    let counted =
        FAULTS.iter().zip(&COUNTS).map(|((name, _), count)| (name.to_string_lossy(), count.load(Relaxed)));
    counted.filter(|(_, count)| *count > 0).map(|(name, count)| (name.into_owned(), json!(count))).collect()
}

/// The call that must fail. The supervisor, a fork of this process, makes some of the calls, so
/// this is in memory that both share.
struct Armed {
    function: AtomicUsize,
    calls_left: AtomicI32,
    error: AtomicI32,
    struck: AtomicBool,
}

static ARMED: AtomicPtr<Armed> = AtomicPtr::new(std::ptr::null_mut());

fn armed() -> Option<&'static Armed> {
    // SAFETY: null, or a value that is never freed.
    unsafe { ARMED.load(Relaxed).as_ref() }
}

fn share_armed_faults() -> &'static Armed {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping overlaps no memory; it is large enough, and the value is written before
    // it is read.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), size_of::<Armed>(), protection, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED, "there is memory");
        let page: *mut Armed = page.cast();
        page.write(Armed {
            function: AtomicUsize::new(usize::MAX),
            calls_left: AtomicI32::new(0),
            error: AtomicI32::new(0),
            struck: AtomicBool::new(false),
        });
        ARMED.store(page, Relaxed);
        &*page
    }
}

/// Opens a session for every function, every error and every call that a login makes; just that
/// call fails.
pub(crate) fn fail_one_by_one(scenario: &Scenario) -> Value {
    const MAX_CALLS_PER_LOGIN: i32 = 200;
    let armed = share_armed_faults();
    let mut logins = Vec::new();
    for (function, (name, errors)) in FAULTS.iter().enumerate() {
        for error in *errors {
            for call in 0..MAX_CALLS_PER_LOGIN {
                let (mut session, _) = scenario.start();
                let before = state::snapshot();
                armed.struck.store(false, Relaxed);
                armed.calls_left.store(call, Relaxed);
                armed.error.store(*error, Relaxed);
                armed.function.store(function, Relaxed);
                let open = session.call("open", scenario.silent);
                armed.function.store(usize::MAX, Relaxed);
                let environment = session.environment();
                let children = state::has_children();
                reap_all_children();
                let unchanged = state::snapshot() == before;
                let close = session.call("close", scenario.silent);
                session.end();
                if !armed.struck.load(Relaxed) {
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

/// Reaps the children that a fault in `waitpid` itself leaves.
fn reap_all_children() {
    // SAFETY: the statuses are not used.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) } > 0 {}
}

/// Returns the error with which a call must fail, if it is the selected one.
pub(crate) fn should_fail(name: &CStr) -> Option<c_int> {
    if COUNTING.load(Relaxed) {
        let count = FAULTS.iter().position(|(listed, _)| *listed == name).and_then(|place| COUNTS.get(place));
        count.map(|count| count.fetch_add(1, Relaxed));
    }
    let armed = armed()?;
    let (function, _) = FAULTS.get(armed.function.load(Relaxed))?;
    if *function != name || armed.calls_left.fetch_sub(1, Relaxed) != 0 {
        return None;
    }
    armed.struck.store(true, Relaxed);
    Some(armed.error.load(Relaxed))
}
