//! What lies in a person's `.credentials.json`, as Claude Code would take it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::fingerprint::Fingerprint;
use crate::credential::json_edit::{parse_members, position, set_member};
use crate::credential::login::{self, Login, LoginSummary, ParsedLogin};
use crate::time::timestamp::Timestamp;

/// How long before its end an access token counts as stale: Claude Code refreshes it from then on.
pub const REFRESH_MARGIN: Duration = Duration::from_secs(5 * 60);

/// The longest life of an access token that is believed; real ones last about eight hours.
pub const MAX_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The name of the member of `.credentials.json` that holds the login; every other member belongs to others.
pub const LOGIN_KEY: &str = "claudeAiOauth";

/// Where the credential file lay when a complete login was seen in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginPlace {
    /// An older version did not note it.
    #[default]
    Unknown,
    /// The path is the file.
    File,
    /// The path is a link with this target: account switchers have one file for each account, and point the link elsewhere.
    Link(Fingerprint),
}

/// The states a credential file can be in. `L` is the login itself, or only its summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginFileState<L = Login> {
    /// A complete login whose access token is fresh.
    Valid(L),
    /// A complete login that Claude Code has to refresh before it can use it.
    AccessTokenExpired(L),
    /// Claude Code would use this as it is, but it cannot be refreshed: left alone, and never backed up.
    NotRefreshable(&'static str),
    /// Emptied by Claude Code after a refresh that was refused for good.
    ClearedByClient,
    /// There is something, and Claude Code takes it for no login.
    Invalid(&'static str),
    /// No file, or no login in it.
    Missing,
    /// The file could not be read as the person's own: nothing is known, nothing is done.
    Unreadable(String),
}

impl LoginFileState {
    /// Reads the content of the file. Total: every content has an answer.
    pub fn parse(content: &[u8], now: Timestamp) -> Self {
        // Claude Code replaces what is not UTF-8; a login it can use that way must not be taken for a broken one.
        let Ok(text) = std::str::from_utf8(content) else {
            return match Self::parse_text(&String::from_utf8_lossy(content), now) {
                Self::Valid(_) | Self::AccessTokenExpired(_) => Self::NotRefreshable("the file is not UTF-8"),
                other => other,
            };
        };
        Self::parse_text(text, now)
    }

    fn parse_text(text: &str, now: Timestamp) -> Self {
        let Some(members) = parse_members(text) else {
            return Self::Invalid("the file is no JSON object");
        };
        let Some((_, object)) = members.iter().rev().find(|(name, _)| name == LOGIN_KEY) else {
            return Self::Missing;
        };
        if object.get() == "null" {
            return Self::Missing;
        }
        match login::parse(object) {
            ParsedLogin::Complete(login) if !is_plausible(login.summary.expires_at, now) => {
                Self::NotRefreshable("its access token would last longer than any real one")
            }
            ParsedLogin::Complete(login) if is_fresh(login.summary.expires_at, now) => Self::Valid(login),
            ParsedLogin::Complete(login) => Self::AccessTokenExpired(login),
            ParsedLogin::NotRefreshable(why) => Self::NotRefreshable(why),
            ParsedLogin::Cleared => Self::ClearedByClient,
            ParsedLogin::Invalid(why) => Self::Invalid(why),
        }
    }

    /// The same state with all secrets left out.
    pub fn summary(&self) -> LoginFileState<LoginSummary> {
        match self {
            Self::Valid(login) => LoginFileState::Valid(login.summary.clone()),
            Self::AccessTokenExpired(login) => LoginFileState::AccessTokenExpired(login.summary.clone()),
            Self::NotRefreshable(why) => LoginFileState::NotRefreshable(why),
            Self::ClearedByClient => LoginFileState::ClearedByClient,
            Self::Invalid(why) => LoginFileState::Invalid(why),
            Self::Missing => LoginFileState::Missing,
            Self::Unreadable(why) => LoginFileState::Unreadable(why.clone()),
        }
    }
}

impl<L> LoginFileState<L> {
    /// The complete login, fresh or stale, if there is one.
    pub fn login(&self) -> Option<&L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// As [`LoginFileState::login`], to be changed.
    pub fn login_mut(&mut self) -> Option<&mut L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// The complete login itself, if there is one.
    pub fn into_login(self) -> Option<L> {
        match self {
            Self::Valid(login) | Self::AccessTokenExpired(login) => Some(login),
            _ => None,
        }
    }

    /// Whether Claude Code takes this for no login at all: only then may it be replaced without having been rejected.
    pub fn needs_restore(&self) -> bool {
        matches!(self, Self::ClearedByClient | Self::Invalid(_) | Self::Missing)
    }
}

/// Whether an access token that ends then can be used without a refresh.
pub fn is_fresh(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at > now.saturating_add(REFRESH_MARGIN)
}

/// Whether an access token can end then. One that claims more than [`MAX_ACCESS_TOKEN_LIFETIME`] comes from a wrong clock or a wrong
/// hand, and would outrank every real login for ever.
pub fn is_plausible(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at <= now.saturating_add(MAX_ACCESS_TOKEN_LIFETIME)
}

/// The content of the file with its login replaced by `object` (JSON text), and every other byte as it was. A file that
/// is no JSON object cannot be kept: it becomes one that holds nothing but the login. Bytes that are not UTF-8 are replaced
/// as Claude Code does.
pub fn with_login(content: &[u8], object: &str) -> String {
    set_member(content, LOGIN_KEY, object)
}

/// The content with the login of `other` in the place of its own, be it a tombstone or none at all, and every other byte as
/// it was; nothing when `other` was no file and nothing but the login is in this one.
pub fn with_login_of(content: &[u8], other: &[u8]) -> Option<String> {
    let theirs = &*String::from_utf8_lossy(other);
    let theirs = theirs.strip_prefix('\u{feff}').unwrap_or(theirs);
    let object =
        parse_members(theirs).unwrap_or_default().into_iter().rev().find(|(name, _)| name == LOGIN_KEY);
    if let Some((_, object)) = object {
        return Some(with_login(content, object.get()));
    }
    let rest = without_login(&String::from_utf8_lossy(content));
    let is_empty = parse_members(&rest).is_none_or(|members| members.is_empty());
    (!other.is_empty() || !is_empty).then_some(rest)
}

/// The text without its login, and every other byte as it was. In one pass: a file may hold the member any number of times.
fn without_login(text: &str) -> String {
    let Some(members) = parse_members(text) else { return String::from("{}") };
    let end = |index: usize| members.get(index).map_or(0, |(_, value)| position(text, value).end);
    let after_brace = text.find('{').map_or(0, |brace| brace + 1);
    let mut rest = String::from(&text[..after_brace]);
    // Where the text goes on that was not copied yet.
    let mut copied = after_brace;
    let mut is_first = true;
    for (index, (name, _)) in members.iter().enumerate() {
        let end = end(index);
        if name == LOGIN_KEY {
            // The comma goes with it: the one behind it as long as nothing stands before.
            let comma = text[end..].find(',').filter(|_| is_first && index + 1 < members.len());
            copied = comma.map_or(end, |comma| end + comma + 1);
        } else {
            rest.push_str(&text[copied..end]);
            copied = end;
            is_first = false;
        }
    }
    rest.push_str(&text[copied..]);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str =
        r#"{"accessToken":"a","refreshToken":"r","expiresAt":1000000,"scopes":["user:inference"]}"#;

    fn state(content: &[u8], now: u64) -> LoginFileState<LoginSummary> {
        LoginFileState::parse(content, Timestamp::from_millis(now)).summary()
    }

    #[test]
    fn a_login_is_stale_from_five_minutes_before_its_end() {
        let content = format!(r#"{{"claudeAiOauth":{LOGIN}}}"#);
        assert!(matches!(state(content.as_bytes(), 699_999), LoginFileState::Valid(_)));
        assert!(matches!(state(content.as_bytes(), 700_000), LoginFileState::AccessTokenExpired(_)));
        assert!(matches!(state(content.as_bytes(), 2_000_000), LoginFileState::AccessTokenExpired(_)));
    }

    #[test]
    fn every_content_of_the_file_has_a_state() {
        let rows: [(&[u8], LoginFileState<LoginSummary>); 9] = [
            (b"", LoginFileState::Invalid("the file is no JSON object")),
            (b"{", LoginFileState::Invalid("the file is no JSON object")),
            (b"[]", LoginFileState::Invalid("the file is no JSON object")),
            (b"\xef\xbb\xbf{}", LoginFileState::Invalid("the file is no JSON object")),
            (b"{}", LoginFileState::Missing),
            (br#"{"mcpOAuth":{}}"#, LoginFileState::Missing),
            (br#"{"claudeAiOauth":null}"#, LoginFileState::Missing),
            (br#"{"claudeAiOauth":[]}"#, LoginFileState::Invalid("claudeAiOauth is no object")),
            (
                br#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#,
                LoginFileState::ClearedByClient,
            ),
        ];
        for (content, expected) in rows {
            assert_eq!(state(content, 0), expected, "{}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn a_usable_file_with_foreign_bytes_is_never_taken_for_a_broken_one() {
        let content =
            [br#"{"note":""#, &b"\xff"[..], br#"","claudeAiOauth":"#, LOGIN.as_bytes(), b"}"].concat();
        assert_eq!(state(&content, 0), LoginFileState::NotRefreshable("the file is not UTF-8"));
    }

    #[test]
    fn an_access_token_that_would_last_for_years_is_not_believed() {
        let login = LOGIN.replace("1000000", "9999999999999");
        let content = format!(r#"{{"claudeAiOauth":{login}}}"#);
        assert!(matches!(state(content.as_bytes(), 1_750_000_000_000), LoginFileState::NotRefreshable(_)));
    }

    #[test]
    fn of_two_logins_in_one_file_the_last_counts() {
        let content = format!(r#"{{"claudeAiOauth":{LOGIN},"claudeAiOauth":null}}"#);
        assert_eq!(state(content.as_bytes(), 0), LoginFileState::Missing);
        assert_eq!(
            with_login(content.as_bytes(), "7"),
            format!(r#"{{"claudeAiOauth":{LOGIN},"claudeAiOauth":7}}"#)
        );
    }

    #[test]
    fn everything_but_the_login_stays_byte_for_byte() {
        let rows = [
            (
                r#"{"a":1.50,"claudeAiOauth": {"x":1} , "mcpOAuth":{"k":"\u00e4"}}"#,
                r#"{"a":1.50,"claudeAiOauth": L , "mcpOAuth":{"k":"\u00e4"}}"#,
            ),
            ("{\n  \"claudeAiOauth\" : null\n}\n", "{\n  \"claudeAiOauth\" : L\n}\n"),
            (r#" {"mcpOAuth":{}}"#, r#" {"claudeAiOauth":L,"mcpOAuth":{}}"#),
            ("{}", r#"{"claudeAiOauth":L}"#),
            ("", r#"{"claudeAiOauth":L}"#),
            ("\u{feff}{\"mcpOAuth\":{}}", r#"{"claudeAiOauth":L,"mcpOAuth":{}}"#),
            ("{\"torn", r#"{"claudeAiOauth":L}"#),
        ];
        for (before, after) in rows {
            assert_eq!(with_login(before.as_bytes(), "L"), after);
        }
    }

    #[test]
    fn the_login_of_before_comes_back_and_what_was_written_meanwhile_stays() {
        let rows: [(&str, &str, Option<&str>); 12] = [
            (
                r#"{"claudeAiOauth":{"x":1},"new":2}"#,
                r#"{"claudeAiOauth": "T" ,"old":1}"#,
                Some(r#"{"claudeAiOauth":"T","new":2}"#),
            ),
            (r#"{"claudeAiOauth":{"x":1},"new":2}"#, r#"{"old":1}"#, Some(r#"{"new":2}"#)),
            (r#"{ "a":1, "claudeAiOauth":{"x":1} }"#, "", Some(r#"{ "a":1 }"#)),
            (r#"{"a":1,"claudeAiOauth":{"x":1},"b":2}"#, "{torn", Some(r#"{"a":1,"b":2}"#)),
            (r#"{"claudeAiOauth":1,"a":1,"claudeAiOauth":2}"#, "{}", Some(r#"{"a":1}"#)),
            (r#"{"claudeAiOauth":1,"claudeAiOauth":2,"a":1}"#, "{}", Some(r#"{"a":1}"#)),
            (r#"{"a":1,"claudeAiOauth":1,"claudeAiOauth":2 ,"b":2}"#, "{}", Some(r#"{"a":1 ,"b":2}"#)),
            (r#"{ "claudeAiOauth":1, "claudeAiOauth":2 }"#, "{}", Some("{ }")),
            (r#"{"claudeAiOauth":{"x":","}}"#, "{torn", Some("{}")),
            (r#"{"claudeAiOauth":{"x":1}}"#, "{}", Some("{}")),
            (r#"{"claudeAiOauth":{"x":1}}"#, "", None),
            ("{}", "", None),
        ];
        for (content, other, expected) in rows {
            let found = with_login_of(content.as_bytes(), other.as_bytes());
            assert_eq!(found.as_deref(), expected, "{content} {other}");
        }
    }

    /// Runs with the stack of a small thread: what its user wrote into a file must not depend on the stack of a program.
    fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread");
        thread.join().expect("the stack is large enough");
    }

    #[test]
    fn a_file_with_the_login_many_times_is_read_in_one_pass() {
        on_a_small_stack(|| {
            let content = format!("{{{}\"a\":1}}", r#""claudeAiOauth":{},"#.repeat(200_000));
            assert_eq!(with_login_of(content.as_bytes(), b"{}").as_deref(), Some(r#"{"a":1}"#));
        });
    }

    #[test]
    fn a_file_nested_without_end_is_read_or_refused() {
        on_a_small_stack(|| {
            for open in ["[", r#"{"a":"#] {
                let close = if open == "[" { "]" } else { "}" };
                let deep = format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
                let kept = format!(r#"{{"claudeAiOauth":L,"mcpOAuth":{deep}}}"#);
                assert_eq!(with_login(format!(r#"{{"mcpOAuth":{deep}}}"#).as_bytes(), "L"), kept);
                for content in [deep.clone(), format!(r#"{{"claudeAiOauth":{deep}}}"#), open.repeat(300_000)]
                {
                    assert!(state(content.as_bytes(), 0).needs_restore(), "{} bytes", content.len());
                }
            }
        });
    }
}
