//! Gathers the facts from the files and the store.

use std::time::Duration;

use super::Engine;
use crate::claude_files::json_settings::{self, ClaudeJson, ReadJsonError, SignedInAccount};
use crate::claude_files::state_problem::StateFileProblem;
use crate::config::StoreKind;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::remnant::Remnant;
use crate::credential::sign_out::SignOut;
use crate::ledger::Ledger;
use crate::planner::{
    DocumentFact, DocumentSummary, EnvFileFact, Facts, Mode, Progress, StoreContact, TokenFact,
};
use crate::state::directory::{StateError, StateLock};
use crate::state::env_file::EnvFileContent;
use crate::store::user_document::{SetupTokenField, UserDocument};
use crate::store::{Document, StoreError};
use cas_protocol::deadline::Deadline;

/// How long a sync waits for the store, so that a server that hangs does not delay a repair that
/// does not need it.
const STORE_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a sync waits while a session refreshes the login.
const REFRESH_WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after the credential file the client may write its state file. A sign-in and a logout
/// change both files within a second.
const STATE_FILE_GRACE: Duration = Duration::from_secs(2);

/// The interval at which the refresh is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a request or its response is valid for a login file that was not written since.
const REQUEST_VALIDITY: Duration = Duration::from_secs(60);

impl Engine {
    /// Gathers the facts on this machine.
    pub(super) fn observe(&mut self) -> Facts {
        let mut facts = Facts {
            now: self.now,
            login: LoginFileState::Missing,
            sign_out: None,
            client_state: None,
            remnant: None,
            refreshing: false,
            ledger: Ledger::default(),
            history: Vec::new(),
            document: DocumentFact::NotRead,
            env_file: self.env_file_fact(),
            local_token: None,
            contact: self.state.store_contact(),
            place: self.credentials.place(),
            asked_lately: false,
            settings: self.settings.clone(),
            done: Progress::default(),
        };
        if self.settings.mode.is_background() && !self.is_inspection {
            self.wait_for_refresh();
            self.wait_for_logout();
            self.wait_for_account_name();
        }
        self.record_local_history();
        self.refresh_facts(&mut facts);
        facts.asked_lately = self.has_recent_request();
        facts
    }

