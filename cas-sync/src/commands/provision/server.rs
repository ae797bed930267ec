//! Requests of one run to Vault: which token they use, how long they wait, and when they stop.

use std::thread;
use std::time::Duration;

use cas_core::config::Config;
use cas_core::store::{Document, StoreError, user_document};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_vault::{Access, AdminClient, DocumentLayout, Minted, Token, TokenInfo, forbidden_calls};

use super::plan::PolicyCheck;

/// The time limit for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The limits for waiting before a request is repeated, if Vault answers with a retry time.
const MAX_WAITS: u32 = 20;
const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The Vault client and the administrator's token, if there is one.
pub(super) struct VaultServer {
    store: AdminClient,
    admin: Option<Token>,
    now_ms: u64,
    /// The error after which no more requests are sent.
    outage: Option<StoreError>,
    has_role: bool,
}

impl VaultServer {
    pub(super) fn new(store: AdminClient, admin: Option<Token>, now_ms: u64) -> Self {
        Self { store, admin, now_ms, outage: None, has_role: false }
    }

    pub(super) fn layout(&self) -> &DocumentLayout {
        self.store.layout()
    }

    /// Returns the document location as one line.
    pub(super) fn document_location(&self, config: &Config) -> String {
        let DocumentLayout { mount, folder } = self.store.layout();
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{} {} {mount} {folder}", or_empty(&config.vault.address), or_empty(&config.vault.namespace))
    }

    pub(super) fn requests(&self) -> u64 {
        self.store.requests()
    }

    /// Returns the error after which no more requests are sent.
    pub(super) fn outage(&self) -> Option<&StoreError> {
        self.outage.as_ref()
    }

    /// Returns why no valid administrator's token is available, or None if there is one.
    pub(super) fn admin_unavailable_reason(&mut self) -> Option<String> {
        let Some(admin) = self.admin.take() else {
            return Some("run `cas-sync provision` with an administrator token in VAULT_TOKEN".into());
        };
        match self.lookup_token(&admin, "the administrator") {
            Ok(None) => Some(
                "the administrator token is expired, revoked, or cannot look itself up; log in to Vault again"
                    .into(),
            ),
            Ok(Some(_)) | Err(_) => {
                self.admin = Some(admin);
                None
            }
        }
    }

    /// Returns what Vault knows about this token of `user`, or None if Vault does not know the
    /// token.
    pub(super) fn lookup_token(
        &mut self,
        token: &Token,
        user: &str,
    ) -> Result<Option<TokenInfo>, StoreError> {
        let now_ms = self.now_ms;
        self.call(|store, deadline| store.lookup_token(token, user, now_ms, deadline))
    }

    pub(super) fn renew(&mut self, token: &Token, user: &str) -> Result<(), StoreError> {
        self.call(|store, deadline| store.renew(token, user, deadline))
    }

    /// Mints a token. Before that, creates the role (checked once in a run) and the user's policy
    /// if they are missing. If the administrator's token cannot read them, they are assumed to
    /// exist.
    pub(super) fn mint(&mut self, user: &str, host: &str) -> Result<Minted, StoreError> {
        if !self.has_role {
            if let Ok(false) = self.call_as_admin(AdminClient::has_role) {
                self.call_as_admin(AdminClient::write_role)?;
            }
            self.has_role = true;
        }
        match self.call_as_admin(|store, admin, deadline| store.policy(admin, user, deadline)) {
            Ok(None) => self.write_policy(user)?,
            Ok(Some(policy)) => self.store.layout().check_policy_owner(user, &policy)?,
            Err(_) => {}
        }
        self.call_as_admin(|store, admin, deadline| store.mint(admin, user, host, deadline))
    }

    /// Replaces the user's policy by the minimal one. Fails if the policy belongs to another user.
    pub(super) fn rewrite_policy(&mut self, user: &str) -> Result<(), StoreError> {
        if let Some(policy) =
            self.call_as_admin(|store, admin, deadline| store.policy(admin, user, deadline))?
        {
            self.store.layout().check_policy_owner(user, &policy)?;
        }
        self.write_policy(user)
    }

