//! What is asked of an admin's commands.

use std::path::PathBuf;

use clap::Args;

/// Who is to be unenrolled.
#[derive(Args)]
pub(crate) struct Unenroll {
    /// The login name of a person who was enrolled.
    #[arg(value_hint = clap::ValueHint::Username, required_unless_present = "all")]
    pub(crate) user: Option<String>,
    /// Everybody who is enrolled; removing the package does it.
    #[arg(long, conflicts_with = "user")]
    pub(crate) all: bool,
}

/// What a provisioning is asked for.
#[derive(Args)]
pub(crate) struct Provision {
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this person; may be given more than once.
    #[arg(long, value_name = "NAME", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Another roster.
    #[arg(long, value_name = "FILE", default_value = "/etc/claude-auth-sync/roster.yaml")]
    pub(crate) roster: PathBuf,
    /// Take the admin's token from this file; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Replace policies that allow too much, or too little, by the least one.
    #[arg(long)]
    pub(crate) rewrite_policies: bool,
    /// Offboard users whom the roster does not list, although it looks half written, names a user without an account, or lacks
    /// more than half of them; with names, only these. Their documents in the store are marked, so that no account uses them
    /// again until the name is adopted.
    #[arg(long, value_name = "NAME", num_args = 0.., value_hint = clap::ValueHint::Username)]
    pub(crate) offboard: Option<Vec<String>>,
    /// Delete the documents of offboarded users instead of marking them, with the fields of other tools in them.
    #[arg(long, requires = "offboard")]
    pub(crate) delete_document: bool,
    /// Take the account that has this name now for the user who was enrolled or offboarded under it; may be given more than
    /// once. It gets what the store keeps for that name.
    #[arg(long, value_name = "NAME", value_hint = clap::ValueHint::Username, conflicts_with = "offboard")]
    pub(crate) adopt: Vec<String>,
    /// Print the least policies of a person's and of an admin's token, and the token role; ask and change nothing.
    #[arg(long)]
    pub(crate) print_policy: bool,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where figures go.
#[derive(Args)]
pub(crate) struct Metrics {
    /// Write them to this file, whole or not at all, for everybody to read; its name has to end in .prom for the node exporter.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}
