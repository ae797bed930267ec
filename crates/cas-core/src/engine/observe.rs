//! Looking: what lies in the files, and what the store says.

use std::time::Duration;

use super::Engine;
use crate::config::StoreKind;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::remnant::Remnant;
use crate::ledger::Ledger;
use crate::planner::{
    DocumentFact, DocumentSummary, EnvFileFact, Facts, Mode, Progress, StoreContact, TokenFact,
};
use crate::state::directory::{StateError, StateLock};
use crate::state::env_file::EnvFileContent;
use crate::store::user_document::{SetupTokenField, UserDocument};
use crate::store::{Document, StoreError};
use cas_protocol::deadline::Deadline;

/// How long a sync waits for the store: what can be mended without it should not wait for a server that hangs.
const STORE_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a sync waits while some session refreshes the login.
const REFRESH_WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it looks whether that is over.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// For so long a request, or the answer to it, speaks for a login file that was not written since.
const REQUEST_VALIDITY: Duration = Duration::from_secs(60);

impl Engine {
    /// Looks at everything on this machine.
    pub(super) fn observe(&mut self) -> Facts {
        let mut facts = Facts {
            now: self.now,
            login: LoginFileState::Missing,
            remnant: None,
            refreshing: false,
            ledger: Ledger::default(),
            history: Vec::new(),
            document: DocumentFact::NotRead,
            env_file: self.env_file_fact(),
            contact: self.state.store_contact(),
            asked_lately: false,
            settings: self.settings.clone(),
            done: Progress::default(),
        };
        if self.settings.mode.is_background() && !self.is_inspection {
            self.wait_for_refresh();
        }
        self.record_local_history();
        self.refresh_facts(&mut facts);
        facts.asked_lately = self.has_recent_request();
        facts
    }

    /// When each setup-token was first seen, in the store or in the env file, and what stands beside it. Written down once.
    fn record_setup_tokens(&self, facts: &mut Facts) {
        if self.is_inspection {
            return;
        }
        let stored = self.document.as_ref().and_then(|document| match &document.setup_token {
            SetupTokenField::Token(token) => {
                Some((Fingerprint::from_bytes(token.expose()), document.setup_token_dates))
            }
            _ => None,
        });
        let in_env_file = facts.active_token();
        let observe = |ledger: &mut Ledger| {
            if let Some(token) = in_env_file {
                ledger.setup_tokens.record(token, self.now);
            }
            if let Some((token, dates)) = stored {
                ledger.setup_tokens.record_from_store(token, dates, self.now);
            }
        };
        let before = facts.ledger.setup_tokens.clone();
        observe(&mut facts.ledger);
        if facts.ledger.setup_tokens != before {
            // If it cannot be written down, it is known for this run at least.
            drop(self.state.update_ledger(&self.deadline, observe));
        }
    }

    fn has_recent_request(&self) -> bool {
        let written_at = self.snapshot.identity.map(|identity| identity.modified_at());
        self.asked_at.is_some_and(|asked_at| {
            asked_at.is_within(REQUEST_VALIDITY, self.now)
                && written_at.is_none_or(|written_at| written_at < asked_at)
        })
    }

