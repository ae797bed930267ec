//! Creates a token for a user through the token role.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::admin::{AdminClient, permission_denied};
use super::documents::unexpected_response;
use super::policy::ROLE;
use super::response::{Response, Success};
use super::token_file::{self, Token};
use cas_core::store::StoreError;
use cas_protocol::deadline::Deadline;

/// A new token.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: Token,
    /// Its accessor.
    pub accessor: String,
    /// The server's warnings, for example that a limit shortened the lifetime.
    pub warnings: Vec<String>,
}

impl AdminClient {
    /// Creates a token for this user on this host.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot create it, or the role creates tokens
    /// of another kind. Such a token is revoked.
    pub fn mint(
        &mut self,
        admin: &Token,
        user: &str,
        host: &str,
        deadline: &Deadline,
    ) -> Result<Minted, StoreError> {
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
        let received = self.request(admin, Method::POST, &path, Some(body.to_string()), &action, deadline)?;
        let (auth, warnings) = match received.classify(&action) {
            Response::Success(Success { auth: Some(auth), warnings, .. }) => (auth, warnings),
            Response::Denied => return Err(permission_denied(&action, &format!("update on {path}"))),
            Response::Failed(failure) => return Err(failure),
            _ => return Err(unexpected_response(&action, received.status)),
        };
        let auth: Auth =
            serde_json::from_str(auth.get()).map_err(|_| unexpected_response(&action, received.status))?;
        let token = token_file::parse(auth.client_token.as_bytes());
        let token = token.ok_or_else(|| unexpected_response(&action, received.status))?;
        if !auth.orphan || !auth.renewable || auth.policies != [policy] {
            let rest = match self.revoke(admin, &auth.accessor, deadline) {
                Ok(()) => String::new(),
                Err(failure) => format!("; this one could not be revoked: {failure}"),
            };
            return Err(StoreError::Refused {
                reason: format!(
                    "{action}: the role {ROLE} creates tokens that are not orphans, not renewable, or permit more{rest}"
                ),
                remedy: format!(
                    "correct auth/token/roles/{ROLE} as `cas-sync provision --print-policy` shows it"
                ),
            });
        }
        Ok(Minted { token, accessor: auth.accessor, warnings })
    }
}
