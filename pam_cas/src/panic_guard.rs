//! Catches panics. `pam_hooks!` would turn a panic into a refused login, and the standard hook
//! would print it on the standard error of `su` or `sudo`.

use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work`, and returns a panic as an error without printing it.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    install_silent_hook();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // Do not drop the payload: its own drop may panic and would unwind out of this guard.
        std::mem::forget(payload);
        CaughtPanic(LAST.try_lock().ok().and_then(|mut last| last.take()))
    })
}

/// A panic in this module, with its source location if that is known.
pub(crate) struct CaughtPanic(Option<String>);

impl fmt::Display for CaughtPanic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.as_deref().unwrap_or("an unknown location");
        write!(
            formatter,
            "defect in pam_cas_session at {place}; the login went on without a token, please report it"
        )
    }
}

/// The location of the last panic, stored by the hook for the log.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Installs the silent hook once. The standard library is linked into the module, so this never
/// replaces the host's hook, even if the host is written in Rust.
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
    fn caught_panic_names_its_location() {
        let caught = catch_panic(|| panic!("on purpose")).map_err(|panicked| panicked.to_string());
        assert!(caught.unwrap_err().contains("panic_guard.rs"));
    }

    #[test]
    fn payload_that_panics_on_drop_is_forgotten() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        assert!(catch_panic(|| panic::panic_any(Bomb)).is_err());
    }
}
