//! The object `claudeAiOauth` of `.credentials.json`: a login.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::credential::fingerprint::RefreshTokenId;
use crate::credential::json_edit;
use crate::time::timestamp::Timestamp;
use cas_protocol::secret::Secret;

/// The scope that Claude Code requires of a login (`docs/design/claude-code.md`).
pub const REQUIRED_SCOPE: &str = "user:inference";

/// A complete login: both tokens, a numeric expiry and the scope for inference.
#[derive(Debug)]
pub struct Login {
    /// The whole object as compact JSON with all members: what is backed up and restored.
    pub json: Secret<String>,
    /// The part of the login that is not secret.
    pub summary: LoginSummary,
}

impl Login {
    /// Returns the login with the account and organization of `owner` in its JSON, as newer clients
    /// write them, where it has none.
    #[must_use]
    pub fn with_owner(self, owner: &Owner) -> Self {
        let named = self.summary.owner.clone().merged_with(owner);
        let mut json = Zeroizing::new(self.json.expose().clone());
        for (name, before, after) in [
            ("accountUuid", &self.summary.owner.account, &named.account),
            ("organizationUuid", &self.summary.owner.organization, &named.organization),
        ] {
            if let (None, Some(value)) = (before, after) {
                let value = serde_json::Value::from(value.as_str()).to_string();
                *json = json_edit::set_member(json.as_bytes(), name, &value);
            }
        }
        let json = Secret::new(std::mem::take(&mut *json));
        Self { json, summary: LoginSummary { owner: named, ..self.summary } }
    }

    /// Returns the access token, for a verification by value.
    pub fn access_token(&self) -> Option<Secret<String>> {
        let members = serde_json::from_str::<Members<'_>>(self.json.expose()).ok()?;
        text(&members, "accessToken").map(|mut token| Secret::new(std::mem::take(&mut *token)))
    }
}

/// The properties of a login that are not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSummary {
    /// The fingerprint of its refresh token.
    pub generation: RefreshTokenId,
    /// When the access token expires (about 8 hours after a refresh).
    pub expires_at: Timestamp,
    /// When the login expires and the user has to sign in again, if the login states it.
    pub login_expires_at: Option<Timestamp>,
    /// The account and organization.
    pub owner: Owner,
}

/// The account and organization of a login. Older clients drop both when they refresh it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// The account UUID.
    pub account: Option<String>,
    /// The organization UUID.
    pub organization: Option<String>,
}

impl Owner {
    /// Returns true if both name an account or an organization and the names differ.
    pub fn contradicts(&self, other: &Self) -> bool {
        let differ = |left: &Option<String>, right: &Option<String>| {
            left.is_some() && right.is_some() && left != right
        };
        differ(&self.account, &other.account) || differ(&self.organization, &other.organization)
    }

    /// Fills in what is missing from `other`, unless the two contradict each other.
    #[must_use]
    pub fn merged_with(self, other: &Self) -> Self {
        if self.contradicts(other) {
            return self;
        }
        Self {
            account: self.account.or_else(|| other.account.clone()),
            organization: self.organization.or_else(|| other.organization.clone()),
        }
    }
}

/// The result of parsing a `claudeAiOauth` object.
#[derive(Debug)]
pub enum ParsedLogin {
    /// A complete login. Its access token may have expired.
    Complete(Login),
    /// Claude Code would use its access token, but cannot refresh it.
    NotRefreshable(&'static str),
    /// What Claude Code writes when a refresh is rejected: empty tokens and `expiresAt` 0.
    Cleared,
    /// Claude Code reports "Not logged in" for it.
    Invalid(&'static str),
}

/// Parses the JSON text of the object. Total: each text has a result.
pub fn parse(object: &RawValue) -> ParsedLogin {
    let Ok(members) = serde_json::from_str::<Members<'_>>(object.get()) else {
        return ParsedLogin::Invalid("claudeAiOauth is not an object");
    };
    let access = text(&members, "accessToken").unwrap_or_default();
    let refresh = text(&members, "refreshToken");
    let expires_at = millis(&members, "expiresAt");
    if access.is_empty() {
        let cleared = refresh.as_ref().is_some_and(|token| token.is_empty());
        return match expires_at {
            Some(expiry) if cleared && expiry.millis() == 0 => ParsedLogin::Cleared,
            _ => ParsedLogin::Invalid("there is no access token"),
        };
    }
    if !has_required_scope(&members) {
        return ParsedLogin::Invalid("the scope user:inference is missing");
    }
    let refresh = refresh.unwrap_or_default();
    if refresh.is_empty() {
        return ParsedLogin::NotRefreshable("there is no refresh token");
    }
    let Some(expires_at) = expires_at else {
        return ParsedLogin::NotRefreshable("expiresAt is not a number");
    };
    ParsedLogin::Complete(Login {
        json: Secret::new(compact(object.get())),
        summary: LoginSummary {
            generation: RefreshTokenId::from_bytes(&refresh),
            expires_at,
            login_expires_at: millis(&members, "refreshTokenExpiresAt"),
            owner: Owner {
                account: text(&members, "accountUuid").map(|value| value.to_string()),
                organization: text(&members, "organizationUuid").map(|value| value.to_string()),
            },
        },
    })
}

/// The members, each still as JSON text, so that one of the wrong type does not hide the others. As
/// in JavaScript, the last of two members with the same name counts.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn text(members: &Members<'_>, name: &str) -> Option<Zeroizing<String>> {
    members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()).map(Zeroizing::new)
}

