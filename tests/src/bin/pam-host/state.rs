//! The state of a process that a module could change.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::ptr;

use serde_json::{Map, Value, json};

/// Returns everything that a login must not change.
pub(crate) fn snapshot() -> Value {
    json!({
        "descriptors": descriptors(),
        "signals": signals(),
        "status": status(),
        "limits": std::fs::read_to_string("/proc/self/limits").ok(),
        "directory": std::env::current_dir().ok(),
        "environment": environment(),
        "locale": locale(),
        "timers": timers(),
        "process": process(),
    })
}

/// Returns the counts of resources that many logins could use up.
pub(crate) fn holdings() -> Value {
    let mappings =
        std::fs::read_to_string("/proc/self/maps").map(|maps| maps.lines().count()).unwrap_or_default();
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or_default();
    json!({ "descriptors": descriptors(), "mappings": mappings, "threads": threads })
}

/// Returns the number of used bytes of the heap.
pub(crate) fn heap() -> usize {
    // SAFETY: the call takes nothing and returns plain numbers.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Returns true if the process has any child, running or not, including one that sends no SIGCHLD.
pub(crate) fn has_children() -> bool {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the buffer has room for one `siginfo_t`; nothing is reaped.
    unsafe {
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(libc::P_ALL, 0, found.as_mut_ptr(), how) == 0
    }
}

/// Counts the occurrences of the text in writable memory. The text is passed in reverse, so that
/// the argument is not one of them. A forked child searches, so that the search adds none.
pub(crate) fn token_copies_in_memory(backwards: &str) -> i32 {
    // SAFETY: there is one thread only; the child searches and exits, and this child is waited for.
    unsafe {
        let parent = libc::getpid();
        let child = libc::fork();
        if child == 0 {
            libc::_exit(count_copies(parent, &backwards.bytes().rev().collect::<Vec<u8>>()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child, "the child is there");
        libc::WEXITSTATUS(status)
    }
}

fn count_copies(pid: libc::pid_t, needle: &[u8]) -> i32 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the parent is there");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("the parent may be read");
    let writable =
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")));
    let copies = writable.map(|line| {
        let address = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let (from, to) = (address(from), address(to));
        let mut bytes = vec![0; usize::try_from(to - from).expect("it fits in memory")];
        match memory.read_exact_at(&mut bytes, from) {
            Ok(()) => bytes.windows(needle.len()).filter(|window| *window == needle).count(),
            Err(_) => 0,
        }
    });
    i32::try_from(copies.sum::<usize>()).expect("a small count")
}

fn descriptors() -> Value {
    let mut found = Map::new();
    for number in 0..256 {
        // SAFETY: the call takes plain numbers.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags >= 0 {
            let target = std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
            found.insert(number.to_string(), json!([target, flags]));
        }
    }
    Value::Object(found)
}

/// Returns disposition, flags and mask of every signal.
fn signals() -> Value {
    let action = |number| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: the call only writes the current action into the buffer, which is valid as zeroes
        // too.
        let action = unsafe {
            libc::sigaction(number, ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        json!([action.sa_sigaction, action.sa_flags])
    };
    (1..=64).map(action).collect()
}

/// Returns identity, masks, umask, capabilities and threads from the kernel; reading these changes
/// nothing.
fn status() -> Value {
    const KEPT: [&str; 12] = [
        "Name",
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "NStgid",
        "Threads",
        "SigBlk",
        "CapEff",
        "CapBnd",
        "NoNewPrivs",
        "Seccomp",
    ];
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(name, _)| KEPT.contains(name))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "the environment of the host is what is being observed")]
fn environment() -> Value {
    std::env::vars_os()
        .map(|(name, value)| json!([name.to_string_lossy(), value.to_string_lossy()]))
        .collect()
}

fn locale() -> Value {
    // SAFETY: a null locale only queries; the answer is a static string.
    let locale = unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, ptr::null())) };
    json!(locale.to_string_lossy())
}

/// Returns the running interval timers and their intervals. The remaining time changes by itself.
fn timers() -> Value {
    let timer = |which| {
        let mut value = MaybeUninit::<libc::itimerval>::zeroed();
        // SAFETY: the call writes into the buffer, which is valid as zeroes too.
        let value = unsafe {
            libc::getitimer(which, value.as_mut_ptr());
            value.assume_init()
        };
        let running = value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0;
        json!([running, value.it_interval.tv_sec, value.it_interval.tv_usec])
    };
    json!([timer(libc::ITIMER_REAL), timer(libc::ITIMER_VIRTUAL), timer(libc::ITIMER_PROF)])
}

/// Returns the values of `prctl`, the scheduler, the keyrings and the session.
fn process() -> Value {
    const GET_KEYRING_ID: libc::c_int = 0;
    const SESSION_KEYRING: libc::c_int = -3;
    let mut parent_death = 0;
    // SAFETY: all calls take plain numbers, except one pointer to a live variable.
    unsafe {
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut parent_death);
        json!({
            "dumpable": libc::prctl(libc::PR_GET_DUMPABLE),
            "parent death signal": parent_death,
            "keeps capabilities": libc::prctl(libc::PR_GET_KEEPCAPS),
            "nice": libc::getpriority(libc::PRIO_PROCESS, 0),
            "session": libc::getsid(0),
            "group": libc::getpgid(0),
            "keyring": libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 0),
        })
    }
}
