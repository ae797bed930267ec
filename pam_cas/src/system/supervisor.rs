//! The process between the host and the helper: it starts the helper, waits for it, and kills what is left of it.
//!
//! It is a copy of the calling thread, made by `clone` with exit signal 0. So its end sends the host no SIGCHLD, `wait(-1)`
//! of the host does not find it, and its status is kept even where the host ignores SIGCHLD; only a wait with `__WALL`
//! takes it (clone(2)). The helper cannot be such a child itself: `execve` sets the exit signal to SIGCHLD again. As a
//! child of the supervisor it concerns the host in no way, and the host's signal dispositions stay untouched.
//!
//! Between `clone` and `_exit` only async-signal-safe calls are made: other threads of the host may have held any lock.

use std::ffi::{c_char, c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use super::spawn_settings::{Actions, Attributes};
use super::verdict::{Ending, Verdict};

/// How long a killed helper may take to end: one that hangs in the kernel, on a dead file server, cannot be waited for.
const KILL_TIMEOUT: Duration = Duration::from_millis(50);

/// What the supervisor starts; all of it is prepared before, because it cannot allocate.
pub(super) struct Order<'a> {
    pub(super) program: *const c_char,
    /// The helper's arguments and environment, each ending in a null pointer.
    pub(super) arguments: &'a [*mut c_char],
    pub(super) environment: &'a [*mut c_char],
    pub(super) actions: &'a Actions,
    pub(super) attributes: &'a Attributes,
    /// The only descriptor of the host that the helper needs.
    pub(super) output: &'a OwnedFd,
    /// After this long the helper is killed, also when the host is gone.
    pub(super) timeout: Duration,
}

/// Starts a supervisor, which carries out the order and leaves the result in `verdict`. Returns its process number, which
/// stays reserved until it is waited for.
///
/// # Errors
/// What the system says: no process, or no memory, is left.
pub(super) fn start(order: &Order<'_>, verdict: &Verdict) -> io::Result<libc::pid_t> {
    // A handler of the host must not run in the copy.
    let _blocked = SignalsBlocked::begin();
    // SAFETY: without flags the call is `fork` with exit signal 0. The copy has its own memory and runs `supervise` only,
    // which never returns into the host's code.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    if pid == 0 {
        supervise(order, verdict);
    }
    check(c_int::try_from(pid).unwrap_or(-1))
}

/// The life of the supervisor. An unwinding panic would go on in a copy of the host: the ABI makes it an abort.
extern "C" fn supervise(order: &Order<'_>, verdict: &Verdict) -> ! {
    prepare(order.output.as_raw_fd());
    match spawn(order) {
        Ok(helper) => {
            close_range(0, c_uint::MAX);
            verdict.set(&attend(helper, order.timeout));
        }
        Err(error) => verdict.set(&Ending::NotStarted(error)),
    }
    // SAFETY: nothing of the host runs at this end.
    unsafe { libc::_exit(0) }
}

/// Leaves the host's session, so that no signal for its process group arrives here; makes sure of a SIGCHLD of its own; and
/// closes what the host may want to see closed.
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

fn spawn(order: &Order<'_>) -> Result<libc::pid_t, c_int> {
    let mut helper = 0;
    // SAFETY: all pointers lead to live, initialised values, and both lists end in a null pointer. In glibc the call
    // takes no lock and allocates by `mmap` only.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut helper,
            order.program,
            order.actions.as_ptr(),
            order.attributes.as_ptr(),
            order.arguments.as_ptr(),
            order.environment.as_ptr(),
        )
    };
    if error == 0 { Ok(helper) } else { Err(error) }
}

/// Waits until the helper ends, the host asks for its end by SIGTERM, or the time is up. Then nothing of its process
/// group is left.
fn attend(helper: libc::pid_t, timeout: Duration) -> Ending {
    let events = set_of(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGALRM]);
    alarm_after(timeout);
    while !has_ended(helper) && wait_for_signal(&events) == libc::SIGCHLD {}
    let by_itself = has_ended(helper);
    // Before the status is taken: until then the number cannot become another process group's.
    // SAFETY: the call takes plain numbers; the helper leads a group of its own since before its exec.
    unsafe { libc::kill(helper.saturating_neg(), libc::SIGKILL) };
    alarm_after(KILL_TIMEOUT);
    let events = set_of(&[libc::SIGCHLD, libc::SIGALRM]);
    loop {
        match take_status(helper) {
            Some(status) if by_itself => return Ending::Itself(status),
            Some(_) => return Ending::Killed,
            None if wait_for_signal(&events) != libc::SIGCHLD => return Ending::Unknown,
            None => {}
        }
    }
}

/// Looks without taking the status.
fn has_ended(helper: libc::pid_t) -> bool {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let id = libc::id_t::from(helper.unsigned_abs());
    // SAFETY: the buffer has room for one `siginfo_t`.
    let result = unsafe { libc::waitid(libc::P_PID, id, found.as_mut_ptr(), how) };
    // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote; the pid is 0 when nothing was found.
    result == 0 && unsafe { found.assume_init().si_pid() } != 0
}

fn take_status(helper: libc::pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: the status goes into a live variable; only our own child is asked for.
    let taken = unsafe { libc::waitpid(helper, &raw mut status, libc::WNOHANG) };
    (taken == helper).then_some(status)
}

/// The next of these blocked signals. SIGALRM also stands for a wait that failed for another reason than an interruption.
fn wait_for_signal(events: &libc::sigset_t) -> c_int {
    loop {
        // SAFETY: the set is initialised, and nothing else about the signal is asked for.
        let signal = unsafe { libc::sigwaitinfo(events, ptr::null_mut()) };
        if signal > 0 {
            return signal;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return libc::SIGALRM;
        }
    }
}

/// Timers are not inherited by a copy: this one is the supervisor's only.
fn alarm_after(timeout: Duration) {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let once = libc::timeval {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        // Zero would switch the timer off.
        tv_usec: libc::suseconds_t::from(timeout.subsec_micros().max(1)),
    };
    let timer = libc::itimerval { it_interval: never, it_value: once };
    // SAFETY: the timer is a live value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// Best effort: what stays open where the kernel lacks the call is closed at the end, milliseconds later.
fn close_range(first: c_uint, last: c_uint) {
    if first <= last {
        // SAFETY: the call takes plain numbers, and the descriptors are the copy's.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

fn set_of(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call initialises the set, and the others take signals that exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// While this lives, all signals to the calling thread wait.
struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    fn begin() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = set_of(&[]);
        // SAFETY: the first call initialises the set; the second changes the mask of this thread alone.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), &raw mut before);
        }
        Self(before)
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask is the one the same call gave out before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
