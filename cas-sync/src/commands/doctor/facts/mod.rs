//! The facts that the checks evaluate, collected by [`super::gather`]. They contain no secret.

mod machine;
mod vault;

use cas_core::claude_files::email::Email;
use cas_core::claude_files::state_problem::StateFileProblem;
use cas_core::credential::expiry::Expiry;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::credential::sign_out::SignOut;
use cas_core::fs::obstacle::Obstacle;
use cas_core::ledger::GenerationState;
use cas_core::time::timestamp::Timestamp;

pub(super) use self::machine::{Clock, MachineFacts, Pam, RosterState, SyncTarget};
pub(super) use self::vault::{Content, StoreFacts, TokenFacts, TokenFile, UnknownKey, Vault, VaultFailure};
use crate::processes::Session;

/// One user.
#[derive(Debug)]
pub(in crate::commands::doctor) struct UserFacts {
    pub(in crate::commands::doctor) user: String,
    pub(in crate::commands::doctor) uid: u32,
    pub(in crate::commands::doctor) now: Timestamp,
    pub(in crate::commands::doctor) login: Login,
    pub(in crate::commands::doctor) env_file: EnvFile,
    pub(in crate::commands::doctor) entries: Vec<Entry>,
    pub(in crate::commands::doctor) locks: Vec<Lock>,
    pub(in crate::commands::doctor) overrides: Vec<Override>,
    pub(in crate::commands::doctor) client: Client,
    pub(in crate::commands::doctor) onboarding: Onboarding,
    /// The client's state file, if the client cannot use it.
    pub(in crate::commands::doctor) state_problem: Option<StateFileProblem>,
    pub(in crate::commands::doctor) store: StoreFacts,
    pub(in crate::commands::doctor) is_enrolled: bool,
    pub(in crate::commands::doctor) units: UnitFacts,
    pub(in crate::commands::doctor) sessions: Vec<Session>,
}

/// The login file and the ledger's record of its login.
#[derive(Debug)]
pub(in crate::commands::doctor) struct Login {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) state: LoginFileState<LoginSummary>,
    /// Why the user intends that there is no login.
    pub(in crate::commands::doctor) sign_out: Option<SignOut>,
    /// What keeps the login file from being replaced.
    pub(in crate::commands::doctor) obstacle: Option<Obstacle>,
    /// The state of its generation in the ledger.
    pub(in crate::commands::doctor) generation_state: Option<GenerationState>,
    /// The expiry of a login that is not refreshed, and whether it was rejected.
    pub(in crate::commands::doctor) unrefreshed_token: Option<(Expiry, bool)>,
    /// True if the local history has a backup that the rules allow to restore.
    pub(in crate::commands::doctor) has_backup: bool,
    /// The email of the login, if known.
    pub(in crate::commands::doctor) email: Option<Email>,
    /// `expected_organization` of the configuration.
    pub(in crate::commands::doctor) expected_organization: Option<String>,
    /// The ledger or history file that cannot be read, and why.
    pub(in crate::commands::doctor) unreadable_state: Option<(String, String)>,
}

/// The setup token's file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum EnvFile {
    Absent,
    Token {
        /// The expiry, if known.
        expiry: Option<Expiry>,
    },
    /// A regular file of the user that does not hold one token.
    Malformed {
        path: String,
        why: String,
    },
    /// Not a regular file of the user.
    Unusable {
        path: String,
        why: String,
    },
}

/// A file or directory that must belong to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Entry {
    pub(in crate::commands::doctor) kind: EntryKind,
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) uid: u32,
    /// The permission bits.
    pub(in crate::commands::doctor) mode: u32,
}

/// The kind of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum EntryKind {
    LoginFile,
    ClaudeDir,
    ClaudeState,
    ConfigDir,
    EnvFile,
    StateDir,
}

/// An existing lock of Claude Code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Lock {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) is_directory: bool,
    pub(in crate::commands::doctor) is_empty: bool,
    pub(in crate::commands::doctor) uid: u32,
    pub(in crate::commands::doctor) touched_at: Timestamp,
    /// The running process that recorded itself as the holder.
    pub(in crate::commands::doctor) holder: Option<u32>,
}

/// A setting that makes Claude Code use another credential or server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Override {
    pub(in crate::commands::doctor) place: OverridePlace,
    /// The name of the variable or setting, never its value.
    pub(in crate::commands::doctor) name: String,
}

/// The place of an override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum OverridePlace {
    /// The environment of this process.
    Environment,
    /// A start-up file of a shell or session, and the line number from 1.
    StartupFile { path: String, line: usize },
    /// `~/.claude.json`.
    ClaudeJson { path: String },
    /// `~/.claude/settings.json` or a file of the project; why the user does not control it.
    Settings { path: String, controller: Option<String> },
    /// The settings of the project, which were not read; why.
    Unread(String),
    /// Below `/etc/claude-code`.
    Managed { path: String },
    /// The settings that the organization serves, in the client's cache.
    Remote,
}

/// The `claude` that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Client {
    /// The configuration switches verification off.
    VerifyDisabled,
    /// No program was found; why, and what to do.
    Missing(&'static str),
    /// A program was found, and root does not start it.
    NotStarted,
    /// Path and version, and whether this version reports refusals.
    Found { path: String, version: Option<String>, is_new_enough: bool },
}

/// The state of the first start in `~/.claude.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Onboarding {
    Done,
    Pending,
    /// The file cannot be read as the client's file; why.
    Unknown(String),
}

/// The user's units.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum UnitFacts {
    /// systemd did not answer or does not run; why.
    Unknown(String),
    Known {
        /// Unit files that replace the packaged ones.
        overrides: Vec<String>,
        /// True if the timer is enabled.
        are_enabled: bool,
        /// Enabled units that do not run and their systemd state; empty if the target does not run.
        inactive: Vec<(String, String)>,
        /// The sync service, if its last run failed.
        failed: Option<String>,
    },
}
