//! The part of the conversation that is about the token: whose it is, why something was denied to it, and how it is kept
//! alive.

use nix::unistd::Uid;
use reqwest::Method;
use serde_json::value::RawValue;

use super::documents::{DocumentClient, JSON, unexpected_response};
use super::http::Client;
use super::renewal;
use super::response::{Response, Success};
use super::token_cache::{self, TokenCache, WriteMethod};
use super::token_file;
use super::token_info::Lookup;
use cas_core::store::Renewal;
use cas_core::store::StoreError;
use cas_protocol::deadline::Deadline;

impl DocumentClient {
    /// Renews the token if it is time.
    pub(super) fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, StoreError> {
        self.ensure_token_checked(deadline)?;
        if !renewal::is_due(&self.memory, self.config.now_ms) {
            return Ok(Renewal::NotDue);
        }
        if !self.memory.renewable {
            return Ok(Renewal::NotRenewable { expires_at_ms: self.memory.expires_at_ms });
        }
        let action = self.action("renewing", "the token");
        let request = self.token_request(Method::PUT, "renew-self", Some((JSON, b"{}".to_vec())));
        let received = self.client()?.send(request, &action, deadline)?;
        if let Some(words) = received.error_text().filter(|words| words.contains("not renew")) {
            return Err(StoreError::Refused {
                reason: format!("{action}: {words}"),
                remedy: "this token will never be renewed again: an admin has to mint a new one".to_owned(),
            });
        }
        match received.classify(&action) {
            Response::Success(Success { auth: Some(auth), warnings, .. }) => {
                let expires_at_ms =
                    self.renewed(auth).ok_or_else(|| unexpected_response(&action, received.status))?;
                Ok(Renewal::Renewed { expires_at_ms, warnings })
            }
            Response::Denied => Err(self.explain_denial("update on auth/token/renew-self", deadline)),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    fn renewed(&mut self, auth: &RawValue) -> Option<u64> {
        #[derive(serde::Deserialize)]
        struct Lease {
            lease_duration: u64,
        }
        let lease: Lease = serde_json::from_str(auth.get()).ok()?;
        let now_ms = self.config.now_ms;
        let expires_at_ms = now_ms.saturating_add(lease.lease_duration.saturating_mul(1000));
        self.memory.expires_at_ms = Some(expires_at_ms);
        self.memory.last_renewed_ms = now_ms;
        Some(expires_at_ms)
    }

    /// Why a request was answered with "permission denied": the server says so for a token that is no more and for one
    /// that may not do this. The failure is [`StoreError::Refused`] in both cases.
    pub(super) fn explain_denial(&mut self, capability: &str, deadline: &Deadline) -> StoreError {
        match self.look_up(deadline) {
            Ok(_) => StoreError::Refused {
                reason: format!(
                    "the policy of {}'s token does not allow {capability} on {}",
                    self.config.user,
                    self.place()
                ),
                remedy: format!(
                    "an admin has to allow it in the policy {}",
                    super::policy::policy_name(&self.config.user)
                ),
            },
            Err(failure) => failure,
        }
    }

    /// Makes sure that the token is the user's own, asking only about one that is not remembered.
    pub(super) fn ensure_token_checked(&mut self, deadline: &Deadline) -> Result<(), StoreError> {
        if self.client.is_none() {
            let token = token_file::read(&self.config.token_file, Uid::effective())?;
            self.fingerprint = token_cache::fingerprint(&self.config.address, &self.config.user, &token);
            self.client = Some(Client::new(&self.config.server(), &token)?);
        }
        if self.memory.is_valid_for(&self.fingerprint, self.config.now_ms) {
            return Ok(());
        }
        let lookup = self.look_up(deadline)?;
        let token_file = self.config.token_file.display();
        lookup.check_owner(&self.config.user).map_err(|why| StoreError::Refused {
            reason: format!("the token in {token_file} is not {}'s own: {why}", self.config.user),
            remedy: format!("put a token minted for {} there", self.config.user),
        })?;
        let is_known = self.memory.fingerprint == self.fingerprint;
        let method = if is_known { self.memory.write_method } else { WriteMethod::default() };
        self.memory = lookup.remember(self.fingerprint.clone(), self.config.now_ms, method);
        Ok(())
    }

    fn look_up(&mut self, deadline: &Deadline) -> Result<Lookup, StoreError> {
        let action = self.action("looking up", "the token");
        let request = self.token_request(Method::GET, "lookup-self", None);
        let received = self.client()?.send(request, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data: Some(data), .. }) => {
                serde_json::from_str(data.get()).map_err(|_| unexpected_response(&action, received.status))
            }
            Response::Denied => {
                self.memory = TokenCache::default();
                let token_file = self.config.token_file.display();
                Err(StoreError::Refused {
                    reason: format!(
                        "{action}: the token in {token_file} is expired, revoked, or may not look itself up"
                    ),
                    remedy: "an admin has to mint a new one".to_owned(),
                })
            }
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }
}
