//! Keeps the host's SIGCHLD handler from hearing of our child: it would find a process it never started, and one that
//! reaps everything would take its status.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use super::check;

/// While this lives the host's handler is set aside. The handler belongs to the whole process and several threads may be
/// opening sessions, so the first one sets it aside and the last one puts it back.
///
/// Where the host has no handler nothing is touched: with the default disposition nobody is called, and where SIGCHLD is
/// ignored the child's status is lost, which the answer does not need.
pub(crate) struct HandlerAside(());

struct Shared {
    /// How many threads need the handler out of the way.
    users: usize,
    /// What to put back.
    host: Option<libc::sigaction>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { users: 0, host: None });

impl HandlerAside {
    /// Sets the handler aside, if there is one.
    pub(crate) fn take() -> Option<Self> {
        // Never waits: in a process forked off while another thread was here the lock would stay taken for ever. Then the
        // handler is called for our child; the answer comes by the pipe all the same.
        let mut shared = (0..1000).find_map(|_| {
            SHARED.try_lock().ok().or_else(|| {
                std::thread::yield_now();
                None
            })
        })?;
        if shared.users == 0 {
            let host = disposition().filter(has_handler)?;
            set(&quiet(&host))?;
            shared.host = Some(host);
        }
        shared.users = shared.users.saturating_add(1);
        Some(Self(()))
    }
}

impl Drop for HandlerAside {
    fn drop(&mut self) {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.users = shared.users.saturating_sub(1);
        if shared.users > 0 {
            return;
        }
        let Some(host) = shared.host.take() else { return };
        // A handler that another thread of the host installed meanwhile is newer than the one kept.
        if disposition().is_some_and(|now| has_handler(&now)) {
            return;
        }
        if set(&host).is_some() && a_child_of_the_host_has_news(&host) {
            // SAFETY: the signal goes to this very process, whose handler has just been put back.
            unsafe { libc::kill(libc::getpid(), libc::SIGCHLD) };
        }
    }
}

fn has_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

/// The default disposition, keeping whether children leave a status behind.
fn quiet(host: &libc::sigaction) -> libc::sigaction {
    libc::sigaction { sa_sigaction: libc::SIG_DFL, sa_flags: host.sa_flags & libc::SA_NOCLDWAIT, ..*host }
}

/// Whether the host's own children ended or stopped while its handler could not hear of it: then it is told now.
fn a_child_of_the_host_has_news(host: &libc::sigaction) -> bool {
    let stops = if host.sa_flags & libc::SA_NOCLDSTOP == 0 { libc::WSTOPPED | libc::WCONTINUED } else { 0 };
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    let how: c_int = libc::WEXITED | stops | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the buffer has room for one `siginfo_t`; nothing is taken from the host.
    let result = check(unsafe { libc::waitid(libc::P_ALL, 0, found.as_mut_ptr(), how) });
    // SAFETY: zeroed bytes are a valid `siginfo_t`, and so is what the call wrote.
    result.is_ok() && unsafe { found.assume_init().si_pid() } != 0
}

fn disposition() -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only writes the current action into the buffer.
    check(unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), action.as_mut_ptr()) }).ok()?;
    // SAFETY: the call succeeded and has filled the buffer.
    Some(unsafe { action.assume_init() })
}

fn set(action: &libc::sigaction) -> Option<()> {
    // SAFETY: the action is one the system gave out, or the default made from it.
    check(unsafe { libc::sigaction(libc::SIGCHLD, action, std::ptr::null_mut()) }).ok().map(|_| ())
}
