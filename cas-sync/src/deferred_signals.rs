//! Keeping back the signals that ask to end, for a piece of work that must not be cut in two.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// While it lives, the signals that ask to end wait, and they wait for what is started meanwhile too. (A client lets them
/// in again once it handles them, and dies of them: who stops a service must not send it any, as `KillMode=process` does.)
pub(crate) struct DeferredSignals(SigSet);

impl DeferredSignals {
    pub(crate) fn new() -> nix::Result<Self> {
        let wanted = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect::<SigSet>();
        wanted.thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Self)
    }
}

impl Drop for DeferredSignals {
    fn drop(&mut self) {
        // It was a mask a moment ago, so it is one still.
        let _ = self.0.thread_set_mask();
    }
}
