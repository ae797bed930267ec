//! The result of a user's last sync, parsed from its `state.json`. Users can write that file, so
//! texts are sanitized and limited, and invalid members are omitted.

use std::time::Duration;

use cas_core::outcome::codes::current_code;
use cas_core::outcome::{ExitStatus, Status};
use cas_core::text::sanitize_line_bounded;
use cas_core::time::timestamp::Timestamp;
use serde_json::{Map, Value};

/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 400;
/// The maximum length of a word, in characters.
const MAX_WORD: usize = 40;
/// The maximum number of codes; a sync writes fewer.
const MAX_CODES: usize = 16;
/// The tolerated difference of clocks.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// The end of the year 9999, in milliseconds. A later time is invalid.
const MAX_TIME: u64 = 253_402_300_799_000;
/// The age from which a state is outdated. A timer starts a sync every six hours, up to an hour
/// late, and one sync may be missing.
const OUTDATED_AFTER: Duration = Duration::from_secs(13 * 60 * 60);

/// The result of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedReport {
    /// The start of the sync.
    pub(crate) at: Timestamp,
    /// The status word.
    pub(crate) status: Status,
    /// Its message.
    pub(crate) text: String,
    /// Its exit code.
    pub(crate) exit_code: u8,
    /// The code of its finding.
    pub(crate) finding: String,
    /// The codes of its details.
    pub(crate) details: Vec<String>,
    /// The code of the verification.
    pub(crate) verification: Option<String>,
    /// The time of the last successful verification.
    pub(crate) verified_at: Option<Timestamp>,
    /// The current temporary outage.
    pub(crate) outage: Option<String>,
    /// The start of the outage.
    pub(crate) outage_since: Option<Timestamp>,
    /// The credential that was found.
    pub(crate) credential: Option<Credential>,
}

/// The published state of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublishedEntry {
    /// The result of the last sync.
    Known(Box<PublishedReport>),
    /// No sync has published anything yet.
    Nothing,
    /// There is no state that could be published, with the reason.
    Unreadable(String),
    /// The account that was enrolled is missing, with the reason.
    AccountMissing(String),
}

/// The credential that a sync found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    /// `login` or `setup-token`.
    pub(crate) kind: String,
    /// Its fingerprint: 16 hexadecimal digits.
    pub(crate) fingerprint: Option<String>,
    /// The expiry of the access token, which Claude Code refreshes.
    pub(crate) access_token_expires_at: Option<Timestamp>,
    /// The expiry of the credential.
    pub(crate) expires_at: Option<Timestamp>,
    /// True if the date is an estimate.
    pub(crate) expiry_is_estimated: bool,
}

impl PublishedReport {
    /// Parses a state. Members that are missing or invalid are omitted, except the time and the
    /// status.
    ///
    /// # Errors
    /// The reason why it is not a state.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(content).map_err(|_| "it is not JSON")?;
        Self::from_members(value.as_object().ok_or("it is not a JSON object")?)
    }

    /// Parses the members of an object.
    ///
    /// # Errors
    /// The reason why it is not a state.
    pub(crate) fn from_members(members: &Map<String, Value>) -> Result<Self, &'static str> {
        let members = Members(members);
        let at = members.time("at_ms").ok_or("it has no valid time")?;
        let status = members.0.get("status").and_then(Value::as_str).and_then(|word| word.parse().ok());
        let credential = members.0.get("credential").and_then(Value::as_object).map(Members);
        let status: Status = status.ok_or("it has no valid status")?;
        let exit_code =
            members.0.get("exit_code").and_then(Value::as_u64).and_then(|code| u8::try_from(code).ok());
        Ok(Self {
            at,
            status,
            text: members.text("text").unwrap_or_default(),
            // The default follows from the status.
            exit_code: exit_code.unwrap_or(ExitStatus::failure_if(status == Status::Fail).code()),
            finding: members.code("finding").unwrap_or_default(),
            details: members.codes(if members.has("details") { "details" } else { "notes" }),
            verification: members.code("verification").or_else(|| members.code("verdict")),
            verified_at: members.time("verified_at_ms"),
            outage: members.text("outage"),
            outage_since: members.time("outage_since_ms"),
            credential: credential.and_then(|members| Credential::from_members(&members)),
        })
    }

    /// Returns true if its time is in the future, beyond the tolerated difference of clocks.
    pub(crate) fn is_in_future(&self, now: Timestamp) -> bool {
        self.at > now.saturating_add(CLOCK_TOLERANCE)
    }

    /// Returns true if it is so old that syncs are missing.
    pub(crate) fn is_outdated(&self, now: Timestamp) -> bool {
        self.at.saturating_add(OUTDATED_AFTER) < now
    }
}

