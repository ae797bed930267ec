//! What an admin asks of a server for people: who a token is, what it may do, a new one, and the end of one. One
//! connection serves everybody.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Server;
use super::answer::{Answer, Received, Success};
use super::client::{Client, Request};
use super::conversation::{JSON, MERGE_PATCH, out_of_place};
use super::forbidden::{Attempt, changes, needs};
use super::identity::Lookup;
use super::token_file::{self, Token};
use super::user_policy::{Layout, ROLE};
use crate::deadline::Deadline;
use crate::store::Failure;

/// What the server says of somebody's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Names the token and cannot be used as one.
    pub accessor: String,
    /// Why it is not the user's own, if it is not.
    pub foreign: Option<String>,
    /// When it ends unless it is renewed, in milliseconds since the epoch; none if never.
    pub expires_at_ms: Option<u64>,
    /// Whether it can be renewed.
    pub is_renewable: bool,
    /// Whether it outlives the token it was made with.
    pub is_orphan: bool,
    /// The machine it was made for, if it says so.
    pub host: Option<String>,
}

/// A token that was just made.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: Token,
    /// Its name.
    pub accessor: String,
    /// What the server remarked, such as a lifetime cut short by a limit.
    pub warnings: Vec<String>,
}

/// Whether the server let somebody do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It did, or would have.
    Allowed,
    /// It refused.
    Denied,
}

/// A server, asked with the tokens of many.
pub struct Administration {
    server: Server,
    layout: Layout,
    client: Option<Client>,
}

impl Administration {
    /// Takes the settings; nothing is asked yet.
    pub fn new(server: Server, layout: Layout) -> Self {
        Self { server, layout, client: None }
    }

