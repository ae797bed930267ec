//! The content of a user's `.credentials.json`, as Claude Code reads it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credential::fingerprint::Fingerprint;
use crate::credential::json_edit::{parse_members, set_member, without_member};
use crate::credential::login::{
    self, AccessProblem, Login, LoginSummary, NotRefreshable, ParsedLogin, UnrefreshedToken,
};
use crate::time::timestamp::Timestamp;
use cas_protocol::secret::Secret;

/// The time before its expiry from which Claude Code refreshes an access token.
pub const REFRESH_MARGIN: Duration = Duration::from_secs(5 * 60);

/// The longest access token lifetime that is believed. Real ones are about eight hours.
pub const MAX_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The age from which an expiry is not believed. Claude Code is younger, so no real login expired
/// this long ago.
const MAX_AGE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The member of `.credentials.json` that holds the login. Every other member belongs to other
/// programs.
pub const LOGIN_KEY: &str = "claudeAiOauth";

/// Where the credential file was when a complete login was seen in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginPlace {
    /// Recorded by a version that did not record the place.
    #[default]
    Unknown,
    /// The path is a regular file.
    File,
    /// The path is a symlink with this target. Account switchers keep one file per account and
    /// change the symlink.
    Link(Fingerprint),
}

/// The states of a credential file. `L` is the login, or its summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginFileState<L = Login> {
    /// A complete login with a valid access token.
    Valid(L),
    /// A complete login that Claude Code has to refresh before it can use it.
    AccessTokenExpired(L),
    /// Claude Code would use the access token, but cannot refresh it. Such a file is not changed
    /// and never backed up.
    NotRefreshable(NotRefreshable),
    /// Claude Code cleared the login after a refresh was rejected.
    ClearedByClient,
    /// There is content, but Claude Code finds no login in it.
    Invalid(&'static str),
    /// There is no file, or no login in it.
    Missing,
    /// The file cannot be read as a file of the user. Nothing is known and nothing is done.
    Unreadable(String),
}

impl LoginFileState {
    /// Parses the content of the file. Total: each content has a state.
    pub fn parse(content: &[u8], now: Timestamp) -> Self {
        // Claude Code replaces bytes that are not UTF-8, so it may be able to use such a login.
        let Ok(text) = std::str::from_utf8(content) else {
            return match Self::parse_text(&String::from_utf8_lossy(content), now) {
                Self::Valid(_) | Self::AccessTokenExpired(_) => {
                    Self::NotRefreshable(NotRefreshable::without_token("the file is not UTF-8"))
                }
                other => other,
            };
        };
        Self::parse_text(text, now)
    }

    fn parse_text(text: &str, now: Timestamp) -> Self {
        let Some(members) = parse_members(text) else {
            return Self::Invalid("the file is not a JSON object");
        };
        let Some((_, object)) = members.iter().rev().find(|(name, _)| name == LOGIN_KEY) else {
            return Self::Missing;
        };
        if object.get() == "null" {
            return Self::Missing;
        }
        match login::parse(object) {
            ParsedLogin::Complete(login) if !is_plausible(login.summary.expires_at, now) => {
                Self::NotRefreshable(with_implausible_expiry(&login))
            }
            ParsedLogin::Complete(login) if is_fresh(login.summary.expires_at, now) => Self::Valid(login),
            ParsedLogin::Complete(login) => Self::AccessTokenExpired(login),
            ParsedLogin::RefreshFirst(login, problem) => Self::refresh_first(login, problem, now),
            ParsedLogin::NotRefreshable(login) => Self::NotRefreshable(login),
            ParsedLogin::Cleared => Self::ClearedByClient,
            ParsedLogin::Invalid(why) => Self::Invalid(why),
        }
    }

    /// A login without a usable access token. If the token has expired, the client refreshes it
    /// first.
    fn refresh_first(login: Login, problem: AccessProblem, now: Timestamp) -> Self {
        let is_fresh = is_fresh(login.summary.expires_at, now);
        match problem {
            AccessProblem::NotText if is_fresh => {
                Self::NotRefreshable(NotRefreshable::without_token(problem.as_str()))
            }
            // An older client refreshes it.
            AccessProblem::UnreadableScopes if !is_fresh => {
                Self::NotRefreshable(NotRefreshable::without_token(problem.as_str()))
            }
            _ if is_fresh => Self::Invalid(problem.as_str()),
            _ => Self::AccessTokenExpired(login),
        }
    }