    /// A refresh by some session takes a second; what it leaves is what there is to be looked at.
    pub(super) fn wait_for_refresh(&self) {
        let patience = self.deadline.capped(REFRESH_WAIT_TIMEOUT);
        while self.credentials.is_refresh_in_progress(self.now) && !patience.is_expired() {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Looks at the credential file, the ledger and the history again. Without a ledger or a history that can be trusted,
    /// the file counts as unreadable: the rules on what may be put back rest on them.
    pub(super) fn refresh_facts(&mut self, facts: &mut Facts) {
        match self.read_local_state() {
            Ok((login, ledger)) => {
                facts.login = login;
                facts.remnant = self.remnant();
                facts.refreshing = self.credentials.is_refresh_in_progress(self.now);
                facts.ledger = ledger;
                facts.history = self.kept.iter().map(|login| login.summary.clone()).collect();
                self.record_setup_tokens(facts);
            }
            Err(error) => facts.login = LoginFileState::Unreadable(error.to_string()),
        }
    }

    /// Returns what is left of a login in a file that no client uses.
    fn remnant(&self) -> Option<Remnant> {
        let is_unusable = matches!(self.snapshot.login, LoginFileState::Invalid(_));
        is_unusable.then(|| Remnant::find(self.snapshot.bytes()))?
    }

    fn read_local_state(&mut self) -> Result<(LoginFileState<LoginSummary>, Ledger), StateError> {
        self.kept = self.history.logins()?;
        if self.is_inspection {
            self.snapshot = self.credentials.read(self.now);
            let mut ledger = self.state.ledger()?;
            self.record_current_login(&mut ledger);
            return Ok((self.with_known_owner(&ledger), ledger));
        }
        if !self.settings.mode.is_background() {
            if !self.snapshot_is_fixed {
                self.snapshot = self.credentials.read(self.now);
            }
            let ledger = self.record_first_sight(self.state.ledger()?);
            return Ok((self.with_known_owner(&ledger), ledger));
        }
        // A sync writes down what it saw; the repair lock keeps it from looking in the middle of a restore.
        let deadline = self.deadline;
        let _locked = self.state.lock(StateLock::Restore, &deadline)?;
        self.snapshot = self.credentials.read(self.now);
        let ledger = self.state.update_ledger(&deadline, |ledger| self.record_current_login(ledger))?;
        Ok((self.with_known_owner(&ledger), ledger))
    }

    /// What lies there, and whose it is as far as the ledger knows.
    fn with_known_owner(&mut self, ledger: &Ledger) -> LoginFileState<LoginSummary> {
        if let Some(login) = self.snapshot.login.login_mut() {
            login.summary.owner = ledger.resolve_owner(&login.summary);
        }
        self.snapshot.login.summary()
    }

    /// A login writes down a generation it sees for the first time: forgotten, its predecessor could be put back. Where it
    /// cannot be written down it is known for this run at least.
    fn record_first_sight(&self, mut ledger: Ledger) -> Ledger {
        let before = ledger.clone();
        self.record_current_login(&mut ledger);
        let known = |ledger: &Ledger| (ledger.last_seen_in_file, ledger.generations.clone());
        if let Some(login) = self.snapshot.login.login().filter(|_| known(&ledger) != known(&before)) {
            let observe = |ledger: &mut Ledger| ledger.record_login(&login.summary, self.now);
            drop(self.state.update_ledger(&self.deadline, observe));
        }
        ledger
    }

    pub(super) fn record_current_login(&self, ledger: &mut Ledger) {
        ledger.resolve_pending_restore(self.snapshot.identity);
        if let Some(login) = self.snapshot.login.login() {
            ledger.record_login(&login.summary, self.now);
        }
    }

    pub(super) fn env_file_fact(&self) -> EnvFileFact {
        match self.env_file.read() {
            EnvFileContent::Absent => EnvFileFact::Absent,
            EnvFileContent::Token(token) => EnvFileFact::Token(Fingerprint::from_bytes(token.expose())),
            EnvFileContent::Malformed(why) => EnvFileFact::Malformed(why),
            EnvFileContent::Unreadable(why) => EnvFileFact::Unreadable(why),
        }
    }

    /// Asks the store, and notes whether it answered.
    pub(super) fn read_store(&mut self, facts: &mut Facts) {
        let deadline = self.store_deadline();
        let answer = match &mut self.store {
            Ok(store) => store.read(&deadline),
            Err(failure) => Err(failure.clone()),
        };
        self.document = None;
        facts.document = match answer {
            Ok(document) => self.read_document(&document),
            Err(failure) => DocumentFact::Unreadable(failure),
        };
        if self.settings.store == StoreKind::Vault && !self.is_inspection {
            facts.contact = self.updated_contact(&facts.document, facts.contact);
            // If it cannot be saved, the next login asks once more.
            drop(self.state.save_contact(facts.contact));
        }
        self.record_setup_tokens(facts);
    }

    fn read_document(&mut self, document: &Document) -> DocumentFact {
        let document = UserDocument::parse(document);
        self.note_where_it_is_kept(&document);
        let summary = DocumentSummary {
            backup: document.login().map(|login| login.summary.clone()),
            from_another_machine: self.machine.is_other_machine(document.machine.as_deref()),
            setup_token: TokenFact::from_field(&document.setup_token, self.settings.store, document.version),
        };
        self.document = Some(document);
        DocumentFact::Read(summary)
    }

    fn updated_contact(&self, document: &DocumentFact, before: StoreContact) -> StoreContact {
        match document {
            DocumentFact::Read(_) => StoreContact { last_success: Some(self.now), last_failure: None },
            DocumentFact::Unreadable(StoreError::Conflict) | DocumentFact::NotRead => before,
            DocumentFact::Unreadable(_) => StoreContact { last_failure: Some(self.now), ..before },
        }
    }

    /// Somebody who waits for a prompt still needs time for what follows the answer.
    fn store_deadline(&self) -> Deadline {
        match self.settings.mode {
            Mode::Login | Mode::Watch => {
                self.deadline.capped(self.deadline.remaining().saturating_sub(super::execute::WRITE_RESERVE))
            }
            Mode::Sync | Mode::Command(_) => self.deadline.capped(STORE_READ_TIMEOUT),
        }
    }
}
