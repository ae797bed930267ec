//! What an admin asks of a server for people: who a token is, what it may do, a new one, and the end of one. One
//! connection serves everybody.

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

/// A server, asked with the tokens of many.
pub struct AdminClient {
    server: Connection,
    pub(super) layout: DocumentLayout,
    client: Option<Client>,
}

impl AdminClient {
    /// Takes the settings; nothing is asked yet.
    pub fn new(server: Connection, layout: DocumentLayout) -> Self {
        Self { server, layout, client: None }
    }

    /// Where people's documents lie.
    pub fn layout(&self) -> &DocumentLayout {
        &self.layout
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::requests)
    }

    /// What time it was at the server when it answered last, to the second; nothing if it did not say.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.client.as_ref().and_then(Client::server_time)
    }

    /// What a token is, judged as the one of `user` at `now_ms`; none when it is expired, revoked, or none at all.
    ///
    /// # Errors
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] when the server did not say.
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
                .map(|lookup: Lookup| Some(lookup.standing(user, now_ms)))
                .map_err(|_| unexpected_response(&action, received.status)),
            Response::Denied => Ok(None),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    /// Lets a token live for another period. Whether it did is seen by looking it up again.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it never will.
    pub fn renew(&mut self, token: &Token, user: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let action = self.action("renewing", &format!("the token of {user}"));
        let received =
            self.request(token, Method::PUT, "auth/token/renew-self", Some("{}".into()), &action, deadline)?;
        if let Some(words) = received.error_text().filter(|words| words.contains("not renew")) {
            return Err(StoreError::Refused {
                reason: format!("{action}: {words}"),
                remedy: "it has to be replaced before it ends".to_owned(),
            });
        }
        self.done(&received, &action, "update on auth/token/renew-self")
    }

    /// Whether the server is there, unsealed, and has a leader.
    pub fn is_healthy(&mut self, deadline: &Deadline) -> bool {
        let Some(client) = &mut self.client else { return false };
        let url = self.server.address.endpoint(["sys", "health"]);
        let request = Request { method: Method::GET, url, body: None };
        // A standby says 429, or 473.
        client
            .send(request, "asking how it is", deadline)
            .is_ok_and(|received| matches!(received.status, 200 | 429 | 473))
    }

    /// The text of a user's policy; none when there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this admin may not see it.
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

    /// Writes the least policy of this user's token.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this admin may not.
    pub fn write_policy(&mut self, admin: &Token, user: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let body = json!({ "policy": self.layout.user_policy(user) }).to_string();
        self.write(admin, &self.policy_path(user), body, deadline)
    }

    /// Whether there is a role to mint tokens with.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this admin may not see it.
    pub fn has_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<bool, StoreError> {
        Ok(self.read(admin, &format!("auth/token/roles/{ROLE}"), deadline)?.is_some())
    }

    /// Creates the role.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this admin may not.
    pub fn write_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<(), StoreError> {
        let role = self.layout.token_role().to_owned();
        self.write(admin, &format!("auth/token/roles/{ROLE}"), role, deadline)
    }

    /// Ends the token with this name; one that has ended already is no error.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this admin may not.
    pub fn revoke(&mut self, admin: &Token, accessor: &str, deadline: &Deadline) -> Result<(), StoreError> {
        let path = "auth/token/revoke-accessor";
        let action = self.action("revoking", "a token");
        let body = json!({ "accessor": accessor }).to_string();
        let received = self.request(admin, Method::POST, path, Some(body), &action, deadline)?;
        if received.error_text().is_some_and(|words| words.contains("invalid accessor")) {
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
            // What comes next may depend on it, and a standby lags behind.
            client.insist_on_the_newest();
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
        reason: format!("{action}: the token may not"),
        remedy: format!(
            "allow it {capability}; `cas-sync provision --print-policy` shows what an admin needs"
        ),
    }
}
