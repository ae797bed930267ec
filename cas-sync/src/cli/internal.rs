//! The parts of commands that run in a process of their own, which has become the user. No user types them.

use clap::Subcommand;

/// One part of a command.
#[derive(Subcommand)]
pub(crate) enum Internal {
    /// Inspect the home of USER, or repair one thing in it, for `doctor`.
    Inspect {
        /// The user.
        user: String,
        /// What to repair instead, as JSON.
        #[arg(long)]
        fix: Option<String>,
        /// Do not ask systemd: it does not reply.
        #[arg(long)]
        without_systemd: bool,
    },
    /// Inspect the processes of USER, for `sessions`.
    Sessions {
        /// The user.
        user: String,
    },
    /// Read and write the Vault token file of USER, for `provision`.
    TokenAgent {
        /// The user.
        user: String,
    },
}
