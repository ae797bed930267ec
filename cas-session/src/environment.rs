//! `cas-session environment`: the caller's own setup-token as one line `NAME=value`, or nothing. For login shells that came
//! without the PAM module, and for the user manager of systemd.

use std::process::ExitCode;

use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_protocol::setup_token::VARIABLE;

use crate::arguments::print_error;
use crate::of_the_caller;

/// Prints the line, where there is one.
pub(crate) fn run() -> ExitCode {
    of_the_caller::print_line("setup-token not used", |account, paths| {
        match EnvFile::new(paths.env_file, account.uid.as_raw()).read() {
            EnvFileContent::Token(token) => Some(format!("{VARIABLE}={}", token.expose())),
            EnvFileContent::Absent => None,
            EnvFileContent::Malformed(why) | EnvFileContent::Unreadable(why) => {
                print_error(&format!("setup-token not used: {why}"));
                None
            }
        }
    })
}
