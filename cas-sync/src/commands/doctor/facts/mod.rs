//! What the checks are about. Gathered at the edge ([`super::gather`]); no secret is in it.

mod machine;
mod server;

use cas_core::claude_files::email::Email;
use cas_core::credential::expiry::Expiry;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;
use cas_core::time::timestamp::Timestamp;

pub(super) use self::machine::{Clock, MachineFacts, Pam, Requests, Roster, SyncTarget};
pub(super) use self::server::{Content, Silence, Store, Token, TokenFile, UnknownKey, Vault};
use crate::processes::Session;

/// One person.
#[derive(Debug)]
pub(in crate::commands::doctor) struct PersonFacts {
    pub(in crate::commands::doctor) user: String,
    pub(in crate::commands::doctor) uid: u32,
    pub(in crate::commands::doctor) now: Timestamp,
    pub(in crate::commands::doctor) login: Login,
    pub(in crate::commands::doctor) env_file: EnvFile,
    pub(in crate::commands::doctor) entries: Vec<Entry>,
    pub(in crate::commands::doctor) locks: Vec<Lock>,
    pub(in crate::commands::doctor) shadows: Vec<Override>,
    pub(in crate::commands::doctor) client: Client,
    pub(in crate::commands::doctor) onboarding: Onboarding,
    pub(in crate::commands::doctor) store: Store,
    pub(in crate::commands::doctor) is_enrolled: bool,
    pub(in crate::commands::doctor) units: Units,
    pub(in crate::commands::doctor) sessions: Vec<Session>,
}

/// What lies in the login file, and what is known of it.
#[derive(Debug)]
pub(in crate::commands::doctor) struct Login {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) state: LoginFileState<LoginSummary>,
    /// What became of its generation.
    pub(in crate::commands::doctor) fate: Option<GenerationState>,
    /// Whether a copy is known here that the rules allow to put back.
    pub(in crate::commands::doctor) has_copy: bool,
    /// The address the person signed in with, where that is known.
    pub(in crate::commands::doctor) address: Option<Email>,
    /// The only organisation whose logins are looked after.
    pub(in crate::commands::doctor) expected_organization: Option<String>,
    /// What is wrong with our own memory of it: the file, and why.
    pub(in crate::commands::doctor) memory: Option<(String, String)>,
}

/// The setup-token's file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum EnvFile {
    Absent,
    Token {
        /// When it lapses, as far as that is known here.
        lapse: Option<Expiry>,
    },
    /// The person's own, with something else in it.
    Malformed {
        path: String,
        why: String,
    },
    /// Not to be read as theirs.
    Unusable {
        path: String,
        why: String,
    },
}

/// A file or folder that should be the person's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Entry {
    pub(in crate::commands::doctor) kind: EntryKind,
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) uid: u32,
    /// The permission bits.
    pub(in crate::commands::doctor) mode: u32,
}

/// Which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum EntryKind {
    LoginFile,
    ClaudeFolder,
    ClaudeState,
    ConfigFolder,
    EnvFile,
    StateFolder,
}

/// One of Claude Code's locks that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Lock {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) is_directory: bool,
    pub(in crate::commands::doctor) is_empty: bool,
    pub(in crate::commands::doctor) uid: u32,
    pub(in crate::commands::doctor) touched_at: Timestamp,
    /// The process that says it holds it, if that still runs.
    pub(in crate::commands::doctor) holder: Option<u32>,
}

/// Something that makes Claude Code use another credential or server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Override {
    pub(in crate::commands::doctor) place: Place,
    /// The variable or setting; never its value.
    pub(in crate::commands::doctor) name: String,
}

/// Where that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Place {
    /// The environment of this process.
    Environment,
    /// A file that shells or systemd read, and the line in it, from 1.
    StartFile { path: String, line: usize },
    /// `~/.claude.json`.
    OwnState { path: String },
    /// `~/.claude/settings.json`.
    Settings { path: String },
    /// Below `/etc/claude-code`.
    Managed { path: String },
    /// What the organisation serves, as the client keeps it.
    Served,
}

/// The `claude` that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Client {
    /// Nobody wants to verify.
    NotWanted,
    /// There is none; why, and what to do.
    Missing(&'static str),
    /// There is one, which root does not start.
    NotStarted,
    /// What it says of itself, and whether that is new enough to tell a refusal.
    Found { path: String, version: Option<String>, is_new_enough: bool },
}

/// What `~/.claude.json` says of the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Onboarding {
    Done,
    /// Not yet.
    Pending,
    /// The file cannot be read as the client's.
    Unknown(String),
}

/// The person's units.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Units {
    /// Nothing runs by itself here; why.
    None(String),
    Some {
        /// What stands in for the packaged ones: the files.
        stand_ins: Vec<String>,
        /// Whether timer and path unit are enabled.
        are_enabled: bool,
        /// Those that are enabled and do not run, with what systemd calls them; none where the target does not run.
        resting: Vec<(String, String)>,
        /// The service, if its last run failed.
        failed: Option<String>,
    },
}
