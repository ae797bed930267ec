//! `cas-session environment`: prints the user's setup token as one line `NAME=value`, if there is
//! one. For login shells that started without the PAM module, and for systemd's user manager.

use std::process::ExitCode;

use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_protocol::setup_token::VARIABLE;

use crate::arguments::print_error;
use crate::bounded_output;

/// Prints the line, if there is one.
pub(crate) fn run() -> ExitCode {
    bounded_output::print_line("setup-token not used", |account, paths| {
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
