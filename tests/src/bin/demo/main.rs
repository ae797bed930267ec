//! `make demo`: Claude Code loses a user's login in a temporary Debian guest, an ssh login restores
//! it, and the watcher restores it when it is cleared during a session.
//!
//! Everything is real except Anthropic's servers: Debian, systemd, sshd, PAM, the installed
//! package, its configuration by the administrator, and the Claude Code client, which refreshes,
//! verifies and clears the login. The store is the local one, so no server is needed.

mod page;
mod render;
mod session;
mod story;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use crate::page::Page;

fn main() -> ExitCode {
    // https://no-color.org: any value disables colors.
    #[expect(clippy::disallowed_methods, reason = "this is a main")]
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match story::run(&Page { is_coloured: io::stdout().is_terminal() && !unwanted }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo ends here, not as it should: {error:#}");
            ExitCode::FAILURE
        }
    }
}
