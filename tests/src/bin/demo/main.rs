//! `make demo`: Claude Code loses somebody's login on a throw-away Debian, they log in by ssh, and it works again; it is
//! emptied while they work, and comes back.
//!
//! Everything is real but Anthropic: the Debian, its systemd, sshd and PAM, the release build installed by its own recipe
//! and set up as an admin sets it up, and the Claude Code client, which refreshes, verifies and empties the login itself.
//! The store is the embedded one, so there is no server anywhere.

mod page;
mod session;
mod shown;
mod story;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use crate::page::Page;

fn main() -> ExitCode {
    // https://no-color.org: whoever sets it to anything wants none.
    #[expect(clippy::disallowed_methods, reason = "this is a main")]
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match story::tell(&Page { is_coloured: io::stdout().is_terminal() && !unwanted }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo ends here, not as it should: {error:#}");
            ExitCode::FAILURE
        }
    }
}
