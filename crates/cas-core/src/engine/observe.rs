//! Looking: what lies in the files, and what the store says.

use std::time::Duration;

use super::Run;
use crate::claude_files::json_settings::{self, ClaudeJson};
use crate::config::StoreKind;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LocalLogin;
use crate::ledger::Ledger;
use crate::planner::{Contact, DocumentFact, DocumentSummary, Done, EnvFileFact, Facts, Mode, TokenFact};
use crate::state::directory::{Lock, StateError};
use crate::state::env_file::Content;
use crate::store::user_document::{SetupTokenField, UserDocument};
use crate::store::{Document, Failure};
use cas_protocol::deadline::Deadline;

/// How long a sync waits for the store: what can be mended without it should not wait for a server that hangs.
const SYNC_READ_TIME: Duration = Duration::from_secs(10);

/// How long a sync waits while some session refreshes the login.
const REFRESH_TIME: Duration = Duration::from_secs(10);

/// How often it looks whether that is over.
const PAUSE: Duration = Duration::from_millis(50);

/// For so long a request, or the answer to it, speaks for a login file that was not written since.
const LATELY: Duration = Duration::from_secs(60);

impl Run {
    /// Looks at everything on this machine.
    pub(super) fn gather(&mut self) -> Facts {
        let mut facts = Facts {
            now: self.now,
            login: LocalLogin::Absent,
            refreshing: false,
            ledger: Ledger::default(),
            history: Vec::new(),
            document: DocumentFact::NotRead,
            env_file: self.env_file_fact(),
            contact: self.state.contact(),
            place: self.credentials.place(),
            asked_lately: false,
            settings: self.settings.clone(),
            done: Done::default(),
        };
        if self.settings.mode.has_time() && !self.is_survey {
            self.wait_for_refresh();
        }
        self.note_what_the_history_keeps();
        self.look_again(&mut facts);
        facts.asked_lately = self.was_asked_lately();
        facts
    }

    /// When each setup-token was first seen, in the store or in the env file, and what stands beside it. Written down once.
    fn note_setup_tokens(&self, facts: &mut Facts) {
        if self.is_survey {
            return;
        }
        let stored = self.document.as_ref().and_then(|document| match &document.setup_token {
            SetupTokenField::Token(token) => {
                Some((Fingerprint::of(token.expose()), document.setup_token_dates))
            }
            _ => None,
        });
        let in_env_file = facts.active_token();
        let observe = |ledger: &mut Ledger| {
            if let Some(token) = in_env_file {
                ledger.setup_tokens.observe(token, self.now);
            }
            if let Some((token, dates)) = stored {
                ledger.setup_tokens.observe_stored(token, dates, self.now);
            }
        };
        let before = facts.ledger.setup_tokens.clone();
        observe(&mut facts.ledger);
        if facts.ledger.setup_tokens != before {
            // If it cannot be written down, it is known for this run at least.
            drop(self.state.change_ledger(&self.deadline, observe));
        }
    }

    fn was_asked_lately(&self) -> bool {
        let written_at = self.snapshot.identity.map(|identity| identity.modified_at());
        self.asked_at.is_some_and(|asked_at| {
            asked_at.is_within(LATELY, self.now) && written_at.is_none_or(|written_at| written_at < asked_at)
        })
    }

