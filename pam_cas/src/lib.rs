//! The PAM session module `pam_cas_session.so`.
//!
//! When a session opens for an enrolled user it starts `cas-session login`, waits for one line within a deadline, and
//! puts the user's setup-token into the session's environment. It never refuses, delays beyond its deadline, prompts,
//! prints, reads the environment, opens a file or changes anything of the process that loaded it.
//! `docs/admin/pam-module.md` is its manual; `docs/design/pam-checklist.md` says how each promise is kept and tested.
//!
//! It reads top-down: [`session`] is what happens at a login, [`helper`] the conversation with `cas-session`,
//! [`options`], [`user_name`] and [`enrolled`] decide, [`mod@line`] is what reaches the log. All unsafe code is in
//! [`pam_ext`] (libpam) and [`system`] (libc).
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
mod quiet;
mod session;
mod system;
mod user_name;

struct ClaudeAuthSession;

/// The six exported functions of pam_sm_open_session(3) and its siblings.
mod entry_points {
    use super::ClaudeAuthSession;

    pam::pam_hooks!(ClaudeAuthSession);
}

/// Only the two session hooks do anything. Both say success whatever happened: alone in a stack, `PAM_IGNORE` would
/// become "Permission denied", and closing replays what opening said. The other four keep the default `PAM_IGNORE`, so
/// that a line in the wrong part of a stack can never let anybody in.
impl PamHooks for ClaudeAuthSession {
    fn sm_open_session(pamh: &mut PamHandle, arguments: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        session::open(pamh, &arguments);
        PamResultCode::PAM_SUCCESS
    }

    fn sm_close_session(_pamh: &mut PamHandle, _arguments: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }
}
