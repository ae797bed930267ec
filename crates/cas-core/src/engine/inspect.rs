//! Looking without doing: what lies there and which copies are kept, for whoever asks what would be done, or what there is.

use super::Engine;
use crate::credential::fingerprint::RefreshTokenId;
use crate::outcome::BackupLocation;
use crate::planner::{Facts, Mode};
use crate::store::user_document::UserDocument;
use crate::time::timestamp::Timestamp;

/// What a look found. Nothing was written for it, and no credential put to any test.
pub struct Inspection {
    /// The facts, as a run would gather them.
    pub facts: Facts,
    /// Where each copy comes from, in the order in which they were found.
    pub found: Vec<BackupInfo>,
}

/// Where and since when a copy is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// Which login.
    pub generation: RefreshTokenId,
    /// In which place.
    pub source: BackupLocation,
    /// When it was backed up there, if the copy says so.
    pub backed_up_at: Option<Timestamp>,
    /// By which machine, if the copy says so.
    pub machine: Option<String>,
}

impl Engine {
    /// Looks at what a run would look at; at the store too, if that is wanted.
    pub fn inspect(mut self, asks_store: bool) -> Inspection {
        self.is_inspection = true;
        let mut facts = self.observe();
        if asks_store {
            self.read_store(&mut facts);
        }
        Inspection { facts, found: self.found }
    }

    /// Notes which copies the local history has, for a person who wants to hear of them.
    pub(super) fn record_local_history(&mut self) {
        if !matches!(self.settings.mode, Mode::Command(_)) {
            return;
        }
        // What cannot be read is told of as the login file that is left alone for it.
        for document in self.history.documents().unwrap_or_default() {
            self.note(&document, BackupLocation::LocalHistory);
        }
    }

    /// Notes the copy in a document of the store. Only the first look counts: later ones may see what this run wrote.
    pub(super) fn note_where_it_is_kept(&mut self, document: &UserDocument) {
        if matches!(self.settings.mode, Mode::Command(_))
            && self.found.iter().all(|kept| kept.source != BackupLocation::Store)
        {
            self.note(document, BackupLocation::Store);
        }
    }

    fn note(&mut self, document: &UserDocument, source: BackupLocation) {
        let Some(login) = document.login() else { return };
        let generation = login.summary.generation;
        if self.found.iter().any(|kept| kept.source == source && kept.generation == generation) {
            return;
        }
        let (backed_up_at, machine) = (document.backed_up_at, document.machine.clone());
        self.found.push(BackupInfo { generation, source, backed_up_at, machine });
    }
}