    /// Returns true if the user's document is marked as offboarded. Returns false if the token
    /// cannot read the document; the policy check reports that.
    pub(super) fn is_offboarded(&mut self, token: &Token, user: &str) -> Result<bool, StoreError> {
        match self.call(|store, deadline| store.read_document(token, user, deadline)) {
            Ok(document) => Ok(user_document::is_offboarded(&document)),
            Err(StoreError::Refused { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Marks the user's document as offboarded at this time, or clears the mark. Returns the
    /// document before the change, with version 0 if there was none.
    ///
    /// An administrator's token is not required to permit reading documents, so this mints a token
    /// of the user and revokes it immediately.
    pub(super) fn mark_document(
        &mut self,
        user: &str,
        host: &str,
        offboarded_at: Option<Timestamp>,
    ) -> Result<Document, StoreError> {
        let fields = user_document::offboarding_fields(offboarded_at).map_err(|error| {
            StoreError::Refused { reason: error.to_string(), remedy: "report it as a defect".into() }
        })?;
        let minted = self.mint(user, host)?;
        let changed = self.call(|store, deadline| match offboarded_at {
            Some(_) => store.change_document(&minted.token, user, &fields, deadline),
            // Do not create a field only to clear it.
            None => match store.read_document(&minted.token, user, deadline)? {
                document if !user_document::is_offboarded(&document) => Ok(document),
                _ => store.change_document(&minted.token, user, &fields, deadline),
            },
        });
        let revoked = self.revoke(&minted.accessor);
        changed.and_then(|document| revoked.map(|()| document))
    }

    pub(super) fn delete_document(&mut self, user: &str) -> Result<(), StoreError> {
        self.call_as_admin(|store, admin, deadline| store.delete_document(admin, user, deadline))
    }

    pub(super) fn revoke(&mut self, accessor: &str) -> Result<(), StoreError> {
        self.call_as_admin(|store, admin, deadline| store.revoke(admin, accessor, deadline))
    }

    /// Determines the permissions of a token by sending requests.
    pub(super) fn check_policy(&mut self, token: &Token, user: &str) -> Result<PolicyCheck, StoreError> {
        if self.call(|store, deadline| store.has_required_access(token, user, deadline))? == Access::Denied {
            return Ok(PolicyCheck::TooNarrow);
        }
        if self.is_offboarded(token, user)? {
            return Ok(PolicyCheck::Offboarded);
        }
        let mut permitted = Vec::new();
        for attempt in forbidden_calls(&self.store.layout().clone(), user) {
            if self.call(|store, deadline| store.probe(token, &attempt, deadline))? == Access::Allowed {
                permitted.push(attempt.would.to_owned());
            }
        }
        Ok(if permitted.is_empty() { PolicyCheck::Ok } else { PolicyCheck::TooBroad(permitted) })
    }

    fn write_policy(&mut self, user: &str) -> Result<(), StoreError> {
        self.call_as_admin(|store, admin, deadline| store.write_policy(admin, user, deadline))
    }

    fn call_as_admin<T>(
        &mut self,
        request: impl Fn(&mut AdminClient, &Token, &Deadline) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(admin) = self.admin.take() else {
            return Err(StoreError::Unreachable { reason: "there is no administrator token".into() });
        };
        let answer = self.call(|store, deadline| request(store, &admin, deadline));
        self.admin = Some(admin);
        answer
    }

    /// Sends a request, and repeats it if Vault answers with a short retry time. If Vault is sealed
    /// or unreachable, no more requests are sent in this run. A healthy Vault can fail for one
    /// user's document only, which does not stop the requests for other users.
    fn call<T>(
        &mut self,
        request: impl Fn(&mut AdminClient, &Deadline) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(failure) = &self.outage {
            return Err(failure.clone());
        }
        let mut answer = request(&mut self.store, &Deadline::after(ANSWER_TIMEOUT));
        for _ in 0..MAX_WAITS {
            let Err(StoreError::Busy { retry_after: Some(wait), .. }) = &answer else { break };
            if *wait > MAX_WAIT {
                break;
            }
            thread::sleep((*wait).max(MIN_WAIT));
            answer = request(&mut self.store, &Deadline::after(ANSWER_TIMEOUT));
        }
        if let Err(failure @ (StoreError::Busy { .. } | StoreError::Unreachable { .. })) = &answer
            && !self.store.is_healthy(&Deadline::after(ANSWER_TIMEOUT))
        {
            self.outage = Some(failure.clone());
        }
        answer
    }
}
