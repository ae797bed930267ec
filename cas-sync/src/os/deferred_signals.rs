//! Keeping back the signals that ask to end, for a piece of work that must not be cut in two.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::user::error::Failed;

/// While it lives, the signals that ask to end wait, and they wait for what is started meanwhile too. (A client lets them
/// in again once it handles them, and dies of them: who stops a service must not send it any, as `KillMode=process` does.)
pub(crate) struct DeferredSignals(SigSet);

/// Keeps them back for a command of a person's.
///
/// # Errors
/// [`Failed`] when they cannot be: nothing may be begun.
pub(crate) fn held_back() -> Result<DeferredSignals, Failed> {
    DeferredSignals::new().map_err(|errno| Failed::new(1, format!("signals cannot be held back: {errno}")))
}

impl DeferredSignals {
    pub(crate) fn new() -> nix::Result<Self> {
        asking_to_end().thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Self)
    }
}

impl DeferredSignals {
    /// Whether any of them has come meanwhile.
    pub(crate) fn was_asked(&self) -> bool {
        let came = SignalFd::with_flags(&asking_to_end(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .and_then(|signals| signals.read_signal());
        matches!(came, Ok(Some(_)))
    }

    /// Whether any of them waits: it stays, and is delivered when this is dropped. Not known counts as no.
    pub(crate) fn is_asked(&self) -> bool {
        self.wait(None, Some(Duration::ZERO)) == Woken::Asked
    }

    /// Waits until there is something to be read, one of the signals waits, or `patience` is over; without one, for ever.
    pub(crate) fn wait(&self, input: Option<BorrowedFd<'_>>, patience: Option<Duration>) -> Woken {
        let Ok(signals) =
            SignalFd::with_flags(&asking_to_end(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        else {
            return Woken::Late;
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
            (Some(true), _) => Woken::Asked,
            (_, Some(true)) => Woken::Input,
            _ => Woken::Late,
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody asks to end.
    Asked,
    /// There is something to be read, or the end of it.
    Input,
    /// Neither came.
    Late,
}

fn asking_to_end() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

impl Drop for DeferredSignals {
    fn drop(&mut self) {
        // It was a mask a moment ago, so it is one still.
        let _ = self.0.thread_set_mask();
    }
}
