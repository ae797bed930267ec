//! How a user's last sync ended, as their `state.json` says: read with leniency, and in a type in which every text can be shown
//! at a terminal and every time is one.

use std::time::Duration;

use cas_core::outcome::Status;
use cas_core::time::timestamp::Timestamp;
use serde_json::{Map, Value};

use super::sanitize;

/// The longest text that is believed to be ours, in characters.
const LONGEST: usize = 400;
/// The longest word.
const LONGEST_WORD: usize = 40;
/// More words than a sync has.
const MOST_WORDS: usize = 16;
/// Clocks may differ by so much.
const LEEWAY: Duration = Duration::from_secs(5 * 60);
/// No time of ours is later than the year 9999.
const LAST: u64 = 253_402_300_799_000;
/// A timer starts a sync every six hours, up to an hour late, and one may be missed.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(13 * 60 * 60);

/// How a sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedReport {
    /// When it began.
    pub(crate) at: Timestamp,
    /// The status word.
    pub(crate) status: Status,
    /// What it said.
    pub(crate) text: String,
    /// Its exit code.
    pub(crate) exit_code: u8,
    /// What it found, in one word.
    pub(crate) finding: String,
    /// What else it noted, in one word each.
    pub(crate) notes: Vec<String>,
    /// What real inference showed, in one word.
    pub(crate) verdict: Option<String>,
    /// When the credential was last shown to work.
    pub(crate) verified_at: Option<Timestamp>,
    /// What stands in the way and passes by itself.
    pub(crate) outage: Option<String>,
    /// Since when it does.
    pub(crate) outage_since: Option<Timestamp>,
    /// Which credential was found.
    pub(crate) credential: Option<Credential>,
}

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublishedEntry {
    /// How their last sync ended.
    Standing(Box<PublishedReport>),
    /// No sync has published anything yet.
    Nothing,
    /// There is no state that could be published, and why.
    Unreadable(String),
    /// The account that was enrolled is not there any more, and why.
    Gone(String),
}

/// What was found to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    /// `login` or `setup-token`.
    pub(crate) kind: String,
    /// Its name: 16 hexadecimal digits.
    pub(crate) fingerprint: Option<String>,
    /// The end of the access token, which Claude Code replaces in time.
    pub(crate) access_token_expires_at: Option<Timestamp>,
    /// When the credential expires.
    pub(crate) lapses_at: Option<Timestamp>,
    /// True if the date is an estimate.
    pub(crate) expiry_is_estimated: bool,
}

impl PublishedReport {
    /// Reads it. What is missing or of another kind is left out, as long as it says when it was, and how it ended.
    ///
    /// # Errors
    /// Why it is not a state, in a few words.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(content).map_err(|_| "it is not JSON")?;
        Self::from_members(value.as_object().ok_or("it is not a JSON object")?)
    }

    /// Reads the members of an object.
    ///
    /// # Errors
    /// Why it is not a state, in a few words.
    pub(crate) fn from_members(members: &Map<String, Value>) -> Result<Self, &'static str> {
        let members = Members(members);
        let at = members.time("at_ms").ok_or("it does not say when it was")?;
        let status = members.0.get("status").and_then(Value::as_str).and_then(sanitize::status);
        let credential = members.0.get("credential").and_then(Value::as_object).map(Members);
        let status = status.ok_or("it does not say how it ended")?;
        let exit_code =
            members.0.get("exit_code").and_then(Value::as_u64).and_then(|code| u8::try_from(code).ok());
        Ok(Self {
            at,
            status,
            text: members.text("text").unwrap_or_default(),
            // A missing exit code follows from the status.
            exit_code: exit_code.unwrap_or(u8::from(status == Status::Fail)),
            finding: members.word("finding").unwrap_or_default(),
            notes: members.words("notes"),
            verdict: members.word("verdict"),
            verified_at: members.time("verified_at_ms"),
            outage: members.text("outage"),
            outage_since: members.time("outage_since_ms"),
            credential: credential.and_then(|members| Credential::of(&members)),
        })
    }

    /// Whether it says to be of a time that is yet to come.
    pub(crate) fn is_in_future(&self, now: Timestamp) -> bool {
        self.at > now.saturating_add(LEEWAY)
    }

    /// Whether it is so old that syncs have been missed.
    pub(crate) fn is_outdated(&self, now: Timestamp) -> bool {
        self.at.saturating_add(SILENT_AFTER) < now
    }
}

