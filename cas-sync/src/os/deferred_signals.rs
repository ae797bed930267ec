//! Blocks the termination signals during work that must not be interrupted.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Blocks the termination signals while it exists, also for processes started meanwhile. (A client
/// unblocks them once it handles them: a service manager must not signal it, as with
/// `KillMode=process`.)
pub(crate) struct SignalBlock(SigSet);

impl SignalBlock {
    pub(crate) fn new() -> nix::Result<Self> {
        termination_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Self)
    }

    /// Takes a pending signal; returns true if there was one.
    pub(crate) fn take_pending(&self) -> bool {
        let signal =
            SignalFd::with_flags(&termination_signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
                .and_then(|signals| signals.read_signal());
        matches!(signal, Ok(Some(_)))
    }

    /// Returns true if a signal is pending. It stays pending, and is delivered when this is
    /// dropped. False also if that is unknown.
    pub(crate) fn is_pending(&self) -> bool {
        self.wait(None, Some(Duration::ZERO)) == Wake::Signal
    }

    /// Waits for input, a signal or `timeout`. `None` waits without a limit.
    pub(crate) fn wait(&self, input: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Wake {
        let Ok(signals) =
            SignalFd::with_flags(&termination_signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        else {
            return Wake::Timeout;
        };
        // A wait of more than 65 seconds takes several calls.
        let milliseconds = timeout.map(|timeout| u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX));
        let timeout = milliseconds.map_or(PollTimeout::NONE, PollTimeout::from);
        let mut sources = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        sources.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
        // After an error, such as EINTR, the caller checks its deadline and calls again.
        let _ = poll(&mut sources, timeout);
        let mut woken = sources.iter().map(|source| source.any().unwrap_or(false));
        match (woken.next(), woken.next()) {
            (Some(true), _) => Wake::Signal,
            (_, Some(true)) => Wake::Readable,
            _ => Wake::Timeout,
        }
    }
}

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A termination signal is pending.
    Signal,
    /// Input or end of file is available.
    Readable,
    /// The timeout expired.
    Timeout,
}

fn termination_signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

impl Drop for SignalBlock {
    fn drop(&mut self) {
        // The mask was valid before, so this cannot fail.
        let _ = self.0.thread_set_mask();
    }
}
