//! Threads of the host that fork while others open sessions: each child must have the host's
//! SIGCHLD handler.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Scenario, brief_login, modes, state};

/// Half of the eight threads open sessions, the other half forks.
const THREADS_PER_KIND: usize = 4;

/// The handler of a child runs within microseconds; this bounds the wait for one that never does.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens sessions in some threads and forks in others until the last session is open.
pub(crate) fn run(scenario: &Arc<Scenario>) -> Value {
    // The C library reserves two signals for itself when it starts its first thread.
    std::thread::spawn(|| {}).join().expect("the thread ends well");
    let before = state::snapshot();
    let action = sigchld_action();
    let finished = Arc::new(AtomicBool::new(false));
    let forking: Vec<_> = (0..THREADS_PER_KIND)
        .map(|_| {
            let finished = Arc::clone(&finished);
            std::thread::spawn(move || fork_until(&finished, action))
        })
        .collect();
    let opening: Vec<_> = (0..THREADS_PER_KIND)
        .map(|_| {
            let scenario = Arc::clone(scenario);
            std::thread::spawn(move || {
                (0..scenario.times).map(|_| brief_login(&scenario)).collect::<Vec<_>>()
            })
        })
        .collect();
    let logins: Vec<_> =
        opening.into_iter().flat_map(|thread| thread.join().expect("the thread ends well")).collect();
    finished.store(true, Relaxed);
    let (mut children, mut deaf) = (0, 0);
    for thread in forking {
        let (forked, without_handler) = thread.join().expect("the thread ends well");
        children += forked;
        deaf += without_handler;
    }
    json!({
        "logins": logins, "forked": children, "without_handler": deaf,
        "before": before, "after": state::snapshot(), "children": state::has_children(),
    })
}

/// Returns how many children were forked, and how many of them had lost the handler.
fn fork_until(finished: &AtomicBool, action: (usize, c_int)) -> (usize, usize) {
    let (mut forked, mut without_handler) = (0, 0);
    while !finished.load(Relaxed) {
        // SAFETY: the child makes async-signal-safe calls only, and ends.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "the host can fork");
        if child == 0 {
            let hears = sigchld_action() == action && is_notified_of_own_child();
            // SAFETY: nothing of the host runs at this end.
            unsafe { libc::_exit(c_int::from(!hears)) };
        }
        forked += 1;
        without_handler += usize::from(wait_for(child) != 0);
    }
    (forked, without_handler)
}

fn is_notified_of_own_child() -> bool {
    let before = modes::handler_calls();
    // SAFETY: the grandchild only ends.
    let grandchild = unsafe { libc::fork() };
    if grandchild == 0 {
        // SAFETY: nothing of the host runs at this end.
        unsafe { libc::_exit(0) };
    }
    wait_for(grandchild);
    let begun = Instant::now();
    while modes::handler_calls() == before {
        if begun.elapsed() > HANDLER_TIMEOUT {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Returns the raw status of this child.
fn wait_for(child: libc::pid_t) -> c_int {
    let mut status = 0;
    loop {
        // SAFETY: the status is written to a live variable.
        match unsafe { libc::waitpid(child, &raw mut status, 0) } {
            -1 if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            reaped => {
                assert_eq!(reaped, child, "the status was not reaped");
                return status;
            }
        }
    }
}

fn sigchld_action() -> (usize, c_int) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only writes the current action into the buffer, which is valid as zeroes
    // too.
    let action = unsafe {
        libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    (action.sa_sigaction, action.sa_flags)
}