    /// Where people's documents lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::requests)
    }

    /// What a token is, judged as the one of `user` at `now_ms`; none when it is expired, revoked, or none at all.
    ///
    /// # Errors
    /// [`Failure::Busy`] and [`Failure::Unreachable`] when the server did not say.
    pub fn look_up(
        &mut self,
        token: &Token,
        user: &str,
        now_ms: u64,
        deadline: &Deadline,
    ) -> Result<Option<Standing>, Failure> {
        let action = self.action("looking up", &format!("the token of {user}"));
        let received = self.ask(token, Method::GET, "auth/token/lookup-self", None, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Success(Success { data: Some(data), .. }) => serde_json::from_str(data.get())
                .map(|lookup: Lookup| Some(lookup.standing(user, now_ms)))
                .map_err(|_| out_of_place(&action, received.status)),
            Answer::Denied => Ok(None),
            Answer::Failed(failure) => Err(failure),
            _ => Err(out_of_place(&action, received.status)),
        }
    }

    /// Lets a token live for another period. Whether it did is seen by looking it up again.
    ///
    /// # Errors
    /// [`Failure::Refused`] when it never will.
    pub fn renew(&mut self, token: &Token, user: &str, deadline: &Deadline) -> Result<(), Failure> {
        let action = self.action("renewing", &format!("the token of {user}"));
        let received =
            self.ask(token, Method::PUT, "auth/token/renew-self", Some("{}".into()), &action, deadline)?;
        if let Some(words) = received.error_words().filter(|words| words.contains("not renew")) {
            return Err(Failure::Refused {
                reason: format!("{action}: {words}"),
                remedy: "it has to be replaced before it ends".to_owned(),
            });
        }
        self.done(&received, &action, "update on auth/token/renew-self")
    }

    /// Whether this user's token may do all that a sync does: read the document, be there one or not, write it, renew itself.
    ///
    /// # Errors
    /// [`Failure::Refused`] when there is no such place; [`Failure::Busy`] and [`Failure::Unreachable`] when the server did not
    /// say.
    pub fn may_work(
        &mut self,
        token: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        for call in needs(&self.layout, user) {
            let action = self.action("trying", &call.path);
            let received = self.ask(token, call.method, &call.path, call.body, &action, deadline)?;
            match received.meaning(&action) {
                Answer::Denied => return Ok(Permission::Denied),
                // A mount that is none, a namespace that is not there: no policy lets anybody do anything there.
                Answer::Failed(failure) if received.status != 400 => return Err(failure),
                _ => {}
            }
        }
        for call in changes(&self.layout, user) {
            if self.permission(token, call.method, &call.path, call.body, deadline)? == Permission::Allowed {
                return Ok(Permission::Allowed);
            }
        }
        Ok(Permission::Denied)
    }

    /// Whether the server is there, unsealed, and has a leader.
    pub fn is_well(&mut self, deadline: &Deadline) -> bool {
        let Some(client) = &mut self.client else { return false };
        let url = self.server.address.endpoint(["sys", "health"]);
        let request = Request { method: Method::GET, url, body: None };
        // A standby says 429, or 473.
        client
            .send(request, "asking how it is", deadline)
            .is_ok_and(|received| matches!(received.status, 200 | 429 | 473))
    }

    /// Tries what has to be refused.
    ///
    /// # Errors
    /// [`Failure::Busy`] and [`Failure::Unreachable`] when the server did not say.
    pub fn attempt(
        &mut self,
        token: &Token,
        attempt: &Attempt,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        self.permission(token, attempt.method.clone(), &attempt.path, attempt.body.clone(), deadline)
    }

    /// The text of a user's policy; none when there is none.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not see it.
    pub fn policy(
        &mut self,
        admin: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Option<String>, Failure> {
        #[derive(Deserialize)]
        struct Policy {
            policy: String,
        }
        let path = self.policy_path(user);
        let data = self.read(admin, &path, deadline)?;
        let Some(data) = data else { return Ok(None) };
        let found: Policy = serde_json::from_str(&data).map_err(|_| out_of_place(&path, 200))?;
        Ok(Some(found.policy))
    }

    /// Writes the least policy of this user's token.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not.
    pub fn write_policy(&mut self, admin: &Token, user: &str, deadline: &Deadline) -> Result<(), Failure> {
        let body = json!({ "policy": self.layout.user_policy(user) }).to_string();
        self.write(admin, &self.policy_path(user), body, deadline)
    }

    /// Whether there is a role to mint tokens with.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not see it.
    pub fn has_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<bool, Failure> {
        Ok(self.read(admin, &format!("auth/token/roles/{ROLE}"), deadline)?.is_some())
    }

    /// Creates the role.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not.
    pub fn write_role(&mut self, admin: &Token, deadline: &Deadline) -> Result<(), Failure> {
        let role = self.layout.token_role().to_owned();
        self.write(admin, &format!("auth/token/roles/{ROLE}"), role, deadline)
    }

    /// Makes a token for this user, on this host.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not, or the role makes tokens of another kind; such a token is revoked.
    pub fn mint(
        &mut self,
        admin: &Token,
        user: &str,
        host: &str,
        deadline: &Deadline,
    ) -> Result<Minted, Failure> {
        #[derive(Deserialize)]
        struct Auth {
            client_token: String,
            accessor: String,
            orphan: bool,
            renewable: bool,
            policies: Vec<String>,
        }
        let path = format!("auth/token/create/{ROLE}");
        let policy = self.layout.policy_name(user);
        let body = json!({
            "policies": [&policy],
            "display_name": format!("devvm-claude-auth-{user}"),
            "meta": { "user": user, "host": host, "purpose": "claude-auth-sync" },
            "no_default_policy": true,
        });
        let action = self.action("minting", &format!("a token for {user}"));
        let received = self.ask(admin, Method::POST, &path, Some(body.to_string()), &action, deadline)?;
        let (auth, warnings) = match received.meaning(&action) {
            Answer::Success(Success { auth: Some(auth), warnings, .. }) => (auth, warnings),
            Answer::Denied => return Err(may_not(&action, &format!("update on {path}"))),
            Answer::Failed(failure) => return Err(failure),
            _ => return Err(out_of_place(&action, received.status)),
        };
        let auth: Auth =
            serde_json::from_str(auth.get()).map_err(|_| out_of_place(&action, received.status))?;
        let token = token_file::parse(auth.client_token.as_bytes());
        let token = token.ok_or_else(|| out_of_place(&action, received.status))?;
        if !auth.orphan || !auth.renewable || auth.policies != [policy] {
            let rest = match self.revoke(admin, &auth.accessor, deadline) {
                Ok(()) => String::new(),
                Err(failure) => format!("; this one is not revoked: {failure}"),
            };
            return Err(Failure::Refused {
                reason: format!(
                    "{action}: the role {ROLE} makes tokens that are not orphans, not renewable, or may do more{rest}"
                ),
                remedy: format!(
                    "correct auth/token/roles/{ROLE} as `cas-sync provision --print-policy` shows it"
                ),
            });
        }
        Ok(Minted { token, accessor: auth.accessor, warnings })
    }

    /// Ends the token with this name; one that has ended already is no error.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this admin may not.
    pub fn revoke(&mut self, admin: &Token, accessor: &str, deadline: &Deadline) -> Result<(), Failure> {
        let path = "auth/token/revoke-accessor";
        let action = self.action("revoking", "a token");
        let body = json!({ "accessor": accessor }).to_string();
        let received = self.ask(admin, Method::POST, path, Some(body), &action, deadline)?;
        if received.error_words().is_some_and(|words| words.contains("invalid accessor")) {
            return Ok(());
        }
        self.done(&received, &action, &format!("update on {path}"))
    }

    fn permission(
        &mut self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        let action = self.action("trying", path);
        let received = self.ask(token, method, path, body, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Denied => Ok(Permission::Denied),
            Answer::Failed(failure @ (Failure::Busy { .. } | Failure::Unreachable { .. })) => Err(failure),
            // The server asks for leave before it looks at what is wanted: whatever else it says, it would have.
            _ => Ok(Permission::Allowed),
        }
    }

    fn read(&mut self, admin: &Token, path: &str, deadline: &Deadline) -> Result<Option<String>, Failure> {
        let action = self.action("reading", path);
        let received = self.ask(admin, Method::GET, path, None, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Success(Success { data: Some(data), .. }) => Ok(Some(data.get().to_owned())),
            Answer::NeverWritten => Ok(None),
            Answer::Denied => Err(may_not(&action, &format!("read on {path}"))),
            Answer::Failed(failure) => Err(failure),
            _ => Err(out_of_place(&action, received.status)),
        }
    }

    fn write(&mut self, admin: &Token, path: &str, body: String, deadline: &Deadline) -> Result<(), Failure> {
        let action = self.action("writing", path);
        let received = self.ask(admin, Method::POST, path, Some(body), &action, deadline)?;
        self.done(&received, &action, &format!("create and update on {path}"))
    }

    fn done(&self, received: &Received, action: &str, capability: &str) -> Result<(), Failure> {
        match received.meaning(action) {
            Answer::Success(_) => Ok(()),
            Answer::Denied => Err(may_not(action, capability)),
            Answer::Failed(failure) => Err(failure),
            _ => Err(out_of_place(action, received.status)),
        }
    }

    fn ask(
        &mut self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<String>,
        action: &str,
        deadline: &Deadline,
    ) -> Result<Received, Failure> {
        let url = self.server.address.endpoint(path.split('/'));
        let client = match &mut self.client {
            Some(client) => {
                client.speak_with(token)?;
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

    fn action(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} at {}", self.server.address)
    }
}

fn may_not(action: &str, capability: &str) -> Failure {
    Failure::Refused {
        reason: format!("{action}: the token may not"),
        remedy: format!(
            "allow it {capability}; `cas-sync provision --print-policy` shows what an admin needs"
        ),
    }
}
