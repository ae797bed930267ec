//! The two calls to libpam that pam-bindings lacks, on its handle type. Only this module and
//! [`crate::system`] contain unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;

use cas_protocol::secret::Zeroizing;
use cas_protocol::setup_token::{SetupToken, VARIABLE};
use pam::module::PamHandle;

unsafe extern "C" {
    fn pam_putenv(pamh: *mut PamHandle, name_value: *const c_char) -> c_int;
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

/// The log level. libpam adds the facility `authpriv`.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    Warning,
    Debug,
}

/// Sets the session's [`VARIABLE`] to the token, or to an empty value. No other variable can be
/// set, and only a well-formed token can be the value. This copy is overwritten afterwards; libpam
/// keeps one for the session.
///
/// # Errors
/// [`PutEnvError`] carries libpam's code.
pub(crate) fn put_env(pamh: &mut PamHandle, token: Option<&SetupToken>) -> Result<(), PutEnvError> {
    let value = token.map_or("", SetupToken::expose);
    let parts = [VARIABLE.as_bytes(), b"=", value.as_bytes(), b"\0"];
    let assignment = Zeroizing::new(parts.concat());
    let Ok(assignment) = CStr::from_bytes_with_nul(&assignment) else {
        return Err(PutEnvError(libc::EINVAL));
    };
    // SAFETY: the handle is the live one libpam passed in, and the string is copied before the call
    // returns.
    match unsafe { pam_putenv(pamh, assignment.as_ptr()) } {
        0 => Ok(()),
        code => Err(PutEnvError(code)),
    }
}

/// Writes one line to the system log. libpam adds the prefix `module(service:session): `.
pub(crate) fn log(pamh: &PamHandle, level: Level, text: &str) {
    let Ok(text) = CString::new(text) else { return };
    let priority = match level {
        Level::Warning => libc::LOG_WARNING,
        Level::Debug => libc::LOG_DEBUG,
    };
    // SAFETY: the handle is the live one libpam passed in, and the fixed format takes exactly the
    // one string given.
    unsafe { pam_syslog(pamh, priority, c"%s".as_ptr(), text.as_ptr()) }
}

/// libpam did not accept the variable.
pub(crate) struct PutEnvError(c_int);

impl fmt::Display for PutEnvError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "libpam refused {VARIABLE} (code {}); log in again when memory is free", self.0)
    }
}
