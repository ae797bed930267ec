//! The input of the planner. It contains no secret: credentials are identified by their
//! generations.

use std::time::Duration;

use crate::claude_files::state_problem::StateFileProblem;
use crate::config::{Config, StoreKind};
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::LoginSummary;
use crate::credential::login_file::{LoginFileState, LoginPlace};
use crate::credential::remnant::Remnant;
use crate::credential::sign_out::SignOut;
use crate::credential::verification::Verification;
use crate::fs::obstacle::Obstacle;
use crate::ledger::Ledger;
use crate::outcome::BackupLocation;
use crate::store::StoreError;
use crate::store::user_document::SetupTokenField;
use crate::time::timestamp::Timestamp;

/// The input of a decision.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The wall clock.
    pub now: Timestamp,
    /// The state of the credential file.
    pub login: LoginFileState<LoginSummary>,
    /// Why the user intends that there is no login.
    pub sign_out: Option<SignOut>,
    /// A state file that the client cannot use. Not read at a login.
    pub client_state: Option<StateFileProblem>,
    /// What is left of a login in a credential file that no client uses.
    pub remnant: Option<Remnant>,
    /// Where the credential file is.
    pub place: LoginPlace,
    /// Whether Claude Code holds its locks, because a session is refreshing the login.
    pub refreshing: bool,
    /// The record of the generations, which includes the login in the file.
    pub ledger: Ledger,
    /// The logins in the local history.
    pub history: Vec<LoginSummary>,
    /// The store's document.
    pub document: DocumentFact,
    /// The env file of the setup token.
    pub env_file: EnvFileFact,
    /// The setup token that the local store still has, although Vault is the store.
    pub local_token: Option<Fingerprint>,
    /// The last success and the last failure of the store.
    pub contact: StoreContact,
    /// Whether a sync was requested or answered within the last minute, after the credential file
    /// was last written.
    pub asked_lately: bool,
    /// What this run may do.
    pub settings: Settings,
    /// What this run has done so far.
    pub done: Progress,
}

/// The store's document, or why it is missing.
#[derive(Clone, Debug)]
pub enum DocumentFact {
    /// It was not requested in this run.
    NotRead,
    /// The request failed.
    Unreadable(StoreError),
    /// It was read.
    Read(DocumentSummary),
}

/// A document without its secrets.
#[derive(Clone, Debug)]
pub struct DocumentSummary {
    /// The login of the backup.
    pub backup: Option<LoginSummary>,
    /// Whether another machine wrote the backup. A document without a machine counts as written by
    /// this one.
    pub from_another_machine: bool,
    /// The setup token.
    pub setup_token: TokenFact,
    /// Whether the user was offboarded. Then the document is neither used nor written.
    pub is_offboarded: bool,
}

impl DocumentSummary {
    /// Returns the summary of an offboarded user's document, without its content.
    pub fn offboarded() -> Self {
        Self {
            backup: None,
            from_another_machine: false,
            setup_token: TokenFact::NotSpecified,
            is_offboarded: true,
        }
    }
}

/// The setup token of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFact {
    /// Not specified: the env file is unchanged.
    NotSpecified,
    /// The store has no setup token: the field is empty.
    Withdrawn,
    /// The store has no setup token: a document in Vault without the field. An administrator
    /// removed it, or another tool created the document.
    Absent,
    /// A token with this fingerprint.
    Token(Fingerprint),
    /// The value is not a setup token: the env file is unchanged.
    Malformed(String),
}

impl TokenFact {
    /// Interprets the field of a document. A path in Vault that was never written, and the local
    /// store, specify nothing unless the field exists.
    pub fn from_field(field: &SetupTokenField, store: StoreKind, version: u64) -> Self {
        match field {
            SetupTokenField::Absent if store == StoreKind::Vault && version > 0 => Self::Absent,
            SetupTokenField::Absent => Self::NotSpecified,
            SetupTokenField::Empty => Self::Withdrawn,
            SetupTokenField::Token(token) => Self::Token(Fingerprint::from_bytes(token.expose())),
            SetupTokenField::Malformed(malformed) => Self::Malformed(malformed.to_string()),
        }
    }
}

/// The content of the env file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvFileFact {
    /// There is no file.
    Absent,
    /// A well-formed token.
    Token(Fingerprint),
    /// A file of the user with other content.
    Malformed(String),
    /// Not a regular file of the user. It is neither used nor changed.
    Unreadable(String),
}

/// The last contacts with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreContact {
    /// The last successful request.
    pub last_success: Option<Timestamp>,
    /// The last failed request, if that was later.
    pub last_failure: Option<Timestamp>,
}

/// What this run may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kind of run.
    pub mode: Mode,
    /// The kind of store.
    pub store: StoreKind,
    /// The age of the last response at which a login asks the store again.
    pub login_refresh_after: Duration,
    /// The identity of the store: [`Config::store_id`].
    pub store_id: Fingerprint,
    /// Whether this run can verify and refresh credentials.
    pub can_verify: bool,
    /// Whether syncs of this machine verify credentials.
    pub verifies_in_sync: bool,
    /// The only organization whose logins are backed up and restored.
    pub expected_organization: Option<String>,
    /// Whether a backup of another machine may be restored.
    pub restore_from_other_machines: bool,
    /// Whether logins are backed up and restored.
    pub oauth_backup: bool,
    /// Whether the setup token of the local store may be copied to Vault. False if the document is
    /// not named after the user: it may belong to another user, or to several.
    pub can_copy_setup_token: bool,
}

