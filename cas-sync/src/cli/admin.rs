//! Arguments of the administrator commands.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `enroll`.
#[derive(Args)]
pub(crate) struct Enroll {
    /// Login name
    #[arg(value_hint = clap::ValueHint::Username)]
    pub(crate) user: String,
    /// Do not run the watcher
    #[arg(long)]
    pub(crate) no_watch: bool,
}

/// Arguments of `unenroll`.
#[derive(Args)]
pub(crate) struct Unenroll {
    /// Login name of an enrolled user
    #[arg(value_hint = clap::ValueHint::Username, required_unless_present = "all")]
    pub(crate) user: Option<String>,
    /// Unenroll all users, as the removal of the package does
    #[arg(long, conflicts_with = "user")]
    pub(crate) all: bool,
    /// Wait until the user's units have ended, for userdel(8) or
    /// usermod(8); up to 90 seconds if Claude Code refreshes the login
    #[arg(long, verbatim_doc_comment)]
    pub(crate) stop: bool,
}

/// Arguments of `provision`.
#[derive(Args)]
pub(crate) struct Provision {
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Provision only this user; can be repeated
    #[arg(long, value_name = "NAME", value_hint = clap::ValueHint::Username)]
    pub(crate) user: Vec<String>,
    /// Read this roster
    #[arg(long, value_name = "FILE", default_value = "/etc/claude-auth-sync/roster.yaml")]
    pub(crate) roster: PathBuf,
    /// Read the administrator token from this file; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Replace policies that are too broad or too narrow
    #[arg(long)]
    pub(crate) rewrite_policies: bool,
    /// Offboard users even if the roster looks incomplete: it ends
    /// without a newline, lists a name without an account, or lacks
    /// more than half of the enrolled users; with names, only these.
    /// Marks their documents in the store
    #[arg(long, value_name = "NAME", num_args = 0.., verbatim_doc_comment)]
    pub(crate) offboard: Option<Vec<String>>,
    /// Delete documents of offboarded users instead of marking them
    #[arg(long, requires = "offboard")]
    pub(crate) delete_document: bool,
    /// Bind a reused or offboarded name to its account; can be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "offboard")]
    pub(crate) adopt: Vec<String>,
    /// Print the least policies and the token role, and exit
    #[arg(long)]
    pub(crate) print_policy: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `metrics`.
#[derive(Args)]
pub(crate) struct Metrics {
    /// Replace this file; its name must end in .prom
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}
