//! Doing: each step of the planner, and a note of how it went.

use std::time::Duration;

use super::Run;
use crate::claude_files::credentials_file::WriteError;
use crate::credential::fingerprint::{Fingerprint, Generation};
use crate::credential::login::OauthLogin;
use crate::ledger::Ledger;
use crate::outcome::Source;
use crate::planner::{EnvFileChange, Facts, Restored};
use crate::state::directory::{Lock, StateError};
use crate::state::env_file::Content;
use crate::store::user_document::{self, SetupTokenField};
use crate::store::{Failure, Fields, Store};

/// What a login keeps in reserve for writing: a login that cannot be put back within this is left to the sync.
pub(super) const WRITING_TIME: Duration = Duration::from_millis(200);

/// How often a decision is made again because somebody else wrote in between.
const MAX_OVERTAKEN: u32 = 4;

/// Between two tries at a store that others write to: a standby needs about 60 ms to catch up.
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

impl Run {
    pub(super) fn write_env_file(&mut self, facts: &mut Facts) {
        let written = match self.document.as_ref().map(|document| &document.setup_token) {
            Some(SetupTokenField::Token(token)) => {
                self.note_withdrawn(Some(Fingerprint::of(token.expose())));
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
        let Content::Token(token) = self.env_file.read() else { return };
        let leaving = Fingerprint::of(token.expose());
        if Some(leaving) != coming {
            // If it cannot be noted, the token goes all the same.
            drop(self.state.change_ledger(&self.deadline, |ledger| ledger.observe_withdrawn(leaving)));
        }
    }

    pub(super) fn restore(&mut self, generation: Generation, source: Source, facts: &mut Facts) {
        let Some(login) = self.copy_of(generation, source) else { return };
        let summary = login.summary.clone();
        let result = match self.put_back(login) {
            Err(NotPutBack::Overtaken) if self.overtaken < MAX_OVERTAKEN => {
                self.overtaken += 1;
                return self.look_again(facts);
            }
            Err(not) => Err(not.to_string()),
            Ok(()) => {
                // What was decided about is gone.
                self.is_given = false;
                Ok(())
            }
        };
        facts.done.restore = Some(Restored { login: summary, source, result });
        self.look_again(facts);
    }

    fn put_back(&self, login: &OauthLogin) -> Result<(), NotPutBack> {
        let _locked = self.state.lock(Lock::Repair, &self.deadline)?;
        // Whoever held the lock before may have mended it; its restore must not be settled from an old look.
        if !self.credentials.is_still(&self.snapshot) {
            return Err(NotPutBack::Overtaken);
        }
        let mut is_allowed = false;
        self.state.change_ledger(&self.deadline, |ledger| {
            self.note_what_lies_there(ledger);
            is_allowed = ledger.may_restore(&login.summary, self.now);
            if is_allowed {
                ledger.begin_restore(&login.summary, self.snapshot.identity, self.now);
            }
        })?;
        if !is_allowed {
            return Err(NotPutBack::Overtaken);
        }
        let written = self.write_login(login);
        if written.is_err() && self.credentials.is_still(&self.snapshot) {
            // If this cannot be saved either, the next look finds the old file still there and settles it.
            drop(self.state.change_ledger(&self.deadline, |ledger| ledger.cancel_restore()));
        }
        written
    }

    fn write_login(&self, login: &OauthLogin) -> Result<(), NotPutBack> {
        self.state.save_replaced(self.snapshot.bytes())?;
        let content = self.snapshot.with_login(login);
        Ok(self.credentials.replace(&self.snapshot, Some(content.as_bytes()), &self.deadline, self.now)?)
    }

    fn copy_of(&self, generation: Generation, source: Source) -> Option<&OauthLogin> {
        let in_store = self.document.as_ref().and_then(|document| document.login());
        match source {
            Source::History => self.kept.iter().find(|login| login.summary.generation == generation),
            Source::Store => in_store.filter(|login| login.summary.generation == generation),
        }
    }

    pub(super) fn roll_back(&mut self, facts: &mut Facts) {
        facts.done.roll_back = Some(self.put_replaced_back().map_err(|not| not.to_string()));
        self.look_again(facts);
    }

    /// Only the login makes room: other keys may have been written since.
    fn put_replaced_back(&self) -> Result<(), NotPutBack> {
        let _locked = self.state.lock(Lock::Repair, &self.deadline)?;
        let replaced = self.state.replaced()?.ok_or(NotPutBack::Overtaken)?;
        let content = self.snapshot.with_login_of(&replaced.content);
        let bytes = content.as_ref().map(|content| content.as_bytes());
        self.credentials.replace(&self.snapshot, bytes, &self.deadline, self.now)?;
        // If it cannot be noted: the copy was rejected, and that is never put back, noted or not.
        drop(self.state.change_ledger(&self.deadline, Ledger::observe_roll_back));
        Ok(())
    }

    pub(super) fn back_up(&mut self, generation: Generation, place: Source, facts: &mut Facts) {
        let result = self.add_to(place, generation);
        if result == Err(Failure::Conflict) && self.overtaken < MAX_OVERTAKEN {
            self.overtaken += 1;
            std::thread::sleep(CONFLICT_PAUSE * self.overtaken);
            return match place {
                Source::History => self.look_again(facts),
                Source::Store => self.read_store(facts),
            };
        }
        let result = result.map_err(|failure| failure.to_string());
        match place {
            Source::History => facts.done.history_backup = Some(result),
            Source::Store => facts.done.store_backup = Some(result),
        }
        self.look_again(facts);
    }

    fn add_to(&mut self, place: Source, generation: Generation) -> Result<(), Failure> {
        let fields = self.backup_fields(generation)?;
        let version = self.document.as_ref().map_or(0, |document| document.version);
        match (place, &mut self.store) {
            (Source::History, _) => {
                let version = self.history.read(&self.deadline)?.version;
                self.history.merge(&fields, version, &self.deadline).map(drop)
            }
            (Source::Store, Ok(store)) => store.merge(&fields, version, &self.deadline).map(drop),
            (Source::Store, Err(failure)) => Err(failure.clone()),
        }
    }

    fn backup_fields(&self, generation: Generation) -> Result<Fields, Failure> {
        let unusable = |reason: &str| Failure::Refused {
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
enum NotPutBack {
    Overtaken,
    State(StateError),
    Write(WriteError),
}

impl From<StateError> for NotPutBack {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<WriteError> for NotPutBack {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Changed => Self::Overtaken,
            error => Self::Write(error),
        }
    }
}

impl std::fmt::Display for NotPutBack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overtaken => formatter.write_str("others keep writing the credential file"),
            Self::State(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}