    /// A refresh by some session takes a second; what it leaves is what there is to be looked at.
    pub(super) fn wait_for_refresh(&self) {
        let patience = self.deadline.but_at_most(REFRESH_TIME);
        while self.credentials.is_being_refreshed(self.now) && !patience.has_passed() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Looks at the credential file, the ledger and the history again. Without a ledger or a history that can be trusted,
    /// the file counts as unreadable: the rules on what may be put back rest on them.
    pub(super) fn look_again(&mut self, facts: &mut Facts) {
        match self.look() {
            Ok((login, ledger)) => {
                facts.login = login;
                facts.place = self.credentials.place();
                facts.refreshing = self.credentials.is_being_refreshed(self.now);
                facts.ledger = ledger;
                facts.history = self.kept.iter().map(|login| login.summary.clone()).collect();
                self.note_setup_tokens(facts);
            }
            Err(error) => facts.login = LocalLogin::Unreadable(error.to_string()),
        }
    }

    fn look(&mut self) -> Result<(LocalLogin<LoginSummary>, Ledger), StateError> {
        self.kept = self.history.logins()?;
        if self.is_survey {
            self.snapshot = self.credentials.read(self.now);
            let mut ledger = self.state.ledger()?;
            self.learn_owner(&ledger);
            self.note_what_lies_there(&mut ledger);
            return Ok((self.named_by(&ledger), ledger));
        }
        if !self.settings.mode.has_time() {
            if !self.is_given {
                self.snapshot = self.credentials.read(self.now);
            }
            let ledger = self.state.ledger()?;
            self.learn_owner(&ledger);
            let ledger = self.remember_new_login(ledger);
            return Ok((self.named_by(&ledger), ledger));
        }
        // A sync writes down what it saw; the repair lock keeps it from looking in the middle of a restore.
        let deadline = self.deadline;
        let _locked = self.state.lock(Lock::Repair, &deadline)?;
        self.snapshot = self.credentials.read(self.now);
        let ledger = self.state.ledger()?;
        self.learn_owner(&ledger);
        let ledger = self.state.change_ledger(&deadline, |ledger| self.note_what_lies_there(ledger))?;
        Ok((self.named_by(&ledger), ledger))
    }

    /// Takes the account of a login that does not name it from the client's own state, while the login is first seen.
    fn learn_owner(&mut self, ledger: &Ledger) {
        let Some(login) = self.snapshot.login.login_mut() else { return };
        let is_named = login.summary.owner.account.is_some() && login.summary.owner.organization.is_some();
        if is_named || !ledger.may_learn_owner(login.summary.generation, self.now) {
            return;
        }
        let state = ClaudeJson::read(&json_settings::state_file(&self.account.home, None)).ok().flatten();
        if let Some(signed_in) = state.and_then(|state| state.signed_in()) {
            login.summary.owner = std::mem::take(&mut login.summary.owner).or(&signed_in.owner);
        }
    }

    /// What lies there, and whose it is as far as the ledger knows.
    fn named_by(&mut self, ledger: &Ledger) -> LocalLogin<LoginSummary> {
        if let Some(login) = self.snapshot.login.login_mut() {
            login.summary.owner = ledger.owner_of(&login.summary);
        }
        self.snapshot.login.summary()
    }

    /// A login writes down a generation it sees for the first time: forgotten, its predecessor could be put back. Where it
    /// cannot be written down it is known for this run at least.
    fn remember_new_login(&self, mut ledger: Ledger) -> Ledger {
        let before = ledger.clone();
        self.note_what_lies_there(&mut ledger);
        let known =
            |ledger: &Ledger| (ledger.lay_there_last, ledger.last_seen_at, ledger.generations.clone());
        if let Some(login) = self.snapshot.login.login().filter(|_| known(&ledger) != known(&before)) {
            let place = self.credentials.place();
            let observe = |ledger: &mut Ledger| {
                ledger.observe_file(&login.summary, self.now);
                ledger.observe_place(place);
            };
            drop(self.state.change_ledger(&self.deadline, observe));
        }
        ledger
    }

    pub(super) fn note_what_lies_there(&self, ledger: &mut Ledger) {
        ledger.settle_intent(self.snapshot.identity);
        if let Some(login) = self.snapshot.login.login() {
            ledger.observe_file(&login.summary, self.now);
            ledger.observe_place(self.credentials.place());
        }
    }

    pub(super) fn env_file_fact(&self) -> EnvFileFact {
        match self.env_file.read() {
            Content::Absent => EnvFileFact::Absent,
            Content::Token(token) => EnvFileFact::Token(Fingerprint::of(token.expose())),
            Content::Malformed(why) => EnvFileFact::Malformed(why),
            Content::Unreadable(why) => EnvFileFact::Unreadable(why),
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
        if self.settings.store == StoreKind::Vault && !self.is_survey {
            facts.contact = self.contact_after(&facts.document, facts.contact);
            // If it cannot be saved, the next login asks once more.
            drop(self.state.save_contact(facts.contact));
        }
        self.note_setup_tokens(facts);
    }

    fn read_document(&mut self, document: &Document) -> DocumentFact {
        let document = UserDocument::parse(document);
        if document.is_offboarded {
            // Its secrets are not even kept in memory.
            return DocumentFact::Read(DocumentSummary::offboarded());
        }
        self.note_where_it_is_kept(&document);
        let summary = DocumentSummary {
            backup: document.login().map(|login| login.summary.clone()),
            from_another_machine: self.machine.differs_from(document.machine.as_deref()),
            setup_token: TokenFact::of(&document.setup_token, self.settings.store, document.version),
            is_offboarded: false,
        };
        self.document = Some(document);
        DocumentFact::Read(summary)
    }

    fn contact_after(&self, document: &DocumentFact, before: Contact) -> Contact {
        match document {
            DocumentFact::Read(_) => Contact { answered_at: Some(self.now), failed_at: None },
            DocumentFact::Unreadable(Failure::Conflict) | DocumentFact::NotRead => before,
            DocumentFact::Unreadable(_) => Contact { failed_at: Some(self.now), ..before },
        }
    }

    /// Somebody who waits for a prompt still needs time for what follows the answer.
    fn store_deadline(&self) -> Deadline {
        match self.settings.mode {
            Mode::Login | Mode::Watch => self
                .deadline
                .but_at_most(self.deadline.remaining().saturating_sub(super::execute::WRITING_TIME)),
            Mode::Sync | Mode::Hand(_) => self.deadline.but_at_most(SYNC_READ_TIME),
        }
    }
}
