//! Copies the setup token of the local store to Vault, after an administrator has switched the
//! store.

use super::Engine;
use super::execute::{CONFLICT_BACKOFF, MAX_CONFLICTS};
use crate::config::StoreKind;
use crate::credential::fingerprint::Fingerprint;
use crate::planner::Facts;
use crate::store::user_document::{SetupTokenField, UserDocument, setup_token_fields};
use crate::store::{Fields, StoreError};

impl Engine {
    /// Returns the setup token of the local store, if Vault is the store.
    pub(super) fn local_token(&self) -> Option<Fingerprint> {
        self.local_document()?.token().map(|token| Fingerprint::from_bytes(token.expose()))
    }

    /// Returns the document of the local store, if Vault is the store.
    pub(super) fn local_document(&self) -> Option<UserDocument> {
        if self.settings.store == StoreKind::Local {
            return None;
        }
        Some(UserDocument::parse(&self.history.newest().ok()?))
    }

    /// Copies the setup token to Vault with its dates. The local store keeps it until Vault was
    /// read with it.
    pub(super) fn copy_token(&mut self, token: Fingerprint, facts: &mut Facts) {
        match self.write_token_to_store(token) {
            Err(StoreError::Conflict) if self.conflicts < MAX_CONFLICTS => {
                self.conflicts += 1;
                std::thread::sleep(CONFLICT_BACKOFF * self.conflicts);
            }
            result => facts.done.copied_token = Some(result.map_err(|failure| failure.to_string())),
        }
        if !matches!(facts.done.copied_token, Some(Err(_))) {
            self.read_store(facts);
        }
    }

    fn write_token_to_store(&mut self, token: Fingerprint) -> Result<(), StoreError> {
        let fields = self.token_fields(token)?;
        let version = self.document.as_ref().map_or(0, |document| document.version);
        let store = self.store.as_mut().map_err(|failure| failure.clone())?;
        store.merge(&fields, version, &self.deadline).map(drop)
    }

    fn token_fields(&self, wanted: Fingerprint) -> Result<Fields, StoreError> {
        let refused =
            |reason: String| StoreError::Refused { reason, remedy: "run `cas-sync run` again".into() };
        let document =
            UserDocument::parse(&self.history.newest().map_err(|error| refused(error.to_string()))?);
        let dates = document.setup_token_dates;
        match document.setup_token {
            SetupTokenField::Token(token) if Fingerprint::from_bytes(token.expose()) == wanted => {
                setup_token_fields(&token, dates).map_err(|error| refused(error.to_string()))
            }
            _ => Err(refused("the local store changed meanwhile".into())),
        }
    }

    /// Removes the setup token from the local store. If that fails, the next sync tries again.
    pub(super) fn remove_local_token(&mut self, facts: &mut Facts) {
        drop(self.history.remove_setup_token(&self.deadline));
        facts.done.removed_local_token = true;
        facts.local_token = self.local_token();
    }
}
