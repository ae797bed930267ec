//! The requests about the token: checking its owner, explaining a denial, renewing it.

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
    /// Renews the token if that is due.
    pub(super) fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, StoreError> {
        self.ensure_token_checked(deadline)?;
        if !renewal::is_due(&self.token_cache, self.config.now_ms) {
            return Ok(Renewal::NotDue);
        }
        if !self.token_cache.renewable {
            return Ok(Renewal::NotRenewable { expires_at_ms: self.token_cache.expires_at_ms });
        }
        let action = self.action("renewing", "the token");
        let request = self.token_request(Method::PUT, "renew-self", Some((JSON, b"{}".to_vec())));
        let received = self.client()?.send(request, &action, deadline)?;
        if let Some(text) = received.error_text().filter(|text| text.contains("not renew")) {
            return Err(StoreError::Refused {
                reason: format!("{action}: {text}"),
                remedy: "an administrator must create a new token; this one can never be renewed again"
                    .to_owned(),
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
        self.token_cache.expires_at_ms = Some(expires_at_ms);
        self.token_cache.last_renewed_ms = now_ms;
        Some(expires_at_ms)
    }

    /// Returns why a request was denied. The server denies requests with an invalid token and
    /// requests that the policy does not permit; both result in [`StoreError::Refused`].
    pub(super) fn explain_denial(&mut self, capability: &str, deadline: &Deadline) -> StoreError {
        match self.look_up(deadline) {
            Ok(_) => StoreError::Refused {
                reason: format!(
                    "the policy of {}'s token does not permit {capability} on {}",
                    self.config.user,
                    self.place()
                ),
                remedy: format!(
                    "an administrator must permit it in the policy {}",
                    super::policy::policy_name(&self.config.user)
                ),
            },
            Err(failure) => failure,
        }
    }

    /// Ensures that the token belongs to the user. A cached result needs no request.
    pub(super) fn ensure_token_checked(&mut self, deadline: &Deadline) -> Result<(), StoreError> {
        if self.client.is_none() {
            let token = token_file::read(&self.config.token_file, Uid::effective())?;
            self.fingerprint = token_cache::fingerprint(&self.config.address, &self.config.user, &token);
            self.client = Some(Client::new(&self.config.server(), &token)?);
        }
        if self.token_cache.is_valid_for(&self.fingerprint, self.config.now_ms) {
            return Ok(());
        }
        let lookup = self.look_up(deadline)?;
        let token_file = self.config.token_file.display();
        lookup.check_owner(&self.config.user).map_err(|why| StoreError::Refused {
            reason: format!("the token in {token_file} does not belong to {}: {why}", self.config.user),
            remedy: format!("write a token of {} to it", self.config.user),
        })?;
        let is_known = self.token_cache.fingerprint == self.fingerprint;
        let method = if is_known { self.token_cache.write_method } else { WriteMethod::default() };
        self.token_cache = lookup.token_cache(self.fingerprint.clone(), self.config.now_ms, method);
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
                self.token_cache = TokenCache::default();
                let token_file = self.config.token_file.display();
                Err(StoreError::Refused {
                    reason: format!(
                        "{action}: the token in {token_file} is expired, revoked, or cannot look itself up"
                    ),
                    remedy: "an administrator must create a new one".to_owned(),
                })
            }
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }
}
