//! Executes the planner's steps and records the results.

use std::time::Duration;

use super::Engine;
use crate::claude_files::credentials_file::WriteError;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::Login;
use crate::ledger::Ledger;
use crate::outcome::BackupLocation;
use crate::planner::{EnvFileChange, Facts, Restored};
use crate::state::env_file::EnvFileContent;
use crate::state::restore_lock::{RestoreError, write_under_restore_lock};
use crate::store::user_document::{self, SetupTokenField};
use crate::store::{Fields, Store, StoreError};

/// The time that a login reserves for writing. A restore that does not finish in time is left to
/// the sync.
pub(super) const WRITE_RESERVE: Duration = Duration::from_millis(200);

/// How often a decision is repeated because another process wrote the file or the document first.
pub(super) const MAX_CONFLICTS: u32 = 4;

/// The delay after a write conflict in the store. A standby needs about 60 ms to catch up.
pub(super) const CONFLICT_BACKOFF: Duration = Duration::from_millis(100);

impl Engine {
    pub(super) fn write_env_file(&mut self, facts: &mut Facts) {
        self.follows_store = true;
        let written = match self.document.as_ref().map(|document| &document.setup_token) {
            Some(SetupTokenField::Token(token)) => {
                self.record_withdrawn_token(Some(Fingerprint::from_bytes(token.expose())));
                self.env_file
                    .write(token)
                    .map(|_| EnvFileChange::Written)
                    .map_err(|problem| problem.to_string())
            }
            _ => Err(String::from("the store's document has no token any more")),
        };
        facts.done.env_file = Some(written);
        facts.env_file = self.env_file_fact();
    }

    pub(super) fn remove_env_file(&mut self, facts: &mut Facts) {
        self.follows_store = true;
        self.record_withdrawn_token(None);
        let removed = self.env_file.remove().map(|()| EnvFileChange::Removed);
        facts.done.env_file = Some(removed.map_err(|problem| problem.to_string()));
        facts.env_file = self.env_file_fact();
    }

    /// Records the token that is about to be removed from the env file, so that processes that
    /// inherited it can be detected.
    fn record_withdrawn_token(&self, next: Option<Fingerprint>) {
        let EnvFileContent::Token(token) = self.env_file.read() else { return };
        let previous = Fingerprint::from_bytes(token.expose());
        if Some(previous) != next {
            // The token is removed even if this cannot be recorded.
            drop(self.state.update_ledger(&self.deadline, |ledger| ledger.record_withdrawn_token(previous)));
        }
    }

    pub(super) fn restore(&mut self, generation: RefreshTokenId, source: BackupLocation, facts: &mut Facts) {
        let Some(login) = self.find_backup(generation, source) else { return };
        let summary = login.summary.clone();
        let result = match self.restore_login(login) {
            Err(error) if error.is_conflict() && self.conflicts < MAX_CONFLICTS => {
                self.conflicts += 1;
                return self.refresh_facts(facts);
            }
            Err(error) => {
                // The preflight names the credential file, the error may name a lock.
                let find = |found| self.credentials.replace_obstacle().unwrap_or(found);
                facts.done.obstacle = error.obstacle().map(find);
                Err(error.to_string())
            }
            Ok(()) => {
                // The given snapshot is no longer in the file.
                self.snapshot_is_fixed = false;
                Ok(())
            }
        };
        facts.done.restore = Some(Restored { login: summary, source, result });
        self.refresh_facts(facts);
    }

    fn restore_login(&self, login: &Login) -> Result<(), RestoreError> {
        self.under_restore_lock(|| self.restore_login_locked(login))
    }

    fn under_restore_lock(
        &self,
        write: impl FnMut() -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        write_under_restore_lock(&self.state, &self.credentials, &self.deadline, self.now, write)
    }

    fn restore_login_locked(&self, login: &Login) -> Result<(), RestoreError> {
        // The previous holder of the lock may have restored a login. Its restore must not be
        // resolved with an old snapshot.
        if !self.credentials.is_unchanged_since(&self.snapshot) {
            return Err(WriteError::Conflict.into());
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
            return Err(WriteError::Conflict.into());
        }
        let written = self.write_login(login);
        if written.is_err() && self.credentials.is_unchanged_since(&self.snapshot) {
            // If this cannot be saved, the next run finds the old file unchanged and resolves the
            // restore.
            drop(self.state.update_ledger(&self.deadline, |ledger| ledger.cancel_restore()));
        }
        written
    }

    fn write_login(&self, login: &Login) -> Result<(), RestoreError> {
        self.state.save_replaced_file(self.snapshot.bytes())?;
        let content = self.snapshot.with_login(login);
        Ok(self.credentials.replace(&self.snapshot, Some(content.as_bytes()), &self.deadline, self.now)?)
    }

    fn find_backup(&self, generation: RefreshTokenId, source: BackupLocation) -> Option<&Login> {
        let in_store = self.document.as_ref().and_then(|document| document.login());
        match source {
            BackupLocation::LocalHistory => {
                self.kept.iter().find(|login| login.summary.generation == generation)
            }
            BackupLocation::Store => in_store.filter(|login| login.summary.generation == generation),
        }
    }

    pub(super) fn roll_back(&mut self, facts: &mut Facts) {
        facts.done.roll_back = Some(self.roll_back_login().map_err(|error| error.to_string()));
        self.refresh_facts(facts);
    }

    /// Replaces the login only, because other members may have been written since.
    fn roll_back_login(&self) -> Result<(), RestoreError> {
        self.under_restore_lock(|| self.roll_back_login_locked())
    }

    fn roll_back_login_locked(&self) -> Result<(), RestoreError> {
        let replaced = self.state.load_replaced_file()?.ok_or(WriteError::Conflict)?;
        let content = self.snapshot.with_login_from(&replaced.content);
        let bytes = content.as_ref().map(|content| content.as_slice());
        self.credentials.replace(&self.snapshot, bytes, &self.deadline, self.now)?;
        // Recording may fail: a rejected login is never restored, with or without this record.
        drop(self.state.update_ledger(&self.deadline, Ledger::record_rollback));
        Ok(())
    }

    pub(super) fn back_up(&mut self, generation: RefreshTokenId, place: BackupLocation, facts: &mut Facts) {
        let result = self.add_to(place, generation);
        if result == Err(StoreError::Conflict) && self.conflicts < MAX_CONFLICTS {
            self.conflicts += 1;
            std::thread::sleep(CONFLICT_BACKOFF * self.conflicts);
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
        let refused = |reason: &str| StoreError::Refused {
            reason: reason.into(),
            remedy: "run `cas-sync run` again".into(),
        };
        let login = self.snapshot.login.login().filter(|login| login.summary.generation == generation);
        let login = login.ok_or_else(|| refused("the login changed meanwhile"))?;
        user_document::backup_fields(login, self.now, self.machine.label())
            .map_err(|error| refused(&error.to_string()))
    }
}
