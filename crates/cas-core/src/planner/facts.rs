//! What the planner is told. Facts hold no secret: credentials go by the names of their generations.

use std::time::Duration;

use crate::config::{Config, StoreKind};
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::remnant::Remnant;
use crate::credential::verification::Verification;
use crate::ledger::Ledger;
use crate::outcome::BackupLocation;
use crate::store::StoreError;
use crate::store::user_document::SetupTokenField;
use crate::time::timestamp::Timestamp;

/// Everything a decision may rest on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The wall clock.
    pub now: Timestamp,
    /// What lies in the credential file.
    pub login: LoginFileState<LoginSummary>,
    /// What is left of a login in a credential file that no client uses.
    pub remnant: Option<Remnant>,
    /// Whether Claude Code holds its locks: some session is refreshing the login just now.
    pub refreshing: bool,
    /// What became of the generations seen so far; the login that lies in the file is already noted in it.
    pub ledger: Ledger,
    /// The logins kept in full on this machine.
    pub history: Vec<LoginSummary>,
    /// The store's document.
    pub document: DocumentFact,
    /// The setup-token's env file.
    pub env_file: EnvFileFact,
    /// When the store last answered, and last failed to.
    pub contact: StoreContact,
    /// Whether, since the credential file was last written, and within the last minute, the sync was asked or has answered.
    pub asked_lately: bool,
    /// What is allowed.
    pub settings: Settings,
    /// What has been done so far in this run.
    pub done: Progress,
}

/// The store's document, or why there is none.
#[derive(Clone, Debug)]
pub enum DocumentFact {
    /// Not asked in this run.
    NotRead,
    /// Asked, and not answered.
    Unreadable(StoreError),
    /// Read.
    Read(DocumentSummary),
}

/// A document without its secrets.
#[derive(Clone, Debug)]
pub struct DocumentSummary {
    /// The login that was backed up last.
    pub backup: Option<LoginSummary>,
    /// Whether another machine backed it up. Documents that do not say count as this machine's.
    pub from_another_machine: bool,
    /// The setup-token.
    pub setup_token: TokenFact,
}

/// What the store says about the setup-token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFact {
    /// Nothing: the env file stays as it is.
    NotSpecified,
    /// That there is none: the env file goes.
    Withdrawn,
    /// This one.
    Token(Fingerprint),
    /// Something that is no token: the env file stays as it is.
    Malformed(String),
}

impl TokenFact {
    /// What a document of this store, at this version, says. A server's document is the word of an admin: a field that
    /// is not there was taken away. A place where nothing was ever written, and the embedded store, say nothing about
    /// tokens they were never told of.
    pub fn from_field(field: &SetupTokenField, store: StoreKind, version: u64) -> Self {
        match field {
            SetupTokenField::Absent if store == StoreKind::Vault && version > 0 => Self::Withdrawn,
            SetupTokenField::Absent => Self::NotSpecified,
            SetupTokenField::Empty => Self::Withdrawn,
            SetupTokenField::Token(token) => Self::Token(Fingerprint::from_bytes(token.expose())),
            SetupTokenField::Malformed(malformed) => Self::Malformed(malformed.to_string()),
        }
    }
}

/// What lies in the env file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvFileFact {
    /// No file.
    Absent,
    /// A well-formed token.
    Token(Fingerprint),
    /// A file of the user's own with something else in it.
    Malformed(String),
    /// Something that is not the user's own regular file: neither used nor touched.
    Unreadable(String),
}

/// When the store was last in touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreContact {
    /// The last time it answered.
    pub last_success: Option<Timestamp>,
    /// The last time it did not, if that was later.
    pub last_failure: Option<Timestamp>,
}

/// What this run may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A login, a sync or the watcher.
    pub mode: Mode,
    /// Which store.
    pub store: StoreKind,
    /// A login asks the store again when its last answer is older than this.
    pub login_refresh_after: Duration,
    /// Whether a live probe and a refresh run can be made.
    pub can_verify: bool,
    /// The only organisation whose logins are backed up and put back.
    pub expected_organization: Option<String>,
    /// Whether a copy that another machine backed up may be put back although this one had its own.
    pub restore_from_other_machines: bool,
    /// Whether logins are copied, here or to the store, and put back from copies.
    pub oauth_backup: bool,
}

impl Settings {
    /// Returns what a run in this mode may do, as configured. It cannot verify until it is given a verifier.
    pub fn from_config(config: &Config, mode: Mode) -> Self {
        Self {
            mode,
            store: config.store,
            login_refresh_after: config.login_refresh_after,
            can_verify: false,
            expected_organization: config.expected_organization.clone(),
            restore_from_other_machines: config.restore_from_other_machines,
            oauth_backup: config.oauth_backup,
        }
    }
}

