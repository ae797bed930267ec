//! Arguments of the commands for your own credential.

use clap::{Args, ValueEnum};

/// Arguments of `run`.
#[derive(Args)]
pub(crate) struct Run {
    /// Do not verify; requests for a verification stay open
    #[arg(long)]
    pub(crate) no_verify: bool,
}

/// Arguments of `check`.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// Required validity from now: a number and ms, s, min, h or d
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) min_remaining: String,
    /// Required age of the last verification, at most
    #[arg(long, value_name = "DURATION")]
    pub(crate) verified_within: Option<String>,
    /// Print nothing
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `verify`.
#[derive(Args)]
pub(crate) struct Verify {
    /// Verify the setup token only
    #[arg(long, conflicts_with = "login")]
    pub(crate) setup_token: bool,
    /// Verify the login, even if a setup token is active
    #[arg(long)]
    pub(crate) login: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `backup`.
#[derive(Args)]
pub(crate) struct Backup {
    /// Verify the login first, and back it up only if it works
    #[arg(long)]
    pub(crate) verify: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `restore`.
#[derive(Args)]
pub(crate) struct Restore {
    /// Print what would be restored, and change nothing
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) dry_run: bool,
    /// List the backups and whether each can be restored
    #[arg(long, conflicts_with_all = ["dry_run", "no_verify"])]
    pub(crate) list: bool,
    /// Restore only from this place
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Option<BackupSource>,
    /// Restore only this backup, named as in --list
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) generation: Option<String>,
    /// Also restore a backup of another machine, which this one replaces
    #[arg(long)]
    pub(crate) from_other_machine: bool,
    /// Do not verify before or after
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The places of backups.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BackupSource {
    /// The local history of this machine
    History,
    /// The store
    Store,
}

/// Arguments of `logout`.
#[derive(Args)]
pub(crate) struct LogoutArgs {
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Keep the backups, and do not revoke the login
    #[arg(long)]
    pub(crate) keep_backups: bool,
}

/// Arguments of `login`.
#[derive(Args)]
pub(crate) struct LoginArgs {
    /// Email to sign in with; the default is that of your last login
    #[arg(long, value_name = "EMAIL", value_hint = clap::ValueHint::EmailAddress)]
    pub(crate) email: Option<String>,
    /// Accept another account or organization than the current one
    #[arg(long)]
    pub(crate) switch_account: bool,
    /// Accept the login if its verification is inconclusive
    #[arg(long)]
    pub(crate) unverified: bool,
}