    /// Returns the state without secrets.
    pub fn summary(&self) -> LoginFileState<LoginSummary> {
        match self {
            Self::Valid(login) => LoginFileState::Valid(login.summary.clone()),
            Self::AccessTokenExpired(login) => LoginFileState::AccessTokenExpired(login.summary.clone()),
            Self::NotRefreshable(login) => LoginFileState::NotRefreshable(login.clone()),
            Self::ClearedByClient => LoginFileState::ClearedByClient,
            Self::Invalid(why) => LoginFileState::Invalid(why),
            Self::Missing => LoginFileState::Missing,
            Self::Unreadable(why) => LoginFileState::Unreadable(why.clone()),
        }
    }
}

impl<L> LoginFileState<L> {
    /// Returns the complete login, if there is one. Its access token may have expired.
    pub fn login(&self) -> Option<&L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// Returns the login of [`LoginFileState::login`], mutably.
    pub fn login_mut(&mut self) -> Option<&mut L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// Converts the state into its complete login, if there is one.
    pub fn into_login(self) -> Option<L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// Returns the access token that Claude Code uses without a refresh, if the login has one.
    pub fn unrefreshed_token(&self) -> Option<UnrefreshedToken> {
        match self {
            Self::NotRefreshable(login) => login.token,
            _ => None,
        }
    }

    /// Returns true if Claude Code finds no login. Only then may the login be replaced without
    /// having been rejected.
    pub fn needs_restore(&self) -> bool {
        matches!(self, Self::ClearedByClient | Self::Invalid(_) | Self::Missing)
    }
}

/// Returns a login whose access token would last longer than any real one: a setup token beside
/// another text for the refresh token, or an expiry that a wrong clock has left.
fn with_implausible_expiry(login: &Login) -> NotRefreshable {
    let token = login.access_token().map(|token| UnrefreshedToken {
        fingerprint: Fingerprint::from_bytes(token.expose()),
        expires_at: Some(login.summary.expires_at),
        has_refresh_token: true,
    });
    NotRefreshable { why: "its access token would last longer than any real one", token }
}

/// Returns the access token in the content, complete login or not.
pub fn access_token(content: &[u8]) -> Option<Secret<String>> {
    login::access_token(&Zeroizing::new(login_text(content)?))
}

/// Returns true if an access token with this expiry can be used without a refresh.
pub fn is_fresh(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at > now.saturating_add(REFRESH_MARGIN)
}

/// Returns true if an access token can expire then. A lifetime above [`MAX_ACCESS_TOKEN_LIFETIME`]
/// comes from a wrong clock or an edit by hand, and would outrank every real login.
pub fn is_plausible(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at <= now.saturating_add(MAX_ACCESS_TOKEN_LIFETIME)
}

/// Returns true if an expiry can order two logins. Zero, and a time in seconds as some tools write
/// it, are decades before `now`. The client refreshes such a login, and its expiry does not tell
/// whether it is older than another one.
pub fn is_dated(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at.saturating_add(MAX_AGE) >= now
}

/// Replaces the login in the content with `object` (JSON text), and keeps every other byte. Content
/// that is not a JSON object becomes an object with the login alone. Bytes that are not UTF-8 are
/// replaced, as Claude Code does.
pub fn with_login(content: &[u8], object: &str) -> String {
    set_member(content, LOGIN_KEY, object)
}

/// Returns the JSON text of the login in the content, complete or not. Returns `None` without a
/// login, or if the content is not a JSON object.
pub fn login_text(content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let (_, object) = parse_members(&text)?.into_iter().rev().find(|(name, _)| name == LOGIN_KEY)?;
    (object.get() != "null").then(|| object.get().to_owned())
}

/// Replaces the login in `content` with the login of `other`, or removes it if `other` has none.
/// Every other byte is kept. If `other` is not a JSON object and nothing but the login has changed
/// since it was replaced, its bytes come back as they were. Returns `None` if `other` is empty
/// (there was no file) and `content` has nothing but the login.
pub fn with_login_from(content: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let theirs = &*String::from_utf8_lossy(other);
    let theirs = theirs.strip_prefix('\u{feff}').unwrap_or(theirs);
    let rest = without_member(&String::from_utf8_lossy(content), LOGIN_KEY);
    let Some(members) = parse_members(theirs) else {
        let is_unchanged = rest == without_member(&with_login(other, "null"), LOGIN_KEY);
        let is_empty = parse_members(&rest).is_none_or(|members| members.is_empty());
        return match other.is_empty() {
            true => (!is_empty).then(|| rest.into_bytes()),
            false => Some(if is_unchanged { other.to_vec() } else { rest.into_bytes() }),
        };
    };
    let object = members.into_iter().rev().find(|(name, _)| name == LOGIN_KEY);
    Some(object.map_or(rest, |(_, object)| with_login(content, object.get())).into_bytes())
}

#[cfg(test)]
#[path = "login_file_tests.rs"]
mod tests;
