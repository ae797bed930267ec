//! The environment of this process: its variables and the wall clock.

use std::ffi::OsString;
use std::time::SystemTime;

use cas_core::time::timestamp::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the overrides are a contract")]
pub(crate) fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns all variables. Bytes that are not UTF-8 are replaced.
#[expect(clippy::disallowed_methods, reason = "the environment decides which credential Claude Code uses")]
pub(crate) fn env_vars() -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters the program")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0)
        .saturating_add(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