impl Credential {
    fn of(members: &Members<'_>) -> Option<Self> {
        let is_name = |text: &String| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self {
            kind: members.word("kind").filter(|kind| matches!(kind.as_str(), "login" | "setup-token"))?,
            fingerprint: members.word("fingerprint").filter(is_name),
            access_token_expires_at: members.time("access_token_expires_at_ms"),
            lapses_at: members.time("expires_at_ms").or_else(|| members.time("login_expires_at_ms")),
            expiry_is_estimated: members
                .0
                .get("expiry_is_estimated")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        })
    }
}

struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| sanitize::plain(text, LONGEST))
    }

    fn word(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| sanitize::plain(text, LONGEST_WORD))
    }

    fn words(&self, name: &str) -> Vec<String> {
        let all = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        all.take(MOST_WORDS)
            .filter_map(Value::as_str)
            .map(|word| sanitize::plain(word, LONGEST_WORD))
            .collect()
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name)?.as_u64().filter(|millis| *millis <= LAST).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(value: &Value) -> Result<PublishedReport, &'static str> {
        PublishedReport::parse(value.to_string().as_bytes())
    }

    #[test]
    fn what_a_sync_writes_is_read() {
        let standing = parsed(&json!({
            "schema": 1, "user": "alice", "at_ms": 5, "status": "WARN", "text": "not verified", "exit_code": 75,
            "finding": "login", "notes": [], "verdict": "unknown", "verified_at_ms": 4, "outage": "529",
            "outage_since_ms": 3, "credential": {"kind": "login", "fingerprint": "ba7816bf8f01cfea",
            "access_token_expires_at_ms": 9, "login_expires_at_ms": 10, "account": null, "expires_at_ms": 11,
            "expiry_is_estimated": true}, "notice_about": null, "later": {"member": 1},
        }))
        .expect("a state");
        assert_eq!((standing.status, standing.exit_code), (Status::Warn, 75));
        assert_eq!((standing.finding.as_str(), standing.verdict.as_deref()), ("login", Some("unknown")));
        let credential = standing.credential.expect("a credential");
        assert_eq!(credential.lapses_at, Some(Timestamp::from_millis(11)));
        assert!(credential.expiry_is_estimated);
    }

    #[test]
    fn the_least_that_is_a_state_and_what_is_none() {
        assert_eq!(parsed(&json!({"at_ms": 1, "status": "FAIL"})).map(|found| found.exit_code), Ok(1));
        for (text, why) in [
            ("", "it is not JSON"),
            ("[1]", "it is not a JSON object"),
            (r#"{"status":"OK"}"#, "it does not say when it was"),
            (r#"{"at_ms":-1,"status":"OK"}"#, "it does not say when it was"),
            (r#"{"at_ms":1e300,"status":"OK"}"#, "it does not say when it was"),
            (r#"{"at_ms":18446744073709551615,"status":"OK"}"#, "it does not say when it was"),
            (r#"{"at_ms":1,"status":"FINE"}"#, "it does not say how it ended"),
            (&"[".repeat(60_000), "it is not JSON"),
            (&format!(r#"{{"at_ms":1,"status":"OK","x":{}"#, "{\"x\":".repeat(9_000)), "it is not JSON"),
        ] {
            assert_eq!(PublishedReport::parse(text.as_bytes()), Err(why), "{:.60}", text);
        }
    }

    #[test]
    fn lies_become_nothing_that_could_do_harm() {
        let standing = parsed(&json!({
            "at_ms": 1, "status": "OK", "text": "\u{1b}]0;owned\u{7}\u{1b}[2J\nalice OK\u{202e}\u{9b}31m\t", "exit_code": 70000,
            "finding": {"a": 1}, "verdict": "x".repeat(9999), "verified_at_ms": "yesterday",
            "credential": {"kind": "\u{1b}[31mlogin"}, "outage": ["a"],
        }))
        .expect("a state");
        assert_eq!(standing.text, "?]0;owned??[2J?alice OK??31m?");
        assert_eq!((standing.exit_code, standing.finding.as_str()), (0, ""));
        assert_eq!(standing.verdict.map(|word| word.chars().count()), Some(LONGEST_WORD));
        assert_eq!((standing.verified_at, standing.credential, standing.outage), (None, None, None));
    }

    #[test]
    fn a_time_to_come_is_called_out_and_an_old_one_too() {
        let at = |millis| PublishedReport {
            at: Timestamp::from_millis(millis),
            ..parsed(&json!({"at_ms": 1, "status": "OK"})).expect("a state")
        };
        let now = Timestamp::from_millis(100_000_000);
        assert!(!at(100_300_000).is_in_future(now) && at(100_300_001).is_in_future(now));
        assert!(
            !at(100_000_000 - 13 * 3_600_000).is_outdated(now)
                && at(100_000_000 - 13 * 3_600_000 - 1).is_outdated(now)
        );
    }
}
