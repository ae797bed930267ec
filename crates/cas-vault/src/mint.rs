//! A new token for somebody, through the role that makes people's tokens.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::admin::{Administration, may_not};
use super::documents::out_of_place;
use super::policy::ROLE;
use super::response::{Answer, Success};
use super::token_file::{self, Token};
use cas_core::store::Failure;
use cas_protocol::deadline::Deadline;

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

impl Administration {
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
}
