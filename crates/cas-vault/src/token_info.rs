//! Determines the owner of a token from the server's `auth/token/lookup-self`.

use serde::Deserialize;
use serde_json::Value;

use super::policy::{self, POLICY_PREFIX};
use super::redact::redact_server_text;
use super::token_cache::{TokenCache, WriteMethod};

/// The properties of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// The accessor, which identifies the token and cannot be used as one.
    pub accessor: String,
    /// Why the token does not belong to the user, if so.
    pub foreign: Option<String>,
    /// The expiry without a renewal, in milliseconds since the epoch. `None` if it does not expire.
    pub expires_at_ms: Option<u64>,
    /// True if it can be renewed.
    pub is_renewable: bool,
    /// True if it outlives the token that created it.
    pub is_orphan: bool,
    /// The machine it was created for, if it is recorded.
    pub host: Option<String>,
}

/// The response to a lookup. The token in it is not parsed. Fields may be missing: a root token has
/// fewer, and a token of a role has no `period`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lookup {
    policies: Option<Vec<String>>,
    meta: Option<Value>,
    display_name: Option<String>,
    /// In whole seconds. 0 in the last second, and for a token that does not expire.
    ttl: u64,
    expire_time: Option<String>,
    creation_ttl: u64,
    creation_time: u64,
    last_renewal_time: Option<u64>,
    period: Option<u64>,
    renewable: bool,
    orphan: bool,
    accessor: Option<String>,
}

impl Lookup {
    /// Checks that the token belongs to this user and to no other. `meta.user` decides; if it is
    /// missing, the policies do. The display name cannot decide, because `j.doe` and `j_doe` share
    /// one, but it can contradict.
    pub(super) fn check_owner(&self, user: &str) -> Result<(), TokenOwnerError> {
        let policies = self.policies.as_deref().unwrap_or_default();
        if policies.iter().any(|policy| policy == "root") {
            return Err(TokenOwnerError::Root);
        }
        match self.meta.as_ref().and_then(|meta| meta.get("user")) {
            Some(Value::String(name)) if name == user => {}
            Some(other) => {
                return Err(TokenOwnerError::User(redact_server_text(
                    other.as_str().unwrap_or("not a string"),
                )));
            }
            None => only_policy(policies, user)?,
        }
        match &self.display_name {
            Some(name) if name.starts_with(DISPLAY_PREFIX) && *name != display_name(user) => {
                Err(TokenOwnerError::DisplayName(redact_server_text(name)))
            }
            _ => Ok(()),
        }
    }

    /// Returns the properties of the token, looked up at `now_ms`.
    pub(super) fn token_info(&self, user: &str, now_ms: u64) -> TokenInfo {
        let cache = self.token_cache(String::new(), now_ms, WriteMethod::default());
        TokenInfo {
            accessor: self.accessor.clone().unwrap_or_default(),
            foreign: self.check_owner(user).err().map(|why| why.to_string()),
            expires_at_ms: cache.expires_at_ms,
            is_renewable: self.renewable,
            is_orphan: self.orphan,
            host: self.meta.as_ref().and_then(|meta| meta.get("host")?.as_str()).map(redact_server_text),
        }
    }

    /// Returns the cache entry of the token with this fingerprint, looked up at `now_ms`.
    pub(super) fn token_cache(
        &self,
        fingerprint: String,
        now_ms: u64,
        write_method: WriteMethod,
    ) -> TokenCache {
        let expires = self.ttl > 0 || self.expire_time.is_some();
        let period = self.period.filter(|seconds| *seconds > 0).unwrap_or(self.creation_ttl);
        TokenCache {
            fingerprint,
            checked_at_ms: now_ms,
            expires_at_ms: expires.then(|| now_ms.saturating_add(self.ttl.saturating_mul(1000))),
            last_renewed_ms: self.last_renewal_time.unwrap_or(self.creation_time).saturating_mul(1000),
            period_ms: (period > 0).then(|| period.saturating_mul(1000)),
            renewable: self.renewable,
            write_method,
        }
    }
}

const DISPLAY_PREFIX: &str = "token-devvm-claude-auth-";

fn only_policy(policies: &[String], user: &str) -> Result<(), TokenOwnerError> {
    let mut personal = policies.iter().filter(|policy| policy.starts_with(POLICY_PREFIX)).peekable();
    if personal.peek().is_none() {
        return Err(TokenOwnerError::NoUser);
    }
    match personal.find(|name| **name != policy::policy_name(user)) {
        Some(name) => Err(TokenOwnerError::Policy(redact_server_text(name))),
        None => Ok(()),
    }
}

