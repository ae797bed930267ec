//! What is asked of the commands that show how things are.

use clap::Args;

/// What a look is to show.
#[derive(Args)]
pub(crate) struct Status {
    /// Only these people (root).
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a diagnosis is asked for.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Whom to look at (root; else only yourself); without one, yourself, or as root everybody who is enrolled.
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Mend what is safe to mend, and say so before: modes of your own files, locks left behind, a sync; as root also units.
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix, only say what would be mended.
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
    /// Show also what is in order, and what could not be looked at.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose processes, and which.
#[derive(Args)]
pub(crate) struct Sessions {
    /// Whose (root; else only your own).
    #[arg(value_name = "USER", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Show also those that hold the token in use, or none.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}
