//! The shortages of a host while a session opens, and the cancellation of its thread.

use std::ffi::c_int;
use std::fs::File;

/// The shortages of a host during the one call that opens the session.
pub(crate) struct Shortage {
    files: Vec<File>,
    memory: Option<libc::rlimit>,
    cancellation: Option<c_int>,
}

/// Enters the modes for that call only: libpam itself needs files and memory before.
pub(crate) fn enter(modes: &[String]) -> Shortage {
    let has = |name: &str| modes.iter().any(|mode| mode == name);
    let mut want = Shortage { files: Vec::new(), memory: None, cancellation: None };
    if has("no-files") {
        want.files = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // One for libpam's own audit message, without which it refuses the session itself; a pipe
        // takes two.
        want.files.pop();
    }
    if has("no-memory") {
        // The heap keeps this much for small allocations: no Rust program survives a failing
        // `malloc` of ten bytes.
        drop(vec![1_u8; 64 * 1024]);
        want.memory = Some(limit_memory(libc::rlimit { rlim_cur: 4096, rlim_max: libc::RLIM_INFINITY }));
    }
    if has("cancelled") {
        want.cancellation = Some(cancel_state(0));
    }
    want
}

impl Drop for Shortage {
    fn drop(&mut self) {
        if let Some(limit) = self.memory {
            limit_memory(limit);
        }
        if let Some(state) = self.cancellation {
            cancel_state(state);
        }
        self.files.clear();
    }
}

/// Sets the limit of address space and returns the previous one.
fn limit_memory(new: libc::rlimit) -> libc::rlimit {
    let mut old = new;
    // SAFETY: both limits are live values.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut old), 0);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const new), 0);
    }
    old
}

/// Allows (0) or blocks (1) the cancellation of this thread, and returns the previous state.
pub(crate) fn cancel_state(state: c_int) -> c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
    }
    let mut previous = 0;
    // SAFETY: the previous state is written to a live variable.
    unsafe { pthread_setcancelstate(state, &raw mut previous) };
    previous
}
