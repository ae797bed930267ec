//! `cas-session environment`: the caller's own setup-token as one line `NAME=value`, or nothing. For login shells that came
//! without the PAM module, and for the user manager of systemd.

use std::process::ExitCode;

use cas_core::state::env_file::{Content, EnvFile};
use cas_protocol::setup_token::VARIABLE;

use crate::arguments::complain;
use crate::of_the_caller;

/// Prints the line, where there is one.
pub(crate) fn run() -> ExitCode {
    of_the_caller::print("setup-token not used", |account, paths| {
        match EnvFile::new(paths.env_file, account.uid.as_raw()).read() {
            Content::Token(token) => Some(format!("{VARIABLE}={}", token.expose())),
            Content::Absent => None,
            Content::Malformed(why) | Content::Unreadable(why) => {
                complain(&format!("setup-token not used: {why}"));
                None
            }
        }
    })
}