impl Settings {
    /// Returns the configured settings of a run in this mode. `can_verify` is false until a
    /// verifier is set.
    pub fn from_config(config: &Config, mode: Mode) -> Self {
        Self {
            mode,
            store: config.store,
            store_id: config.store_id(),
            login_refresh_after: config.login_refresh_after,
            can_verify: false,
            verifies_in_sync: config.verify,
            expected_organization: config.expected_organization.clone(),
            restore_from_other_machines: config.restore_from_other_machines,
            oauth_backup: config.oauth_backup,
            can_copy_setup_token: config.vault.document.is_none(),
        }
    }
}

impl Settings {
    /// Returns true if a backup of another machine may be restored in this run.
    pub fn uses_other_machines(&self) -> bool {
        let is_requested = matches!(
            self.mode,
            Mode::Command(Command::Restore(BackupFilter { from_other_machine: true, .. }))
        );
        self.restore_from_other_machines || is_requested
    }
}

/// The kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A user waits for the prompt: restore an unusable login, ask the store only when due.
    Login,
    /// A sync by a timer, a request or a user: check everything, back up, verify.
    Sync,
    /// The watcher saw a write to the credential file: record a complete login, restore an
    /// overwritten one, send no request.
    Watch,
    /// A user's command: do this one thing and nothing else.
    Command(Command),
}

impl Mode {
    /// Returns true if no user waits for a prompt, so that steps may take seconds. The sync's lock
    /// is held.
    pub fn is_background(self) -> bool {
        matches!(self, Self::Sync | Self::Command(_))
    }
}

/// The command of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Verify this credential.
    Verify(Target),
    /// Back the login up.
    Backup,
    /// Restore a backup if the login does not work.
    Restore(BackupFilter),
}

/// The credential to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The setup token if there is one, otherwise the login.
    Active,
    /// The setup token.
    SetupToken,
    /// The login, even while a setup token is active.
    Login,
}

/// The backups that a user selected. The default selects all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupFilter {
    /// Only from this location.
    pub from: Option<BackupLocation>,
    /// Only this generation.
    pub generation: Option<RefreshTokenId>,
    /// Also a backup of another machine that is no longer used.
    pub from_other_machine: bool,
}

impl BackupFilter {
    /// Returns true if a backup of this generation and location is selected.
    pub fn matches(self, generation: RefreshTokenId, source: BackupLocation) -> bool {
        self.from.is_none_or(|from| from == source)
            && self.generation.is_none_or(|wanted| wanted == generation)
    }
}

/// What this run has done so far. A step is tried once.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The change of the env file.
    pub env_file: Option<Result<EnvFileChange, String>>,
    /// The copy of the local store's setup token to Vault.
    pub copied_token: Option<Result<(), String>>,
    /// Whether the removal of the setup token from the local store was tried.
    pub removed_local_token: bool,
    /// The restore.
    pub restore: Option<Restored>,
    /// What kept a file from being written or read. It does not pass by itself.
    pub obstacle: Option<Obstacle>,
    /// The roll back of the restore.
    pub roll_back: Option<Result<(), String>>,
    /// The backup to the history.
    pub history_backup: Option<Result<(), String>>,
    /// The backup to the store.
    pub store_backup: Option<Result<(), String>>,
    /// The number of verifications by value.
    pub probes: usize,
    /// The results of the verifications, in their order.
    pub verdicts: Vec<(VerificationTarget, Verification)>,
    /// The result of the refresh, whatever is in the file after it.
    pub refresh_run: Option<Verification>,
}

/// The change of the env file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFileChange {
    /// It has the store's token.
    Written,
    /// It was removed.
    Removed,
}

/// The attempt of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The login to restore.
    pub login: LoginSummary,
    /// The location of the backup.
    pub source: BackupLocation,
    /// Whether it is in the file now; if not, why.
    pub result: Result<(), String>,
}

/// The credential that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationTarget {
    /// The setup token in the env file or in the store.
    SetupToken(Fingerprint),
    /// The access token of the login in the credential file.
    Login(Fingerprint),
    /// The access token in the credential file that Claude Code uses without a refresh.
    UnrefreshedToken(Fingerprint),
}

impl Facts {
    /// Returns the last result of this run for `subject`.
    pub fn verdict(&self, subject: VerificationTarget) -> Option<&Verification> {
        self.done.verdicts.iter().rev().find(|(target, _)| *target == subject).map(|(_, verdict)| verdict)
    }

    /// Returns the document if it was read and may be used. Every rule for restores from the store
    /// and writes to it uses this function.
    pub fn document(&self) -> Option<&DocumentSummary> {
        match &self.document {
            DocumentFact::Read(document) => Some(document).filter(|document| !document.is_offboarded),
            _ => None,
        }
    }

    /// Returns true if the document was read and its user was offboarded.
    pub fn is_offboarded(&self) -> bool {
        matches!(&self.document, DocumentFact::Read(document) if document.is_offboarded)
    }

    /// Returns the active setup token.
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

    /// I6: only these documents remove the env file.
    #[test]
    fn missing_field_removes_the_token_only_in_vault() {
        let rows = [
            (SetupTokenField::Absent, StoreKind::Vault, 7, TokenFact::Absent),
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