    /// Records the first sight and the dates of the setup tokens in the store and in the env file.
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
        let in_login_file = facts.login.unrefreshed_token().map(|token| token.fingerprint);
        let record = |ledger: &mut Ledger| {
            for token in in_env_file.into_iter().chain(in_login_file) {
                ledger.setup_tokens.record(token, self.now);
            }
            if let Some((token, dates)) = stored {
                ledger.setup_tokens.record_from_store(token, dates, self.settings.store_id, self.now);
            }
        };
        let before = facts.ledger.setup_tokens.clone();
        record(&mut facts.ledger);
        if facts.ledger.setup_tokens != before {
            // If this cannot be saved, this run still knows it.
            drop(self.state.update_ledger(&self.deadline, record));
        }
    }

    fn has_recent_request(&self) -> bool {
        let written_at = self.snapshot.identity.map(|identity| identity.modified_at());
        self.asked_at.is_some_and(|asked_at| {
            asked_at.is_within(REQUEST_VALIDITY, self.now)
                && written_at.is_none_or(|written_at| written_at < asked_at)
        })
    }

    /// Waits while a session refreshes the login, which takes about a second.
    pub(super) fn wait_for_refresh(&self) {
        let deadline = self.deadline.capped(REFRESH_WAIT_TIMEOUT);
        while self.credentials.is_refresh_in_progress(self.now) && !deadline.is_expired() {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits a moment if the credential file was deleted just now, because a logout changes the
    /// state file afterwards.
    fn wait_for_logout(&self) {
        let changed_at = self.credentials.directory_changed_at();
        let age = changed_at.and_then(|changed_at| self.now.checked_duration_since(changed_at));
        let Some(left) = age.and_then(|age| STATE_FILE_GRACE.checked_sub(age)) else { return };
        let had_login = self.state.ledger().is_ok_and(|ledger| ledger.last_seen_in_file.is_some());
        if had_login && matches!(self.credentials.read(self.now).login, LoginFileState::Missing) {
            std::thread::sleep(self.deadline.remaining().min(left));
        }
    }

    /// Waits a moment for the account of a login that was just written. A client that does not name
    /// the account in the login writes its state file afterwards, and the store must not get the
    /// new login under the account of the previous one.
    fn wait_for_account_name(&self) {
        let snapshot = self.credentials.read(self.now);
        let Some(login) = snapshot.login.login().filter(|login| login.summary.owner.account.is_none()) else {
            return;
        };
        let age = snapshot.identity.and_then(|file| self.now.checked_duration_since(file.modified_at()));
        let Some(left) = age.and_then(|age| STATE_FILE_GRACE.checked_sub(age)) else { return };
        let is_new = self.state.ledger().is_ok_and(|ledger| {
            let first_seen = ledger.first_seen(login.summary.generation);
            first_seen.is_none_or(|at| at.is_within(STATE_FILE_GRACE, self.now))
        });
        if is_new && self.signed_in_account().is_some() {
            std::thread::sleep(self.deadline.remaining().min(left));
        }
    }

    /// Returns the account that the client's state file names.
    fn signed_in_account(&self) -> Option<SignedInAccount> {
        self.claude_state().and_then(|state| state.signed_in_account())
    }

    /// Returns the client's state file, if it can be used.
    fn claude_state(&self) -> Option<ClaudeJson> {
        self.read_claude_state().ok().flatten()
    }

    fn read_claude_state(&self) -> Result<Option<ClaudeJson>, ReadJsonError> {
        ClaudeJson::read(&json_settings::state_file(&self.account.home, None))
    }

    fn sign_out(&self, login: &LoginFileState<LoginSummary>, ledger: &Ledger) -> Option<SignOut> {
        let is_possible = login.needs_restore() && !self.snapshot_is_fixed;
        is_possible.then(|| super::sign_out(login, &self.claude_state().unwrap_or_default(), ledger))?
    }

    /// Returns why the client cannot use its state file. A login does not read the file, which may
    /// be large.
    fn client_state(&self) -> Option<StateFileProblem> {
        if !self.settings.mode.is_background() {
            return None;
        }
        let home = &self.account.home;
        StateFileProblem::find(&json_settings::state_file(home, None), &home.join(".claude"))
    }

    /// Reads the credential file, the ledger and the history again. Without a valid ledger and
    /// history the file counts as unreadable, because the rules for restores depend on them.
    pub(super) fn refresh_facts(&mut self, facts: &mut Facts) {
        match self.read_local_state() {
            Ok((login, ledger)) => {
                if matches!(login, LoginFileState::Unreadable(_)) {
                    facts.done.obstacle = self.credentials.read_obstacle();
                }
                facts.sign_out = self.sign_out(&login, &ledger);
                facts.client_state = self.client_state();
                facts.login = login;
                facts.remnant = self.remnant();
                facts.place = self.credentials.place();
                facts.refreshing = self.credentials.is_refresh_in_progress(self.now);
                facts.ledger = ledger;
                facts.history = self.kept.iter().map(|login| login.summary.clone()).collect();
                facts.local_token = self.local_token();
                self.record_setup_tokens(facts);
            }
            Err(error) => {
                facts.done.obstacle = error.obstacle();
                facts.login = LoginFileState::Unreadable(error.to_string());
            }
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
            self.learn_owner(&ledger);
            self.record_current_login(&mut ledger);
            return Ok((self.with_known_owner(&ledger), ledger));
        }
        if !self.settings.mode.is_background() {
            if !self.snapshot_is_fixed {
                self.snapshot = self.credentials.read(self.now);
            }
            let ledger = self.state.ledger()?;
            self.learn_owner(&ledger);
            let ledger = self.record_first_sight(ledger);
            return Ok((self.with_known_owner(&ledger), ledger));
        }
        // A sync saves what it saw. The lock keeps it from reading in the middle of a restore.
        let deadline = self.deadline;
        let _locked = self.state.lock(StateLock::Restore, &deadline)?;
        self.snapshot = self.credentials.read(self.now);
        let ledger = self.state.ledger()?;
        self.learn_owner(&ledger);
        let ledger = self.state.update_ledger(&deadline, |ledger| self.record_current_login(ledger))?;
        Ok((self.with_known_owner(&ledger), ledger))
    }

    /// Takes the account of a login that does not name it from the client's state file, while the
    /// login is first seen.
    fn learn_owner(&mut self, ledger: &Ledger) {
        let place = self.credentials.place();
        let Some(login) = self.snapshot.login.login() else { return };
        let is_named = login.summary.owner.account.is_some() && login.summary.owner.organization.is_some();
        if is_named || !ledger.may_learn_owner(login.summary.generation, place, self.now) {
            return;
        }
        if let Some(signed_in_account) = self.signed_in_account()
            && let Some(login) = self.snapshot.login.login_mut()
        {
            login.summary.owner =
                std::mem::take(&mut login.summary.owner).merged_with(&signed_in_account.owner);
        }
    }

    /// Returns the state of the login file, with the owner from the ledger.
    fn with_known_owner(&mut self, ledger: &Ledger) -> LoginFileState<LoginSummary> {
        if let Some(login) = self.snapshot.login.login_mut() {
            login.summary.owner = ledger.resolve_owner(&login.summary);
        }
        self.snapshot.login.summary()
    }

    /// At a login, saves a generation that is seen for the first time, because otherwise its
    /// predecessor could be restored. If this cannot be saved, this run still knows it.
    fn record_first_sight(&self, mut ledger: Ledger) -> Ledger {
        let before = ledger.clone();
        self.record_current_login(&mut ledger);
        let known =
            |ledger: &Ledger| (ledger.last_seen_in_file, ledger.last_seen_at, ledger.generations.clone());
        if let Some(login) = self.snapshot.login.login().filter(|_| known(&ledger) != known(&before)) {
            let place = self.credentials.place();
            let record = |ledger: &mut Ledger| ledger.record_login(&login.summary, place, self.now);
            drop(self.state.update_ledger(&self.deadline, record));
        }
        ledger
    }

    pub(super) fn record_current_login(&self, ledger: &mut Ledger) {
        ledger.resolve_pending_restore(self.snapshot.identity);
        self.record_state_file(ledger);
        if let Some(login) = self.snapshot.login.login() {
            ledger.record_login(&login.summary, self.credentials.place(), self.now);
        }
    }

    /// Records the client's state file of a login. A login does not, because the file may be large,
    /// and the sync that follows a sign-in does. A file that cannot be read changes nothing.
    fn record_state_file(&self, ledger: &mut Ledger) {
        let is_due = self.settings.mode.is_background() && !self.snapshot_is_fixed;
        if is_due
            && self.snapshot.login.login().is_some()
            && let Ok(state) = self.read_claude_state()
        {
            let state = state.unwrap_or_default();
            ledger.signed_in_installation = state.signed_in_installation();
            ledger.signed_in_api_key = state.api_key().into();
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

    /// Reads the store's document, and records whether the store answered.
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
            // If this cannot be saved, the next login asks once more.
            drop(self.state.save_contact(facts.contact));
        }
        self.record_setup_tokens(facts);
    }

    fn read_document(&mut self, document: &Document) -> DocumentFact {
        let document = UserDocument::parse(document);
        if document.is_offboarded {
            // The secrets of such a document are not kept in memory.
            return DocumentFact::Read(DocumentSummary::offboarded());
        }
        self.record_store_backup(&document);
        let summary = DocumentSummary {
            backup: document.login().map(|login| login.summary.clone()),
            from_another_machine: self.machine.is_other_machine(document.machine.as_deref()),
            setup_token: TokenFact::from_field(&document.setup_token, self.settings.store, document.version),
            is_offboarded: false,
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

    /// Returns the deadline for the store. A login reserves time for what follows.
    fn store_deadline(&self) -> Deadline {
        match self.settings.mode {
            Mode::Login | Mode::Watch => {
                self.deadline.capped(self.deadline.remaining().saturating_sub(super::execute::WRITE_RESERVE))
            }
            Mode::Sync | Mode::Command(_) => self.deadline.capped(STORE_READ_TIMEOUT),
        }
    }
}
