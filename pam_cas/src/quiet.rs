//! Panics must neither reach the host nor its terminal: `pam_hooks!` would turn one into a refused login, and the
//! standard hook would print it on the standard error of `su` or `sudo`.

use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work`; a panic inside comes back as an error and prints nothing.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    install_silent_hook();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // A payload whose own drop panics must not be dropped here: that would unwind out of this very guard.
        std::mem::forget(payload);
        CaughtPanic(LAST.try_lock().ok().and_then(|mut last| last.take()))
    })
}

/// A defect of this module, with the place where it showed if that is known.
pub(crate) struct CaughtPanic(Option<String>);

impl fmt::Display for CaughtPanic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.as_deref().unwrap_or("an unknown place");
        write!(
            formatter,
            "defect in pam_cas_session at {place}; the login went on without a token, please report it"
        )
    }
}

/// Where the last panic came from, left here by the hook for the log.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Installs the quiet hook once. The standard library is linked into the module, so this is our own hook and never the
/// host's, even when the host is written in Rust.
fn install_silent_hook() {
    static SILENT: AtomicBool = AtomicBool::new(false);
    if !SILENT.swap(true, Ordering::Relaxed) {
        panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
            if let (Some(place), Ok(mut last)) = (info.location(), LAST.try_lock()) {
                *last = Some(place.to_string());
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_the_place() {
        let caught = catch_panic(|| panic!("on purpose")).map_err(|panicked| panicked.to_string());
        assert!(caught.unwrap_err().contains("quiet.rs"));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_harmless() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        assert!(catch_panic(|| panic::panic_any(Bomb)).is_err());
    }
}
