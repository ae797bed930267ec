//! The PAM session module `pam_cas_session.so`.
//!
//! When a session opens for an enrolled user, the module starts `cas-session login`, waits for one
//! line within a deadline, and sets the user's setup token in the session's environment. It never
//! refuses a login, delays it beyond the deadline, prompts, prints, reads the environment, opens a
//! file, or changes the process that loaded it. `docs/admin/pam-module.md` is the manual;
//! `docs/design/pam-checklist.md` describes how each promise is kept and tested.
//!
//! Read it top-down: [`session`] handles a login, [`helper`] runs `cas-session`, [`options`],
//! [`user_name`] and [`enrolled`] decide, and [`mod@line`] formats the log line. All unsafe code is
//! in [`pam_ext`] (libpam) and [`system`] (libc).
#![allow(rustdoc::private_intra_doc_links, reason = "only libpam calls this crate: all of it is private")]
#![deny(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::ffi::CStr;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

mod enrolled;
mod helper;
mod line;
mod options;
mod pam_ext;
mod panic_guard;
mod session;
mod system;
mod user_name;

struct ClaudeAuthSession;

/// The six exported functions of pam_sm_open_session(3) and its siblings.
mod entry_points {
    use super::ClaudeAuthSession;

    pam::pam_hooks!(ClaudeAuthSession);
}

/// Only the two session hooks do anything. Both always return success: alone in a stack,
/// `PAM_IGNORE` would become "Permission denied", and closing repeats the result of opening. The
/// other four keep the default `PAM_IGNORE`, so that a line in the wrong part of a stack cannot
/// grant access.
impl PamHooks for ClaudeAuthSession {
    fn sm_open_session(pamh: &mut PamHandle, arguments: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        session::open(pamh, &arguments);
        PamResultCode::PAM_SUCCESS
    }

    fn sm_close_session(_pamh: &mut PamHandle, _arguments: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }
}
