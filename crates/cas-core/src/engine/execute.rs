//! Doing: each step of the planner, and a note of how it went.

use std::time::Duration;

use super::Engine;
use crate::claude_files::credentials_file::WriteError;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::Login;
use crate::ledger::Ledger;
use crate::outcome::BackupLocation;
use crate::planner::{EnvFileChange, Facts, Restored};
use crate::state::directory::{StateError, StateLock};
use crate::state::env_file::EnvFileContent;
use crate::store::user_document::{self, SetupTokenField};
use crate::store::{Fields, Store, StoreError};

/// What a login keeps in reserve for writing: a login that cannot be put back within this is left to the sync.
pub(super) const WRITE_RESERVE: Duration = Duration::from_millis(200);

/// How often a decision is made again because somebody else wrote in between.
const MAX_OVERTAKEN: u32 = 4;

/// Between two tries at a store that others write to: a standby needs about 60 ms to catch up.
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    pub(super) fn write_env_file(&mut self, facts: &mut Facts) {
        let written = match self.document.as_ref().map(|document| &document.setup_token) {
            Some(SetupTokenField::Token(token)) => {
                self.note_withdrawn(Some(Fingerprint::from_bytes(token.expose())));
                self.env_file
                    .write(token)
                    .map(|_| EnvFileChange::Written)
                    .map_err(|problem| problem.to_string())
            }
            _ => Err(String::from("the store's document holds no token any more")),
        };
        facts.done.env_file = Some(written);
        facts.env_file = self.env_file_fact();
    }

    pub(super) fn remove_env_file(&mut self, facts: &mut Facts) {
        self.note_withdrawn(None);
        let removed = self.env_file.remove().map(|()| EnvFileChange::Removed);
        facts.done.env_file = Some(removed.map_err(|problem| problem.to_string()));
        facts.env_file = self.env_file_fact();
    }

    /// Remembers the token that is about to leave the env file, so that a process which inherited it can be told.
    fn note_withdrawn(&self, coming: Option<Fingerprint>) {
        let EnvFileContent::Token(token) = self.env_file.read() else { return };
        let leaving = Fingerprint::from_bytes(token.expose());
        if Some(leaving) != coming {
            // If it cannot be noted, the token goes all the same.
            drop(self.state.update_ledger(&self.deadline, |ledger| ledger.record_withdrawn_token(leaving)));
        }
    }

    pub(super) fn restore(&mut self, generation: RefreshTokenId, source: BackupLocation, facts: &mut Facts) {
        let Some(login) = self.copy_of(generation, source) else { return };
        let summary = login.summary.clone();
        let result = match self.put_back(login) {
            Err(RestoreError::Conflict) if self.conflicts < MAX_OVERTAKEN => {
                self.conflicts += 1;
                return self.refresh_facts(facts);
            }
            Err(not) => Err(not.to_string()),
            Ok(()) => {
                // What was decided about is gone.
                self.snapshot_is_fixed = false;
                Ok(())
            }
        };
        facts.done.restore = Some(Restored { login: summary, source, result });
        self.refresh_facts(facts);
    }

    fn put_back(&self, login: &Login) -> Result<(), RestoreError> {
        let _locked = self.state.lock(StateLock::Restore, &self.deadline)?;
        // Whoever held the lock before may have mended it; its restore must not be settled from an old look.
        if !self.credentials.is_unchanged_since(&self.snapshot) {
            return Err(RestoreError::Conflict);
        }
        let mut is_allowed = false;
        self.state.update_ledger(&self.deadline, |ledger| {
            self.record_current_login(ledger);
            is_allowed = ledger.may_restore(&login.summary, self.now);
            if is_allowed {
                ledger.begin_restore(&login.summary, self.snapshot.identity, self.now);
            }
        })?;
        if !is_allowed {
            return Err(RestoreError::Conflict);
        }
        let written = self.write_login(login);
        if written.is_err() && self.credentials.is_unchanged_since(&self.snapshot) {
            // If this cannot be saved either, the next look finds the old file still there and settles it.
            drop(self.state.update_ledger(&self.deadline, |ledger| ledger.cancel_restore()));
        }
        written
    }

    fn write_login(&self, login: &Login) -> Result<(), RestoreError> {
        self.state.save_replaced_file(self.snapshot.bytes())?;
        let content = self.snapshot.with_login(login);
        Ok(self.credentials.replace(&self.snapshot, Some(content.as_bytes()), &self.deadline, self.now)?)
    }

    fn copy_of(&self, generation: RefreshTokenId, source: BackupLocation) -> Option<&Login> {
        let in_store = self.document.as_ref().and_then(|document| document.login());
        match source {
            BackupLocation::LocalHistory => {
                self.kept.iter().find(|login| login.summary.generation == generation)
            }
            BackupLocation::Store => in_store.filter(|login| login.summary.generation == generation),
        }
    }

    pub(super) fn roll_back(&mut self, facts: &mut Facts) {
        facts.done.roll_back = Some(self.put_replaced_back().map_err(|not| not.to_string()));
        self.refresh_facts(facts);
    }

    /// Only the login makes room: other keys may have been written since.
    fn put_replaced_back(&self) -> Result<(), RestoreError> {
        let _locked = self.state.lock(StateLock::Restore, &self.deadline)?;
        let replaced = self.state.load_replaced_file()?.ok_or(RestoreError::Conflict)?;
        let content = self.snapshot.with_login_from(&replaced.content);
        let bytes = content.as_ref().map(|content| content.as_slice());
        self.credentials.replace(&self.snapshot, bytes, &self.deadline, self.now)?;
        // If it cannot be noted: the copy was rejected, and that is never put back, noted or not.
        drop(self.state.update_ledger(&self.deadline, Ledger::record_rollback));
        Ok(())
    }

    pub(super) fn back_up(&mut self, generation: RefreshTokenId, place: BackupLocation, facts: &mut Facts) {
        let result = self.add_to(place, generation);
        if result == Err(StoreError::Conflict) && self.conflicts < MAX_OVERTAKEN {
            self.conflicts += 1;
            std::thread::sleep(CONFLICT_PAUSE * self.conflicts);
            return match place {
                BackupLocation::LocalHistory => self.refresh_facts(facts),
                BackupLocation::Store => self.read_store(facts),
            };
        }
        let result = result.map_err(|failure| failure.to_string());
        match place {
            BackupLocation::LocalHistory => facts.done.history_backup = Some(result),
            BackupLocation::Store => facts.done.store_backup = Some(result),
        }
        self.refresh_facts(facts);
    }

    fn add_to(&mut self, place: BackupLocation, generation: RefreshTokenId) -> Result<(), StoreError> {
        let fields = self.backup_fields(generation)?;
        let version = self.document.as_ref().map_or(0, |document| document.version);
        match (place, &mut self.store) {
            (BackupLocation::LocalHistory, _) => {
                let version = self.history.read(&self.deadline)?.version;
                self.history.merge(&fields, version, &self.deadline).map(drop)
            }
            (BackupLocation::Store, Ok(store)) => store.merge(&fields, version, &self.deadline).map(drop),
            (BackupLocation::Store, Err(failure)) => Err(failure.clone()),
        }
    }

    fn backup_fields(&self, generation: RefreshTokenId) -> Result<Fields, StoreError> {
        let unusable = |reason: &str| StoreError::Refused {
            reason: reason.into(),
            remedy: "run `cas-sync run` again".into(),
        };
        let login = self.snapshot.login.login().filter(|login| login.summary.generation == generation);
        let login = login.ok_or_else(|| unusable("the login changed meanwhile"))?;
        user_document::backup_fields(login, self.now, self.machine.label())
            .map_err(|error| unusable(&error.to_string()))
    }
}

/// Why a login was not put back.
enum RestoreError {
    Conflict,
    State(StateError),
    Write(WriteError),
}

impl From<StateError> for RestoreError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<WriteError> for RestoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict => Self::Conflict,
            error => Self::Write(error),
        }
    }
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conflict => formatter.write_str("others keep writing the credential file"),
            Self::State(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}
