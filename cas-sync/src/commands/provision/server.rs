//! What one run says to the server: with whose token, how long an answer may take, and when it is not asked any more.

use std::thread;
use std::time::Duration;

use cas_core::config::Config;
use cas_core::store::StoreError;
use cas_protocol::deadline::Deadline;
use cas_vault::{Access, AdminClient, DocumentLayout, Minted, Token, TokenInfo, forbidden_calls};

use super::plan::PolicyCheck;

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How often, and how long, a server is waited for that says when to ask again.
const MOST_WAITS: u32 = 20;
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The server, and the admin's token if there is one.
pub(super) struct VaultServer {
    store: AdminClient,
    admin: Option<Token>,
    now_ms: u64,
    /// Why the server is not asked any more.
    outage: Option<StoreError>,
    has_role: bool,
}

impl VaultServer {
    pub(super) fn with(store: AdminClient, admin: Option<Token>, now_ms: u64) -> Self {
        Self { store, admin, now_ms, outage: None, has_role: false }
    }

    pub(super) fn layout(&self) -> &DocumentLayout {
        self.store.layout()
    }

    /// Where people's documents lie, in one line.
    pub(super) fn place(&self, config: &Config) -> String {
        let DocumentLayout { mount, folder } = self.store.layout();
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{} {} {mount} {folder}", of(&config.vault.address), of(&config.vault.namespace))
    }

    pub(super) fn requests(&self) -> u64 {
        self.store.requests()
    }

    /// Why the server is not asked any more, if it is not.
    pub(super) fn outage(&self) -> Option<&StoreError> {
        self.outage.as_ref()
    }

    /// Why there is no admin's token that the server knows, if there is none.
    pub(super) fn admin_unavailable_reason(&mut self) -> Option<String> {
        let Some(admin) = self.admin.take() else {
            return Some("run `cas-sync provision` with an admin's token in VAULT_TOKEN".into());
        };
        match self.standing(&admin, "the admin") {
            Ok(None) => Some(
                "the admin's token is expired, revoked, or may not look itself up: log in to the store again"
                    .into(),
            ),
            Ok(Some(_)) | Err(_) => {
                self.admin = Some(admin);
                None
            }
        }
    }

    /// What this token is, judged as the one of `user`; none when the server knows of none.
    pub(super) fn standing(&mut self, token: &Token, user: &str) -> Result<Option<TokenInfo>, StoreError> {
        let now_ms = self.now_ms;
        self.ask(|store, deadline| store.lookup_token(token, user, now_ms, deadline))
    }

    pub(super) fn renew(&mut self, token: &Token, user: &str) -> Result<(), StoreError> {
        self.ask(|store, deadline| store.renew(token, user, deadline))
    }

    /// A new token, and before it the role (once in a run) and this user's policy, where they are missing. An admin who may not
    /// look at them is believed to have seen to them.
    pub(super) fn mint(&mut self, user: &str, host: &str) -> Result<Minted, StoreError> {
        if !self.has_role {
            if let Ok(false) = self.as_admin(AdminClient::has_role) {
                self.as_admin(AdminClient::write_role)?;
            }
            self.has_role = true;
        }
        match self.as_admin(|store, admin, deadline| store.policy(admin, user, deadline)) {
            Ok(None) => self.write_policy(user)?,
            Ok(Some(policy)) => self.store.layout().check_policy_owner(user, &policy)?,
            Err(_) => {}
        }
        self.as_admin(|store, admin, deadline| store.mint(admin, user, host, deadline))
    }

    /// The least policy in the place of whatever it is; but not where it is another person's.
    pub(super) fn rewrite_policy(&mut self, user: &str) -> Result<(), StoreError> {
        if let Some(policy) = self.as_admin(|store, admin, deadline| store.policy(admin, user, deadline))? {
            self.store.layout().check_policy_owner(user, &policy)?;
        }
        self.write_policy(user)
    }

    pub(super) fn revoke(&mut self, accessor: &str) -> Result<(), StoreError> {
        self.as_admin(|store, admin, deadline| store.revoke(admin, accessor, deadline))
    }

    /// Finds out what a token may do, by trying.
    pub(super) fn check_policy(&mut self, token: &Token, user: &str) -> Result<PolicyCheck, StoreError> {
        if self.ask(|store, deadline| store.has_required_access(token, user, deadline))? == Access::Denied {
            return Ok(PolicyCheck::TooNarrow);
        }
        let mut wide = Vec::new();
        for attempt in forbidden_calls(&self.store.layout().clone(), user) {
            if self.ask(|store, deadline| store.probe(token, &attempt, deadline))? == Access::Allowed {
                wide.push(attempt.would.to_owned());
            }
        }
        Ok(if wide.is_empty() { PolicyCheck::Ok } else { PolicyCheck::TooBroad(wide) })
    }

    fn write_policy(&mut self, user: &str) -> Result<(), StoreError> {
        self.as_admin(|store, admin, deadline| store.write_policy(admin, user, deadline))
    }

    fn as_admin<T>(
        &mut self,
        request: impl Fn(&mut AdminClient, &Token, &Deadline) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(admin) = self.admin.take() else {
            return Err(StoreError::Unreachable { reason: "there is no admin's token".into() });
        };
        let answer = self.ask(|store, deadline| request(store, &admin, deadline));
        self.admin = Some(admin);
        answer
    }

    /// Asks again when the server wants to be asked a little later. Once it is sealed or gone, nobody asks it in this run; but
    /// a server that is well may fail over what is in one person's file, which is nobody else's affair.
    fn ask<T>(
        &mut self,
        request: impl Fn(&mut AdminClient, &Deadline) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(failure) = &self.outage {
            return Err(failure.clone());
        }
        let mut answer = request(&mut self.store, &Deadline::after(ANSWER));
        for _ in 0..MOST_WAITS {
            let Err(StoreError::Busy { retry_after: Some(wait), .. }) = &answer else { break };
            if *wait > LONGEST_WAIT {
                break;
            }
            thread::sleep((*wait).max(SHORTEST_WAIT));
            answer = request(&mut self.store, &Deadline::after(ANSWER));
        }
        if let Err(failure @ (StoreError::Busy { .. } | StoreError::Unreachable { .. })) = &answer
            && !self.store.is_healthy(&Deadline::after(ANSWER))
        {
            self.outage = Some(failure.clone());
        }
        answer
    }
}