/// Who runs the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Somebody waits for a prompt: mend what is broken, ask the store only when due.
    Login,
    /// A person, a request, or a timer: look at everything, back up.
    Sync,
    /// The credential file was just written: keep what is whole, put back what was overwritten, ask nobody.
    Watch,
    /// A person asked for one thing, and gets that and nothing else.
    Command(Command),
}

impl Mode {
    /// Whether nobody waits for a prompt: what takes seconds may be asked, and the sync's lock is held.
    pub fn is_background(self) -> bool {
        matches!(self, Self::Sync | Self::Command(_))
    }
}

/// The one thing a person asked for by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Put this credential to the test of real inference.
    Verify(Target),
    /// Back the login up.
    Backup,
    /// Put a copy back in the place of a login that does not work.
    Restore(BackupFilter),
}

/// Which credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The setup-token where there is one, else the login.
    Active,
    /// The setup-token.
    SetupToken,
    /// The login, also while a setup-token keeps Claude Code from looking at it.
    Login,
}

/// Which copies a person wants to be put back; the default is the best there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupFilter {
    /// Only from there.
    pub from: Option<BackupLocation>,
    /// Only this one.
    pub generation: Option<RefreshTokenId>,
}

impl BackupFilter {
    /// Whether a copy from there may be chosen.
    pub fn matches(self, generation: RefreshTokenId, source: BackupLocation) -> bool {
        self.from.is_none_or(|from| from == source)
            && self.generation.is_none_or(|wanted| wanted == generation)
    }
}

/// What has been done so far in this run; a step that was tried is never tried again.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The env file was written or removed.
    pub env_file: Option<Result<EnvFileChange, String>>,
    /// A login was put back.
    pub restore: Option<Restored>,
    /// What lay there before the restore was put back.
    pub roll_back: Option<Result<(), String>>,
    /// The login was added to the history.
    pub history_backup: Option<Result<(), String>>,
    /// The login was added to the store.
    pub store_backup: Option<Result<(), String>>,
    /// How many credentials were probed by value.
    pub probes: usize,
    /// What real inference showed, of what, in its order.
    pub verdicts: Vec<(VerificationTarget, Verification)>,
    /// What the refresh run showed, whatever lies in the file after it.
    pub refresh_run: Option<Verification>,
}

/// What happened to the env file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFileChange {
    /// It holds the store's token.
    Written,
    /// It is gone.
    Removed,
}

/// A restore that was tried.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What was put back.
    pub login: LoginSummary,
    /// From where.
    pub source: BackupLocation,
    /// Whether it lies in the file now; if not, why.
    pub result: Result<(), String>,
}

/// What a live probe is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationTarget {
    /// The setup-token in the env file.
    SetupToken(Fingerprint),
    /// The access token of the login in the credential file.
    Login(Fingerprint),
}

impl Facts {
    /// The verdict of this run on `subject`.
    pub fn verdict(&self, subject: VerificationTarget) -> Option<&Verification> {
        self.done.verdicts.iter().rev().find(|(of, _)| *of == subject).map(|(_, verdict)| verdict)
    }

    /// The document, if it was read.
    pub fn document(&self) -> Option<&DocumentSummary> {
        match &self.document {
            DocumentFact::Read(document) => Some(document),
            _ => None,
        }
    }

    /// The setup-token in use.
    pub fn active_token(&self) -> Option<Fingerprint> {
        match self.env_file {
            EnvFileFact::Token(token) => Some(token),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I6: whose word removes the env file.
    #[test]
    fn only_a_servers_document_or_an_empty_field_withdraws_a_token() {
        let rows = [
            (SetupTokenField::Absent, StoreKind::Vault, 7, TokenFact::Withdrawn),
            (SetupTokenField::Absent, StoreKind::Vault, 0, TokenFact::NotSpecified),
            (SetupTokenField::Absent, StoreKind::Local, 7, TokenFact::NotSpecified),
            (SetupTokenField::Empty, StoreKind::Local, 7, TokenFact::Withdrawn),
            (SetupTokenField::Empty, StoreKind::Vault, 7, TokenFact::Withdrawn),
        ];
        for (field, store, version, expected) in rows {
            assert_eq!(
                TokenFact::from_field(&field, store, version),
                expected,
                "{field:?} {store:?} {version}"
            );
        }
    }
}
