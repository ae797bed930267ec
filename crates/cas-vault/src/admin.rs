//! Administrative requests: look up, create, renew and revoke users' tokens, and write their
//! policies. One connection serves all users.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Connection;
use super::documents::{JSON, MERGE_PATCH, unexpected_response};
use super::http::{Client, Request};
use super::policy::{DocumentLayout, ROLE};
use super::response::{RawResponse, Response, Success};
use super::token_file::Token;
use super::token_info::{Lookup, TokenInfo};
use cas_core::store::StoreError;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// A client that sends requests with the tokens of several users.
pub struct AdminClient {
    server: Connection,
    pub(super) layout: DocumentLayout,
    client: Option<Client>,
}

impl AdminClient {
    /// Creates the client. No request is sent yet.
    pub fn new(server: Connection, layout: DocumentLayout) -> Self {
        Self { server, layout, client: None }
    }

    /// Returns the location of the users' documents.
    pub fn layout(&self) -> &DocumentLayout {
        &self.layout
    }

    /// Returns the number of requests that were sent.
    pub fn requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::requests)
    }

    /// Returns the server's time in its last response, to the second, if it had one.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.client.as_ref().and_then(Client::server_time)
    }

    /// Looks up a token, as that of `user` at `now_ms`. Returns `None` if it is expired, revoked or
    /// unknown.
    ///
    /// # Errors
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] if the server did not answer.
    pub fn lookup_token(
        &mut self,
        token: &Token,
        user: &str,
        now_ms: u64,
        deadline: &Deadline,
    ) -> Result<Option<TokenInfo>, StoreError> {
        let action = self.action("looking up", &format!("the token of {user}"));
        let received = self.request(token, Method::GET, "auth/token/lookup-self", None, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data: Some(data), .. }) => serde_json::from_str(data.get())
                .map(|lookup: Lookup| Some(lookup.token_info(user, now_ms)))
                .map_err(|_| unexpected_response(&action, received.status)),
            Response::Denied => Ok(None),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    /// Renews a token. Look it up again to see whether its expiry has changed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it cannot be renewed.
    pub fn renew(&mut self, token: &Token, user: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let action = self.action("renewing", &format!("the token of {user}"));
        let received =
            self.request(token, Method::PUT, "auth/token/renew-self", Some("{}".into()), &action, deadline)?;
        if let Some(text) = received.error_text().filter(|text| text.contains("not renew")) {
            return Err(StoreError::Refused {
                reason: format!("{action}: {text}"),
                remedy: "replace it before it expires".to_owned(),
            });
        }
        self.done(&received, &action, "update on auth/token/renew-self")
    }

    /// Returns true if the server responds, is unsealed, and has a leader.
    pub fn is_healthy(&mut self, deadline: &Deadline) -> bool {
        let Some(client) = &mut self.client else { return false };
        let url = self.server.address.endpoint(["sys", "health"]);
        let request = Request { method: Method::GET, url, body: None };
        // A standby responds with status 429 or 473.
        client
            .send(request, "checking its health", deadline)
            .is_ok_and(|received| matches!(received.status, 200 | 429 | 473))
    }

    /// Reads the text of a user's policy. Returns `None` if the policy does not exist.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot read it.
    pub fn policy(
        &mut self,
        admin: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Option<String>, StoreError> {
        #[derive(Deserialize)]
        struct Policy {
            policy: String,
        }
        let path = self.policy_path(user);
        let data = self.read(admin, &path, deadline)?;
        let Some(data) = data else { return Ok(None) };
        let found: Policy = serde_json::from_str(&data).map_err(|_| unexpected_response(&path, 200))?;
        Ok(Some(found.policy))
    }

    /// Writes the least policy for this user's token.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot write it.
    pub fn write_policy(&mut self, admin: &Token, user: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let body = json!({ "policy": self.layout.user_policy(user) }).to_string();
        self.write(admin, &self.policy_path(user), body, deadline)
    }

    /// Returns true if the token role exists.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot read it.
    pub fn has_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<bool, StoreError> {
        Ok(self.read(admin, &format!("auth/token/roles/{ROLE}"), deadline)?.is_some())
    }

    /// Creates the token role.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot write it.
    pub fn write_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<(), StoreError> {
        let role = self.layout.token_role().to_owned();
        self.write(admin, &format!("auth/token/roles/{ROLE}"), role, deadline)
    }

    /// Revokes the token with this accessor. A token that has ended already is not an error.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot revoke it.
    pub fn revoke(&mut self, admin: &Token, accessor: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let path = "auth/token/revoke-accessor";
        let action = self.action("revoking", "a token");
        let body = json!({ "accessor": accessor }).to_string();
        let received = self.request(admin, Method::POST, path, Some(body), &action, deadline)?;
        if received.error_text().is_some_and(|text| text.contains("invalid accessor")) {
            return Ok(());
        }
        self.done(&received, &action, &format!("update on {path}"))
    }

    fn read(&mut self, admin: &Token, path: &str, deadline: &Deadline) -> Result<Option<String>, StoreError> {
        let action = self.action("reading", path);
        let received = self.request(admin, Method::GET, path, None, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data: Some(data), .. }) => Ok(Some(data.get().to_owned())),
            Response::NotFound => Ok(None),
            Response::Denied => Err(permission_denied(&action, &format!("read on {path}"))),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    fn write(
        &mut self,
        admin: &Token,
        path: &str,
        body: String,
        deadline: &Deadline,
    ) -> Result<(), StoreError> {
        let action = self.action("writing", path);
        let received = self.request(admin, Method::POST, path, Some(body), &action, deadline)?;
        self.done(&received, &action, &format!("create and update on {path}"))
    }

    fn done(&self, received: &RawResponse, action: &str, capability: &str) -> Result<(), StoreError> {
        match received.classify(action) {
            Response::Success(_) => Ok(()),
            Response::Denied => Err(permission_denied(action, capability)),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(action, received.status)),
        }
    }

    pub(super) fn request(
        &mut self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<String>,
        action: &str,
        deadline: &Deadline,
    ) -> Result<RawResponse, StoreError> {
        let url = self.server.address.endpoint(path.split('/'));
        let client = match &mut self.client {
            Some(client) => {
                client.set_token(token)?;
                client
            }
            none => none.insert(Client::new(&self.server, token)?),
        };
        let is_change = method != Method::GET;
        let kind = if method == Method::PATCH { MERGE_PATCH } else { JSON };
        let body = body.map(|text| (kind, text.into_bytes()));
        let received = client.send(Request { method, url, body }, action, deadline);
        if is_change {
            // The next request may depend on this change, and a standby lags behind.
            client.require_latest_index();
        }
        received
    }

    fn policy_path(&self, user: &str) -> String {
        format!("sys/policies/acl/{}", self.layout.policy_name(user))
    }

    pub(super) fn action(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} at {}", self.server.address)
    }
}

pub(super) fn permission_denied(action: &str, capability: &str) -> StoreError {
    StoreError::Refused {
        reason: format!("{action}: permission denied"),
        remedy: format!(
            "permit it {capability}; `cas-sync provision --print-policy` shows the policy of an administrator"
        ),
    }
}
