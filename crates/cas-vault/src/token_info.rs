//! Decides whose token this is, from what the server says about it (`auth/token/lookup-self`).

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::policy::{self, POLICY_PREFIX};
use super::redact::redact_server_text;
use super::token_cache::{TokenCache, WriteMethod};

/// What the server says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
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

/// What a lookup tells. The answer also holds the token itself, which is not read. Fields may be missing: a root token
/// has fewer, and one made through a role has no `period`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lookup {
    policies: Option<Vec<String>>,
    meta: Option<Value>,
    display_name: Option<String>,
    /// In whole seconds: 0 in the last one, and for a token that never expires.
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
    /// Whether the token is this user's own and nobody else's. `meta.user` says so; where it is missing, the policy
    /// does. The display name cannot, since `j.doe` and `j_doe` share one, but it can contradict.
    pub(super) fn check_owner(&self, user: &str) -> Result<(), TokenOwnerError> {
        let policies = self.policies.as_deref().unwrap_or_default();
        if policies.iter().any(|policy| policy == "root") {
            return Err(TokenOwnerError::Root);
        }
        match self.meta.as_ref().and_then(|meta| meta.get("user")) {
            Some(Value::String(name)) if name == user => {}
            Some(other) => {
                return Err(TokenOwnerError::Person(redact_server_text(other.as_str().unwrap_or("nobody"))));
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

    /// What an admin wants to know of the token, asked about at `now_ms`.
    pub(super) fn standing(&self, user: &str, now_ms: u64) -> TokenInfo {
        let memory = self.remember(String::new(), now_ms, WriteMethod::default());
        TokenInfo {
            accessor: self.accessor.clone().unwrap_or_default(),
            foreign: self.check_owner(user).err().map(|why| why.to_string()),
            expires_at_ms: memory.expires_at_ms,
            is_renewable: self.renewable,
            is_orphan: self.orphan,
            host: self.meta.as_ref().and_then(|meta| meta.get("host")?.as_str()).map(redact_server_text),
        }
    }

    /// What to remember of the token named by `fingerprint`, asked about at `now_ms`.
    pub(super) fn remember(&self, fingerprint: String, now_ms: u64, writes_by: WriteMethod) -> TokenCache {
        let expires = self.ttl > 0 || self.expire_time.is_some();
        let period = self.period.filter(|seconds| *seconds > 0).unwrap_or(self.creation_ttl);
        TokenCache {
            fingerprint,
            checked_at_ms: now_ms,
            expires_at_ms: expires.then(|| now_ms.saturating_add(self.ttl.saturating_mul(1000))),
            last_renewed_ms: self.last_renewal_time.unwrap_or(self.creation_time).saturating_mul(1000),
            period_ms: (period > 0).then(|| period.saturating_mul(1000)),
            renewable: self.renewable,
            write_method: writes_by,
        }
    }
}

const DISPLAY_PREFIX: &str = "token-devvm-claude-auth-";

fn only_policy(policies: &[String], user: &str) -> Result<(), TokenOwnerError> {
    let mut personal = policies.iter().filter(|policy| policy.starts_with(POLICY_PREFIX)).peekable();
    if personal.peek().is_none() {
        return Err(TokenOwnerError::Nobody);
    }
    match personal.find(|name| **name != policy::policy_name(user)) {
        Some(name) => Err(TokenOwnerError::Policy(redact_server_text(name))),
        None => Ok(()),
    }
}

/// The display name as Vault stores it: everything but letters, digits and dashes becomes a dash, and one dash is cut
/// off the end.
fn display_name(user: &str) -> String {
    let name: String = format!("{DISPLAY_PREFIX}{user}")
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    name.strip_suffix('-').unwrap_or(&name).to_owned()
}

/// The token is not the user's own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenOwnerError {
    Root,
    Nobody,
    Person(String),
    Policy(String),
    DisplayName(String),
}

impl fmt::Display for TokenOwnerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("it is a root token"),
            Self::Nobody => write!(formatter, "it has neither meta.user nor a policy {POLICY_PREFIX}USER"),
            Self::Person(name) => write!(formatter, "its meta.user is {name:?}"),
            Self::Policy(name) => write!(formatter, "it has the policy {name:?}"),
            Self::DisplayName(name) => write!(formatter, "its display name is {name:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(value: Value) -> Lookup {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_token_is_accepted_from_its_user_only() {
        let both = json!(["workstation-claude-alice", "workstation-claude-bob"]);
        for (value, expected) in [
            (json!({"policies": ["workstation-claude-alice"]}), Ok(())),
            (json!({"policies": ["workstation-claude-alice", "default"], "meta": null}), Ok(())),
            (json!({"policies": ["whatever"], "meta": {"user": "alice", "host": "x"}}), Ok(())),
            (json!({"policies": both, "meta": {"user": "alice"}}), Ok(())),
            (json!({"policies": both}), Err(TokenOwnerError::Policy("workstation-claude-bob".into()))),
            (
                json!({"policies": ["workstation-claude-alice"], "meta": {"user": "bob"}}),
                Err(TokenOwnerError::Person("bob".into())),
            ),
            (json!({"policies": ["a"], "meta": {"user": 1}}), Err(TokenOwnerError::Person("nobody".into()))),
            (
                json!({"policies": ["workstation-claude-bob"]}),
                Err(TokenOwnerError::Policy("workstation-claude-bob".into())),
            ),
            (json!({"policies": ["root"], "meta": {"user": "alice"}}), Err(TokenOwnerError::Root)),
            (json!({"policies": ["admin"]}), Err(TokenOwnerError::Nobody)),
            (json!({"policies": null}), Err(TokenOwnerError::Nobody)),
            (json!({}), Err(TokenOwnerError::Nobody)),
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
    fn names_are_compared_in_the_form_in_which_the_server_keeps_them() {
        let value = json!({
            "policies": ["workstation-claude-j.doe_x-"],
            "display_name": "token-devvm-claude-auth-J-Doe-x",
        });
        assert_eq!(lookup(value.clone()).check_owner("J.Doe_x-"), Ok(()));
        assert!(lookup(value).check_owner("j.doe_x-").is_err(), "the case of a display name is kept");
    }

    #[test]
    fn lifetimes_are_remembered_whatever_kind_of_token_it_is() {
        let role = lookup(json!({"ttl": 100, "creation_ttl": 300, "creation_time": 7, "renewable": true}));
        let memory = role.remember("f".into(), 5000, WriteMethod::Put);
        assert_eq!(memory.expires_at_ms, Some(105_000));
        assert_eq!((memory.period_ms, memory.last_renewed_ms), (Some(300_000), 7000));
        assert_eq!(memory.write_method, WriteMethod::Put);
        let renewed = lookup(json!({"period": 60, "last_renewal_time": 9, "creation_time": 7}));
        let memory = renewed.remember("f".into(), 5000, WriteMethod::Patch);
        assert_eq!(memory.expires_at_ms, None);
        let dying = lookup(json!({"ttl": 0, "expire_time": "2026-11-21T08:03:50Z"}));
        assert_eq!(dying.remember("f".into(), 5000, WriteMethod::Patch).expires_at_ms, Some(5000));
        assert_eq!((memory.period_ms, memory.last_renewed_ms), (Some(60_000), 9000));
    }
}