/// Returns the display name as Vault stores it: every character except letters, digits and dashes
/// becomes a dash, and one trailing dash is removed.
fn display_name(user: &str) -> String {
    let name: String = format!("{DISPLAY_PREFIX}{user}")
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    name.strip_suffix('-').unwrap_or(&name).to_owned()
}

/// The token does not belong to the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenOwnerError {
    #[error("it is a root token")]
    Root,
    #[error("it has neither meta.user nor a policy {POLICY_PREFIX}USER")]
    NoUser,
    #[error("its meta.user is {0:?}")]
    User(String),
    #[error("it has the policy {0:?}")]
    Policy(String),
    #[error("its display name is {0:?}")]
    DisplayName(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(value: Value) -> Lookup {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn token_of_another_user_is_rejected() {
        let both = json!(["workstation-claude-alice", "workstation-claude-bob"]);
        for (value, expected) in [
            (json!({"policies": ["workstation-claude-alice"]}), Ok(())),
            (json!({"policies": ["workstation-claude-alice", "default"], "meta": null}), Ok(())),
            (json!({"policies": ["whatever"], "meta": {"user": "alice", "host": "x"}}), Ok(())),
            (json!({"policies": both, "meta": {"user": "alice"}}), Ok(())),
            (json!({"policies": both}), Err(TokenOwnerError::Policy("workstation-claude-bob".into()))),
            (
                json!({"policies": ["workstation-claude-alice"], "meta": {"user": "bob"}}),
                Err(TokenOwnerError::User("bob".into())),
            ),
            (
                json!({"policies": ["a"], "meta": {"user": 1}}),
                Err(TokenOwnerError::User("not a string".into())),
            ),
            (
                json!({"policies": ["workstation-claude-bob"]}),
                Err(TokenOwnerError::Policy("workstation-claude-bob".into())),
            ),
            (json!({"policies": ["root"], "meta": {"user": "alice"}}), Err(TokenOwnerError::Root)),
            (json!({"policies": ["admin"]}), Err(TokenOwnerError::NoUser)),
            (json!({"policies": null}), Err(TokenOwnerError::NoUser)),
            (json!({}), Err(TokenOwnerError::NoUser)),
            (
                json!({"policies": ["workstation-claude-alice"], "display_name": "token-devvm-claude-auth-bob"}),
                Err(TokenOwnerError::DisplayName("token-devvm-claude-auth-bob".into())),
            ),
            (json!({"policies": ["workstation-claude-alice"], "display_name": "token-by-hand"}), Ok(())),
        ] {
            assert_eq!(lookup(value.clone()).check_owner("alice"), expected, "{value}");
        }
    }

    #[test]
    fn names_are_compared_as_the_server_stores_them() {
        let value = json!({
            "policies": ["workstation-claude-j.doe_x-"],
            "display_name": "token-devvm-claude-auth-J-Doe-x",
        });
        assert_eq!(lookup(value.clone()).check_owner("J.Doe_x-"), Ok(()));
        assert!(lookup(value).check_owner("j.doe_x-").is_err(), "the case of a display name is kept");
    }

    #[test]
    fn token_lifetimes_are_cached_for_every_kind_of_token() {
        let role = lookup(json!({"ttl": 100, "creation_ttl": 300, "creation_time": 7, "renewable": true}));
        let cache = role.token_cache("f".into(), 5000, WriteMethod::Put);
        assert_eq!(cache.expires_at_ms, Some(105_000));
        assert_eq!((cache.period_ms, cache.last_renewed_ms), (Some(300_000), 7000));
        assert_eq!(cache.write_method, WriteMethod::Put);
        let renewed = lookup(json!({"period": 60, "last_renewal_time": 9, "creation_time": 7}));
        let cache = renewed.token_cache("f".into(), 5000, WriteMethod::Patch);
        assert_eq!(cache.expires_at_ms, None);
        let expiring = lookup(json!({"ttl": 0, "expire_time": "2026-11-21T08:03:50Z"}));
        assert_eq!(expiring.token_cache("f".into(), 5000, WriteMethod::Patch).expires_at_ms, Some(5000));
        assert_eq!((cache.period_ms, cache.last_renewed_ms), (Some(60_000), 9000));
    }
}
