//! Keeping back the signals that ask to end, for a piece of work that must not be cut in two.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// While it lives, the signals that ask to end wait, and they wait for what is started meanwhile too. (A client lets them
/// in again once it handles them, and dies of them: who stops a service must not send it any, as `KillMode=process` does.)
pub(crate) struct SignalBlock(SigSet);

impl SignalBlock {
    pub(crate) fn new() -> nix::Result<Self> {
        asking_to_end().thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Self)
    }

    /// Whether any of them has come meanwhile.
    pub(crate) fn take_pending(&self) -> bool {
        let came = SignalFd::with_flags(&asking_to_end(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .and_then(|signals| signals.read_signal());
        matches!(came, Ok(Some(_)))
    }

    /// Whether any of them waits: it stays, and is delivered when this is dropped. Not known counts as no.
    pub(crate) fn is_pending(&self) -> bool {
        self.wait(None, Some(Duration::ZERO)) == Wake::Signal
    }

    /// Waits until there is something to be read, one of the signals waits, or `patience` is over; without one, for ever.
    pub(crate) fn wait(&self, input: Option<BorrowedFd<'_>>, patience: Option<Duration>) -> Wake {
        let Ok(signals) =
            SignalFd::with_flags(&asking_to_end(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        else {
            return Wake::Timeout;
        };
        // A wait of more than half a minute is several.
        let milliseconds = patience.map(|patience| u16::try_from(patience.as_millis()).unwrap_or(u16::MAX));
        let patience = milliseconds.map_or(PollTimeout::NONE, PollTimeout::from);
        let mut sources = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        sources.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
        // A failure is EINTR or worse: the caller looks at its deadline, and comes back.
        let _ = poll(&mut sources, patience);
        let mut woken = sources.iter().map(|source| source.any().unwrap_or(false));
        match (woken.next(), woken.next()) {
            (Some(true), _) => Wake::Signal,
            (_, Some(true)) => Wake::Readable,
            _ => Wake::Timeout,
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Somebody asks to end.
    Signal,
    /// There is something to be read, or the end of it.
    Readable,
    /// Neither came.
    Timeout,
}

fn asking_to_end() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

impl Drop for SignalBlock {
    fn drop(&mut self) {
        // It was a mask a moment ago, so it is one still.
        let _ = self.0.thread_set_mask();
    }
}