fn millis(members: &Members<'_>, name: &str) -> Option<Timestamp> {
    let number = serde_json::from_str::<f64>(members.get(name)?.get()).ok()?;
    // A float cast saturates: a negative time becomes the epoch, a huge one the end of the range.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating on purpose")]
    Some(Timestamp::from_millis(number as u64))
}

fn has_required_scope(members: &Members<'_>) -> bool {
    let scopes = members.get("scopes").and_then(|raw| serde_json::from_str::<Vec<String>>(raw.get()).ok());
    scopes.unwrap_or_default().iter().any(|scope| scope == REQUIRED_SCOPE)
}

/// Removes the white space between tokens. Numbers, strings and the order of members are unchanged.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut result = String::with_capacity(json.len());
    for character in json.chars() {
        if in_string || !character.is_ascii_whitespace() {
            result.push(character);
        }
        if character == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = character == '\\' && !escaped;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> ParsedLogin {
        parse(serde_json::from_str::<&RawValue>(json).expect("a row is JSON"))
    }

    #[test]
    fn complete_login_has_a_summary_and_compact_json() {
        let ParsedLogin::Complete(login) = parsed(
            r#"{ "accessToken": "a", "refreshToken": "abc", "expiresAt": 1750000000999, "scopes": ["user:inference"],
                 "refreshTokenExpiresAt": 2, "accountUuid": "acc", "organizationUuid": "org", "x": "a \"b\\" }"#,
        ) else {
            panic!("this is a login");
        };
        assert_eq!(login.summary.generation, RefreshTokenId::from_bytes("abc"));
        assert_eq!(login.summary.expires_at.millis(), 1_750_000_000_999);
        assert_eq!(login.summary.login_expires_at, Some(Timestamp::from_millis(2)));
        assert_eq!(login.summary.owner.account.as_deref(), Some("acc"));
        assert_eq!(login.summary.owner.organization.as_deref(), Some("org"));
        assert_eq!(
            login.json.expose(),
            r#"{"accessToken":"a","refreshToken":"abc","expiresAt":1750000000999,"scopes":["user:inference"],"refreshTokenExpiresAt":2,"accountUuid":"acc","organizationUuid":"org","x":"a \"b\\"}"#
        );
    }

    #[test]
    fn owner_is_added_only_to_a_login_that_has_none() {
        let login = |own: &str| {
            let json = format!(
                r#"{{{own}"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}}"#
            );
            match parsed(&json) {
                ParsedLogin::Complete(login) => login,
                other => panic!("{other:?}"),
            }
        };
        let owner = Owner { account: Some("one".into()), organization: Some("a \"quote\"".into()) };
        let named = login("").with_owner(&owner);
        assert_eq!(named.summary.owner, owner);
        let ParsedLogin::Complete(read) = parsed(named.json.expose()) else { panic!("it stays a login") };
        assert_eq!((&read.summary, read.access_token()), (&named.summary, named.access_token()));
        let other = login(r#""accountUuid":"two","#);
        let before = other.json.expose().clone();
        assert_eq!(
            other.with_owner(&owner).json.expose(),
            &before,
            "another account's organization is not added"
        );
        let same = login(r#""accountUuid":"one","#).with_owner(&owner);
        assert_eq!(same.summary.owner, owner);
    }

    /// One row per row of the table of file states in `docs/design/claude-code.md`.
    #[test]
    fn incomplete_login_objects_are_classified() {
        let rows = [
            (
                r#"{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}"#,
                "Tombstone",
            ),
            (
                r#"{"accessToken":"","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#,
                "Unusable",
            ),
            (r#"{"accessToken":"","refreshToken":"","expiresAt":5}"#, "Unusable"),
            (r#"{"refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#, "Unusable"),
            (r#"{"accessToken":7,"refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#, "Unusable"),
            (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9}"#, "Unusable"),
            (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":[]}"#, "Unusable"),
            (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:profile"]}"#, "Unusable"),
            (r#"{"accessToken":"a","refreshToken":"","expiresAt":9,"scopes":["user:inference"]}"#, "Partial"),
            (r#"{"accessToken":"a","expiresAt":9,"scopes":["user:inference"]}"#, "Partial"),
            (r#"{"accessToken":"a","refreshToken":"r","scopes":["user:inference"]}"#, "Partial"),
            (
                r#"{"accessToken":"a","refreshToken":"r","expiresAt":"9","scopes":["user:inference"]}"#,
                "Partial",
            ),
            (r#"{"accessToken":"a","refreshToken":"r","expiresAt":0,"scopes":["user:inference"]}"#, "Login"),
            (r#"{"accessToken":"a","refreshToken":"r","expiresAt":-1,"scopes":["user:inference"]}"#, "Login"),
            (
                r#"{"accessToken":"a","refreshToken":"r","expiresAt":1e99,"scopes":["user:inference"]}"#,
                "Login",
            ),
            (r#"[]"#, "Unusable"),
            (r#""text""#, "Unusable"),
            (r#"{}"#, "Unusable"),
        ];
        for (json, expected) in rows {
            let found = match parsed(json) {
                ParsedLogin::Complete(_) => "Login",
                ParsedLogin::NotRefreshable(_) => "Partial",
                ParsedLogin::Cleared => "Tombstone",
                ParsedLogin::Invalid(_) => "Unusable",
            };
            assert_eq!(found, expected, "{json}");
        }
    }
}
