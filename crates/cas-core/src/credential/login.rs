//! The object `claudeAiOauth` of `.credentials.json`: a login.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::javascript;
use crate::credential::json_edit;
use crate::time::timestamp::Timestamp;
use cas_protocol::secret::Secret;

/// The scope that Claude Code requires of a login (`docs/design/claude-code.md`).
pub const REQUIRED_SCOPE: &str = "user:inference";

const NO_REFRESH_TOKEN: &str = "there is no refresh token";

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
        access_token(self.json.expose())
    }
}

/// Returns the access token of the object, complete or not.
pub fn access_token(object: &str) -> Option<Secret<String>> {
    let members = serde_json::from_str::<Members<'_>>(object).ok()?;
    text(&members, "accessToken").map(|mut token| Secret::new(std::mem::take(&mut *token)))
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

/// A login that Claude Code uses and does not refresh ahead of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRefreshable {
    /// Why it is not refreshed.
    pub why: &'static str,
    /// The access token, if it is used as it is: a setup token that was pasted into the file.
    pub token: Option<UnrefreshedToken>,
}

impl NotRefreshable {
    /// Returns a login whose access token cannot be verified by value.
    pub const fn without_token(why: &'static str) -> Self {
        Self { why, token: None }
    }
}

/// An access token that Claude Code uses without a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnrefreshedToken {
    /// The fingerprint of the token.
    pub fingerprint: Fingerprint,
    /// The expiry that the file states. Claude Code uses the token after it, too.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a refresh token, which Claude Code tries after a rejection.
    pub has_refresh_token: bool,
}

/// The result of parsing a `claudeAiOauth` object.
#[derive(Debug)]
pub enum ParsedLogin {
    /// A complete login. Its access token may have expired.
    Complete(Login),
    /// A complete login whose access token Claude Code does not use as it is. It exchanges the
    /// refresh token if the access token has expired.
    RefreshFirst(Login, AccessProblem),
    /// Claude Code would use its access token, but does not refresh it ahead of time.
    NotRefreshable(NotRefreshable),
    /// What Claude Code writes when a refresh is rejected: empty tokens.
    Cleared,
    /// Claude Code reports "Not logged in" for it.
    Invalid(&'static str),
}

/// The reason why an access token that has not expired is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessProblem {
    /// The scopes do not include [`REQUIRED_SCOPE`].
    MissingScope,
    /// The scopes are neither a list nor text. A current client does not start with such a file.
    UnreadableScopes,
    /// The access token is not text.
    NotText,
}

impl AccessProblem {
    /// Returns the reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingScope => "the scope user:inference is missing",
            Self::UnreadableScopes => "scopes is neither a list nor text",
            Self::NotText => "the access token is not text",
        }
    }
}

/// Parses the JSON text of the object. Total: each text has a result.
///
/// The rules are those of the real clients, which do not check the type of a member. The suite
/// `credential_files` compares the two.
pub fn parse(object: &RawValue) -> ParsedLogin {
    let Ok(members) = serde_json::from_str::<Members<'_>>(object.get()) else {
        return ParsedLogin::Invalid("claudeAiOauth is not an object");
    };
    let value = |name: &str| members.get(name).map(|raw| raw.get());
    if !value("accessToken").is_some_and(javascript::is_truthy) {
        let is_cleared = ["accessToken", "refreshToken"].iter().all(|name| value(name) == Some("\"\""));
        return if is_cleared {
            ParsedLogin::Cleared
        } else {
            ParsedLogin::Invalid("there is no access token")
        };
    }
    let problem = access_problem(&members);
    let otherwise = |why| match problem {
        Some(AccessProblem::MissingScope | AccessProblem::UnreadableScopes) => {
            ParsedLogin::Invalid(problem.map_or(why, AccessProblem::as_str))
        }
        Some(AccessProblem::NotText) | None => {
            ParsedLogin::NotRefreshable(NotRefreshable::without_token(why))
        }
    };
    if value("accessToken").is_some_and(|json| json.starts_with(['[', '{'])) {
        return otherwise(AccessProblem::NotText.as_str());
    }
    let expires_at = value("expiresAt").filter(|json| *json != "null").and_then(javascript::number);
    let Some(refresh) = text(&members, "refreshToken").filter(|token| !token.is_empty()) else {
        let token = text(&members, "accessToken").filter(|_| problem.is_none());
        let Some(token) = token else { return otherwise(NO_REFRESH_TOKEN) };
        return ParsedLogin::NotRefreshable(NotRefreshable {
            why: NO_REFRESH_TOKEN,
            token: Some(UnrefreshedToken {
                fingerprint: Fingerprint::from_bytes(&token),
                expires_at: expires_at.map(millis),
                has_refresh_token: false,
            }),
        });
    };
    let Some(expires_at) = expires_at else {
        return otherwise("expiresAt is not a number");
    };
    let login = Login {
        json: Secret::new(compact(object.get())),
        summary: LoginSummary {
            generation: RefreshTokenId::from_bytes(&refresh),
            expires_at: millis(expires_at),
            login_expires_at: number(&members, "refreshTokenExpiresAt").map(millis),
            owner: Owner {
                account: text(&members, "accountUuid").map(|value| value.to_string()),
                organization: text(&members, "organizationUuid").map(|value| value.to_string()),
            },
        },
    };
    match problem {
        Some(problem) => ParsedLogin::RefreshFirst(login, problem),
        None => ParsedLogin::Complete(login),
    }
}

/// The members, each still as JSON text, so that one of the wrong type does not hide the others. As
/// in JavaScript, the last of two members with the same name counts.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn text(members: &Members<'_>, name: &str) -> Option<Zeroizing<String>> {
    members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()).map(Zeroizing::new)
}

fn number(members: &Members<'_>, name: &str) -> Option<f64> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

/// A float cast saturates: a negative time becomes the epoch, a huge one the end of the range.
fn millis(number: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating on purpose")]
    Timestamp::from_millis(number as u64)
}

/// Claude Code asks `scopes.includes(…)`, which a text has as well.
fn access_problem(members: &Members<'_>) -> Option<AccessProblem> {
    let json = members.get("scopes").map_or("null", |raw| raw.get());
    let is_included = match json.as_bytes().first() {
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(json).is_ok_and(|scopes| {
            let scope = |raw: &&RawValue| serde_json::from_str::<String>(raw.get()).ok();
            scopes.iter().filter_map(scope).any(|scope| scope == REQUIRED_SCOPE)
        }),
        Some(b'"') => text(members, "scopes").is_some_and(|scopes| scopes.contains(REQUIRED_SCOPE)),
        Some(b'n') | None => false,
        Some(_) => return Some(AccessProblem::UnreadableScopes),
    };
    if !is_included {
        return Some(AccessProblem::MissingScope);
    }
    text(members, "accessToken").is_none().then_some(AccessProblem::NotText)
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
#[path = "login_tests.rs"]
mod tests;
