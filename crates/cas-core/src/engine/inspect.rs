//! Inspection without changes: the current state and the backups, for `--dry-run` and lists.

use super::Engine;
use crate::credential::fingerprint::RefreshTokenId;
use crate::outcome::BackupLocation;
use crate::planner::{Facts, Mode};
use crate::store::user_document::UserDocument;
use crate::time::timestamp::Timestamp;

/// The result of an inspection. Nothing was written or verified.
pub struct Inspection {
    /// The facts that a run would gather.
    pub facts: Facts,
    /// The backups, in the order in which they were found.
    pub found: Vec<BackupInfo>,
}

/// Where and when a login was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// The login's generation.
    pub generation: RefreshTokenId,
    /// The location.
    pub source: BackupLocation,
    /// The time of the backup, if it is recorded.
    pub backed_up_at: Option<Timestamp>,
    /// The machine that wrote the backup, if it is recorded.
    pub machine: Option<String>,
}

impl Engine {
    /// Gathers the facts of a run, including those of the store if `asks_store` is true.
    pub fn inspect(mut self, asks_store: bool) -> Inspection {
        self.is_inspection = true;
        let mut facts = self.observe();
        if asks_store {
            self.read_store(&mut facts);
        }
        Inspection { facts, found: self.found }
    }

    /// For a command, records the backups in the local history.
    pub(super) fn record_local_history(&mut self) {
        if !matches!(self.settings.mode, Mode::Command(_)) {
            return;
        }
        // An unreadable history is reported elsewhere, as the reason why the login file is not
        // changed.
        for document in self.history.documents().unwrap_or_default() {
            self.add_backup(&document, BackupLocation::LocalHistory);
        }
    }

    /// For a command, records the backup in the store's document. Only the first read counts,
    /// because later ones may see this run's own write.
    pub(super) fn record_store_backup(&mut self, document: &UserDocument) {
        if matches!(self.settings.mode, Mode::Command(_))
            && self.found.iter().all(|kept| kept.source != BackupLocation::Store)
        {
            self.add_backup(document, BackupLocation::Store);
        }
    }

    fn add_backup(&mut self, document: &UserDocument, source: BackupLocation) {
        let Some(login) = document.login() else { return };
        let generation = login.summary.generation;
        if self.found.iter().any(|kept| kept.source == source && kept.generation == generation) {
            return;
        }
        let (backed_up_at, machine) = (document.backed_up_at, document.machine.clone());
        self.found.push(BackupInfo { generation, source, backed_up_at, machine });
    }
}
