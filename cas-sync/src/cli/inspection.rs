//! Arguments of the commands that show a state.

use clap::Args;

/// Arguments of `status`.
#[derive(Args)]
pub(crate) struct Status {
    /// Show only these users (root)
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Check only these users (root)
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Fix file modes and missing syncs; for root also units
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix, print what would be fixed
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
    /// Show also the checks without a problem
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `sessions`.
#[derive(Args)]
pub(crate) struct Sessions {
    /// Check only these users (root)
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Show also processes with the active token or none
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
