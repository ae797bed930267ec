//! The process between the host and the helper: it starts the helper, waits for it, and kills its
//! process group.
//!
//! It is a copy of the calling thread, created by `clone` with exit signal 0. So its end sends no
//! SIGCHLD to the host, the host's `wait(-1)` does not find it, and its status is kept even if the
//! host ignores SIGCHLD; only a wait with `__WALL` reaps it (clone(2)). The helper cannot be such a
//! child itself, because `execve` resets the exit signal to SIGCHLD. As a child of the supervisor
//! it does not affect the host, whose signal dispositions stay unchanged.
//!
//! Between `clone` and `_exit` only async-signal-safe calls are made, because other threads of the
//! host may have held any lock.

use std::ffi::{c_char, c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use super::spawn_settings::{Actions, Attributes};
use super::verdict::{Exit, Verdict};

/// The time limit for the end of a killed helper. One that hangs in the kernel, for example on an
/// unreachable file server, is not waited for.
const KILL_TIMEOUT: Duration = Duration::from_millis(50);

/// The helper to start. It is prepared in advance, because the supervisor cannot allocate.
pub(super) struct SpawnRequest<'a> {
    pub(super) program: *const c_char,
    /// The helper's arguments and environment, each terminated by a null pointer.
    pub(super) arguments: &'a [*mut c_char],
    pub(super) environment: &'a [*mut c_char],
    pub(super) actions: &'a Actions,
    pub(super) attributes: &'a Attributes,
    /// The only descriptor of the host that the helper needs.
    pub(super) output: &'a OwnedFd,
    /// The time after which the helper is killed, even if the host has ended.
    pub(super) timeout: Duration,
}

/// Starts a supervisor, which executes the request and stores the result in `verdict`. Returns its
/// process id, which stays reserved until it is waited for.
///
/// # Errors
/// The system's error: no process or no memory is available.
pub(super) fn start(request: &SpawnRequest<'_>, verdict: &Verdict) -> io::Result<libc::pid_t> {
    // A signal handler of the host must not run in the copy.
    let _blocked = SignalBlock::new();
    // SAFETY: without flags the call is `fork` with exit signal 0. The copy has its own memory and
    // runs `supervise` only, which never returns into the host's code.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    if pid == 0 {
        supervise(request, verdict);
    }
    check(c_int::try_from(pid).unwrap_or(-1))
}

/// Runs the supervisor. A panic must not unwind into the copy of the host: with this ABI it aborts.
extern "C" fn supervise(request: &SpawnRequest<'_>, verdict: &Verdict) -> ! {
    prepare(request.output.as_raw_fd());
    match spawn(request) {
        Ok(helper) => {
            close_range(0, c_uint::MAX);
            verdict.set(&wait_for_exit(helper, request.timeout));
        }
        Err(error) => verdict.set(&Exit::NotStarted(error)),
    }
    // SAFETY: no exit handler of the host runs.
    unsafe { libc::_exit(0) }
}

/// Leaves the host's session, so that signals for its process group do not arrive here; restores
/// the default disposition of SIGCHLD; and closes the host's descriptors.
fn prepare(output: c_int) {
    // SAFETY: the calls take plain numbers. The disposition is that of this process, a copy.
    unsafe {
        libc::setsid();
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
    let output = output.unsigned_abs();
    close_range(3, output.saturating_sub(1));
    close_range(output.saturating_add(1), c_uint::MAX);
}

fn spawn(request: &SpawnRequest<'_>) -> Result<libc::pid_t, c_int> {
    let mut helper = 0;
    // SAFETY: all pointers lead to live, initialized values, and both lists end in a null pointer.
    // In glibc the call takes no lock and allocates by `mmap` only.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut helper,
            request.program,
            request.actions.as_ptr(),
            request.attributes.as_ptr(),
            request.arguments.as_ptr(),
            request.environment.as_ptr(),
        )
    };
    if error == 0 { Ok(helper) } else { Err(error) }
}

/// Waits until the helper exits, the host requests its end with SIGTERM, or the timeout expires.
/// Then kills the helper's process group.
fn wait_for_exit(helper: libc::pid_t, timeout: Duration) -> Exit {
    let events = signal_set(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGALRM]);
    set_alarm(timeout);
    while !has_ended(helper) && wait_for_signal(&events) == libc::SIGCHLD {}
    let exited_on_its_own = has_ended(helper);
    // Before the status is reaped: until then the number cannot name another process group.
    // SAFETY: the call takes plain numbers; the helper leads a group of its own since before its
    // exec.
    unsafe { libc::kill(helper.saturating_neg(), libc::SIGKILL) };
    set_alarm(KILL_TIMEOUT);
    let events = signal_set(&[libc::SIGCHLD, libc::SIGALRM]);
    loop {
        match take_status(helper) {
            Some(status) if exited_on_its_own => return Exit::Own(status),
            Some(_) => return Exit::Killed,
            None if wait_for_signal(&events) != libc::SIGCHLD => return Exit::Unknown,
            None => {}
        }
    }
}

/// Checks without reaping.
fn has_ended(helper: libc::pid_t) -> bool {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let id = libc::id_t::from(helper.unsigned_abs());
    // SAFETY: the buffer has room for one `siginfo_t`.
    let result = unsafe { libc::waitid(libc::P_PID, id, found.as_mut_ptr(), how) };
    // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote; the pid is 0
    // when nothing was found.
    result == 0 && unsafe { found.assume_init().si_pid() } != 0
}

fn take_status(helper: libc::pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: the status is written into a live variable; only the own child is queried.
    let taken = unsafe { libc::waitpid(helper, &raw mut status, libc::WNOHANG) };
    (taken == helper).then_some(status)
}

/// Returns the next of these blocked signals. SIGALRM also stands for a wait that failed for
/// another reason than an interruption.
fn wait_for_signal(events: &libc::sigset_t) -> c_int {
    loop {
        // SAFETY: the set is initialized, and no details of the signal are requested.
        let signal = unsafe { libc::sigwaitinfo(events, ptr::null_mut()) };
        if signal > 0 {
            return signal;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return libc::SIGALRM;
        }
    }
}

/// Starts a timer of this process. A copy does not inherit the host's timers.
fn set_alarm(timeout: Duration) {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let once = libc::timeval {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        // Zero would disable the timer.
        tv_usec: libc::suseconds_t::from(timeout.subsec_micros().max(1)),
    };
    let timer = libc::itimerval { it_interval: never, it_value: once };
    // SAFETY: the timer is a live value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// Best effort: without this system call the descriptors stay open until the supervisor exits,
/// milliseconds later.
fn close_range(first: c_uint, last: c_uint) {
    if first <= last {
        // SAFETY: the call takes plain numbers, and the descriptors are the copy's.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call initializes the set, and the others add existing signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// Blocks all signals to the calling thread until it is dropped.
struct SignalBlock(libc::sigset_t);

impl SignalBlock {
    fn new() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = signal_set(&[]);
        // SAFETY: the first call initializes the set; the second changes the mask of this thread
        // alone.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), &raw mut before);
        }
        Self(before)
    }
}

impl Drop for SignalBlock {
    fn drop(&mut self) {
        // SAFETY: the mask was returned by the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
