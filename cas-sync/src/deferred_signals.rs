//! Keeping back the signals that ask to end, for a piece of work that must not be cut in two.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// While it lives, the signals that ask to end wait, and they wait for what is started meanwhile too. (A client lets them
/// in again once it handles them, and dies of them: who stops a service must not send it any, as `KillMode=process` does.)
pub(crate) struct DeferredSignals(SigSet);

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
