//! The process states in which real hosts open a session, and some worse ones.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

static HANDLER_CALLS: AtomicUsize = AtomicUsize::new(0);

/// Returns how often the SIGCHLD handler of the host ran.
pub(crate) fn handler_calls() -> usize {
    HANDLER_CALLS.load(Ordering::Relaxed)
}

/// Opens the connection to the system log, which libc otherwise opens at the first line and keeps
/// open.
pub(crate) fn open_log() {
    // SAFETY: the name is static, as openlog(3) requires.
    unsafe { libc::openlog(c"pam-host".as_ptr(), libc::LOG_NDELAY, libc::LOG_AUTHPRIV) }
}

/// The changes that must be undone before the host can end.
pub(crate) struct Modes {
    thief: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    own_child: Option<libc::pid_t>,
}

impl Modes {
    /// Enters every named mode. `main` handles those about how the login is made.
    pub(crate) fn enter(names: &[String]) -> Self {
        let mut entered = Self { thief: None, own_child: None };
        for name in names {
            match name.as_str() {
                "sigchld-ignored" => on_sigchld(libc::SIG_IGN, 0),
                "sigchld-handler" => on_sigchld(count as *const () as usize, 0),
                "sigchld-reaping-handler" => {
                    on_sigchld(count_and_reap as *const () as usize, libc::SA_RESTART)
                }
                "sigchld-nocldwait" => on_sigchld(count as *const () as usize, libc::SA_NOCLDWAIT),
                "thief-thread" => entered.thief = Some(start_reaper_thread()),
                "own-child" => entered.own_child = Some(start_child()),
                "dirty" => dirty(),
                "stdio-closed" => close_standard_streams(),
                "eintr-storm" => start_signal_storm(),
                "kernel-5.2" => crate::interposed::without_pidfds(),
                "kernel-6.1" => crate::interposed::without_group_signals(),
                "dies" => exit_after_delay(),
                "no-files" => limit(libc::RLIMIT_NOFILE, 32),
                "no-processes" => limit_processes(),
                "other-thread" | "two-threads" | "fork-stress" | "cancelled" | "end-in-child" | "faults"
                | "memory" | "no-memory" => {}
                _ => panic!("no mode {name}"),
            }
        }
        entered
    }

    /// Stops what was started.
    pub(crate) fn leave(self) {
        if let Some((stop, thread)) = self.thief {
            stop.store(true, Ordering::Relaxed);
            thread.join().expect("the thief ends well");
        }
        if let Some(child) = self.own_child {
            // SAFETY: this child is waited for, and its status is not used.
            let waited = unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
            assert_eq!(waited, child, "the host's child was not reaped");
        }
    }
}

extern "C" fn count(_: c_int) {
    HANDLER_CALLS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn count_and_reap(_: c_int) {
    HANDLER_CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: waitpid may be called from a signal handler; the status is not used.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

extern "C" fn ignore_signal(_: c_int) {}

fn on_sigchld(handler: libc::sighandler_t, flags: c_int) {
    on_signal(libc::SIGCHLD, handler, flags);
}

fn on_signal(signal: c_int, handler: libc::sighandler_t, flags: c_int) {
    // SAFETY: zeroes are a valid action with an empty mask, and the handlers use atomics only.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
    }
}

/// Starts a thread that reaps every child it can get.
fn start_reaper_thread() -> (Arc<AtomicBool>, JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            // SAFETY: the status is not used.
            unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) };
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    (stop, thread)
}

/// Starts a child of the host, which ends while the module is at work.
fn start_child() -> libc::pid_t {
    // SAFETY: the child only sleeps and exits.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::usleep(100_000);
            libc::_exit(0);
        }
        child
    }
}

/// Sets descriptors on secrets, blocked signals, dispositions, umask, directory, environment and
/// timers.
fn dirty() {
    for _ in 0..5 {
        let descriptor = File::open("/etc/shadow").expect("/etc/shadow opens for root").into_raw_fd();
        // SAFETY: the calls take plain numbers; the descriptor stays open deliberately.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
    }
    on_signal(libc::SIGTERM, libc::SIG_IGN, 0);
    on_signal(libc::SIGPIPE, libc::SIG_IGN, 0);
    on_signal(libc::SIGHUP, libc::SIG_IGN, 0);
    // SAFETY: there is only this thread, and every pointer leads to a live value.
    unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
        libc::umask(0);
        libc::chdir(c"/tmp".as_ptr());
        libc::alarm(1000);
        libc::setpriority(libc::PRIO_PROCESS, 0, 1);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1);
        for (name, value) in [
            ("LD_PRELOAD", "/x.so"),
            ("BASH_ENV", "/x"),
            ("CLAUDE_CODE_OAUTH_TOKEN", "callers"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            std::env::set_var(name, value);
        }
        libc::setlocale(libc::LC_ALL, c"C.UTF-8".as_ptr());
    }
}

fn close_standard_streams() {
    // SAFETY: the host uses none of the three.
    (0..3).for_each(|number| unsafe {
        libc::close(number);
    });
}

/// Kills the host while the session opens, as an administrator or the out-of-memory killer would.
fn exit_after_delay() {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(200));
        // SAFETY: the signal is sent to this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    });
}

/// Sends a signal every millisecond, with a handler that interrupts every wait.
fn start_signal_storm() {
    on_signal(libc::SIGALRM, ignore_signal as *const () as usize, 0);
    let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    let timer = libc::itimerval { it_interval: millisecond, it_value: millisecond };
    // SAFETY: the timer is a live value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

fn limit(which: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the limit is a live value.
    assert_eq!(unsafe { libc::setrlimit(which, &raw const limit) }, 0);
}

/// Becomes a user who has no process left (root has no such limit).
fn limit_processes() {
    const SOMEBODY: libc::uid_t = 54_321;
    limit(libc::RLIMIT_NPROC, 0);
    // SAFETY: the calls take plain numbers.
    unsafe {
        assert_eq!(libc::setresgid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
        assert_eq!(libc::setresuid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
    }
}

/// Runs `work` in a thread that is canceled while it runs, and waits for the thread.
pub(crate) fn in_cancelled_thread(
    work: impl FnOnce() -> serde_json::Value + Send + 'static,
) -> serde_json::Value {
    type Work = Box<dyn FnOnce() -> serde_json::Value + Send>;
    static ANSWER: Mutex<Option<serde_json::Value>> = Mutex::new(None);
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: the pointer is the box created below, given to this one thread.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        // Only the module is to be canceled, not the code of this program around the call.
        crate::shortage::cancel_state(1);
        let answer = work();
        *ANSWER.lock().expect("no thread panicked") = Some(answer);
        ptr::null_mut()
    }
    unsafe extern "C" {
        fn pthread_cancel(thread: libc::pthread_t) -> c_int;
    }
    let work: *mut Work = Box::into_raw(Box::new(Box::new(work)));
    // SAFETY: the thread owns the box, is canceled while it runs and joined once.
    unsafe {
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        assert_eq!(libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, work.cast()), 0);
        let thread = thread.assume_init();
        libc::usleep(200_000);
        assert_eq!(pthread_cancel(thread), 0);
        libc::pthread_join(thread, ptr::null_mut());
    }
    ANSWER.lock().expect("no thread panicked").take().unwrap_or_default()
}