impl Credential {
    fn from_members(members: &Members<'_>) -> Option<Self> {
        let is_fingerprint =
            |text: &String| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self {
            kind: members.word("kind").filter(|kind| matches!(kind.as_str(), "login" | "setup-token"))?,
            fingerprint: members.word("fingerprint").filter(is_fingerprint),
            access_token_expires_at: members.time("access_token_expires_at_ms"),
            expires_at: members.time("expires_at_ms").or_else(|| members.time("login_expires_at_ms")),
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
        self.0.get(name)?.as_str().map(|text| sanitize_line_bounded(text, MAX_TEXT))
    }

    fn word(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| sanitize_line_bounded(text, MAX_WORD))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a code; one of version 0.1.0 is converted.
    fn code(&self, name: &str) -> Option<String> {
        self.word(name).map(|code| current_code(&code).to_owned())
    }

    fn codes(&self, name: &str) -> Vec<String> {
        let all = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        all.take(MAX_CODES)
            .filter_map(Value::as_str)
            .map(|code| sanitize_line_bounded(current_code(code), MAX_WORD))
            .collect()
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name)?.as_u64().filter(|millis| *millis <= MAX_TIME).map(Timestamp::from_millis)
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
    fn state_of_version_0_1_0_is_converted() {
        let report = parsed(&json!({
            "at_ms": 5, "status": "WARN", "finding": "spent", "notes": ["backed-up", "lapsing"], "verdict": "limited",
        }))
        .expect("a state");
        assert_eq!(report.finding, "stale-copy");
        assert_eq!(report.details, ["backed-up", "expires-soon"]);
        assert_eq!(report.verification.as_deref(), Some("rate-limited"));
    }

    #[test]
    fn state_of_a_sync_is_parsed() {
        let report = parsed(&json!({
            "schema": 1, "user": "alice", "at_ms": 5, "status": "WARN", "text": "not verified", "exit_code": 75,
            "finding": "login", "details": [], "verification": "inconclusive", "verified_at_ms": 4, "outage": "529",
            "outage_since_ms": 3, "credential": {"kind": "login", "fingerprint": "ba7816bf8f01cfea",
            "access_token_expires_at_ms": 9, "login_expires_at_ms": 10, "account": null, "expires_at_ms": 11,
            "expiry_is_estimated": true}, "notice_about": null, "later": {"member": 1},
        }))
        .expect("a state");
        assert_eq!((report.status, report.exit_code), (Status::Warn, 75));
        assert_eq!(
            (report.finding.as_str(), report.verification.as_deref()),
            ("login", Some("inconclusive"))
        );
        let credential = report.credential.expect("a credential");
        assert_eq!(credential.expires_at, Some(Timestamp::from_millis(11)));
        assert!(credential.expiry_is_estimated);
    }

    #[test]
    fn state_without_time_or_status_is_invalid() {
        assert_eq!(parsed(&json!({"at_ms": 1, "status": "FAIL"})).map(|found| found.exit_code), Ok(1));
        for (text, why) in [
            ("", "it is not JSON"),
            ("[1]", "it is not a JSON object"),
            (r#"{"status":"OK"}"#, "it has no valid time"),
            (r#"{"at_ms":-1,"status":"OK"}"#, "it has no valid time"),
            (r#"{"at_ms":1e300,"status":"OK"}"#, "it has no valid time"),
            (r#"{"at_ms":18446744073709551615,"status":"OK"}"#, "it has no valid time"),
            (r#"{"at_ms":1,"status":"FINE"}"#, "it has no valid status"),
            (&"[".repeat(60_000), "it is not JSON"),
            (&format!(r#"{{"at_ms":1,"status":"OK","x":{}"#, "{\"x\":".repeat(9_000)), "it is not JSON"),
        ] {
            assert_eq!(PublishedReport::parse(text.as_bytes()), Err(why), "{:.60}", text);
        }
    }

    #[test]
    fn hostile_members_are_sanitized_or_omitted() {
        let report = parsed(&json!({
            "at_ms": 1, "status": "OK", "text": "\u{1b}]0;owned\u{7}\u{1b}[2J\nalice OK\u{202e}\u{9b}31m\t", "exit_code": 70000,
            "finding": {"a": 1}, "verification": "x".repeat(9999), "verified_at_ms": "yesterday",
            "credential": {"kind": "\u{1b}[31mlogin"}, "outage": ["a"],
        }))
        .expect("a state");
        assert_eq!(report.text, "?]0;owned??[2J?alice OK??31m?");
        assert_eq!((report.exit_code, report.finding.as_str()), (0, ""));
        assert_eq!(report.verification.map(|word| word.chars().count()), Some(MAX_WORD));
        assert_eq!((report.verified_at, report.credential, report.outage), (None, None, None));
    }

    #[test]
    fn future_and_outdated_states_are_recognized() {
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
