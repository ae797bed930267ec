//! What is asked of the commands about the credential in use.

use clap::{Args, ValueEnum};

/// What a credential has to stand up to.
#[derive(Args)]
pub(crate) struct Check {
    /// It has to last at least so long from now: a number and ms, s, min, h or d, such as 3d.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) min_remaining: String,
    /// And to have been shown to work within that time.
    #[arg(long, value_name = "DURATION")]
    pub(crate) verified_within: Option<String>,
    /// Print nothing; the exit status says it.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// Print one JSON object for programs instead of a line for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is to be verified.
#[derive(Args)]
pub(crate) struct Verify {
    /// The setup-token, and nothing where there is none.
    #[arg(long, conflicts_with = "login")]
    pub(crate) setup_token: bool,
    /// The login, also while a setup-token is in use.
    #[arg(long)]
    pub(crate) login: bool,
    /// Print one JSON object for programs instead of a line for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a login is backed up.
#[derive(Args)]
pub(crate) struct Backup {
    /// Only if `claude` gets an answer with it; else what Claude Code wrote itself is backed up as it is.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which copy is put back.
#[derive(Args)]
pub(crate) struct Restore {
    /// Say what would be put back, and change nothing. `claude` is not asked.
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) dry_run: bool,
    /// List the copies there are, and what may be put back of them; change nothing.
    #[arg(long, conflicts_with_all = ["dry_run", "no_verify"])]
    pub(crate) list: bool,
    /// Only a copy from there; the store is asked all the same, since it may know of a later one.
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Option<BackupSource>,
    /// Only this copy, by its name in --list.
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) generation: Option<String>,
    /// Also restore a backup that another machine made, which this one replaces. Two machines that use one login log each other
    /// out.
    #[arg(long)]
    pub(crate) from_other_machine: bool,
    /// Ask no `claude`, neither whether a login that looks whole is rejected, nor whether what was put back works.
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where copies are kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BackupSource {
    /// The local history of this machine.
    History,
    /// The store.
    Store,
}

/// How somebody signs in.
#[derive(Args)]
pub(crate) struct LoginArgs {
    /// The address to sign in with. Else it is that of the last sign-in here, or asked for.
    #[arg(long, value_name = "ADDRESS", value_hint = clap::ValueHint::EmailAddress)]
    pub(crate) email: Option<String>,
    /// Take the login of another account or organisation than the one that is signed in here.
    #[arg(long)]
    pub(crate) switch_account: bool,
    /// Take it also when nobody could say whether it works: no network, an overload. Never when it is rejected.
    #[arg(long)]
    pub(crate) unverified: bool,
}
