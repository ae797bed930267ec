//! The content of a published file: the members of the user's `state.json`, and two members of
//! root. `uid` is the user that it describes; `unreadable` is the reason if there is no state.

use cas_core::outcome::state_report::SCHEMA;
use cas_core::outcome::{ExitStatus, Status};
use cas_core::text::sanitize_line_bounded;
use cas_core::time::timestamp::Timestamp;
use serde_json::{Map, Value, json};

use super::MAX_SIZE;
use super::report::{PublishedEntry, PublishedReport};

const UID: &str = "uid";
const UNREADABLE: &str = "unreadable";

/// The published state of one user.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PublishedRecord(Map<String, Value>);

impl PublishedRecord {
    /// Creates a record from the text of a `state.json`, or from the reason why it is invalid.
    pub(super) fn from_state(uid: u32, text: &[u8]) -> Self {
        let state = match PublishedReport::parse(text).map(|_| serde_json::from_slice(text)) {
            Ok(Ok(Value::Object(mut state))) => {
                state.remove(UNREADABLE);
                Self(state).with_owner(uid)
            }
            Ok(_) => Self::unreadable(uid, "it is not a JSON object"),
            Err(why) => Self::unreadable(uid, why),
        };
        let is_bounded = state.to_bytes().len() <= MAX_SIZE;
        if is_bounded { state } else { Self::unreadable(uid, "it is larger than 64 KiB") }
    }

    /// Creates a record of a state that could not be read.
    pub(super) fn unreadable(uid: u32, why: &str) -> Self {
        // A reason contains paths, which can be long.
        let why: String = why.chars().take(1000).collect();
        Self(Map::from_iter([(UNREADABLE.to_owned(), why.into())])).with_owner(uid)
    }

    /// Creates a record of a sync that was not possible. Keeps the members of the earlier state.
    pub(super) fn skipped(uid: u32, before: Option<Self>, now: Timestamp, why: &str) -> Self {
        let mut state =
            before.filter(|before| before.uid() == Some(uid)).map(|Self(state)| state).unwrap_or_default();
        state.remove(UNREADABLE);
        let changes = json!({
            "schema": SCHEMA, "at_ms": now, "status": Status::Skip.to_string(), "text": why,
            "exit_code": ExitStatus::Success,
        });
        state.extend(changes.as_object().cloned().unwrap_or_default());
        Self(state).with_owner(uid)
    }

    /// Parses a published file; returns `None` if it is not a JSON object.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok().map(Self)
    }

    /// Returns the user id that it describes.
    pub(super) fn uid(&self) -> Option<u32> {
        self.0.get(UID)?.as_u64().and_then(|uid| u32::try_from(uid).ok())
    }

    /// Returns the published entry of the user.
    pub(super) fn entry(&self) -> PublishedEntry {
        match self.0.get(UNREADABLE).and_then(Value::as_str) {
            Some(why) => PublishedEntry::Unreadable(sanitize_line_bounded(why, 1000)),
            None => match PublishedReport::from_members(&self.0) {
                Ok(report) => PublishedEntry::Known(Box::new(report)),
                Err(why) => PublishedEntry::Unreadable(why.to_owned()),
            },
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // A map of values always becomes JSON.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn with_owner(mut self, uid: u32) -> Self {
        self.0.insert(UID.to_owned(), uid.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = r#"{"schema":1,"user":"alice","at_ms":7,"status":"OK","text":"fine","exit_code":0}"#;

    #[test]
    fn published_state_is_read_again_for_its_uid() {
        let record = PublishedRecord::from_state(1001, STATE.as_bytes());
        let again = PublishedRecord::parse(&record.to_bytes()).expect("a record");
        assert_eq!((again.uid(), &again), (Some(1001), &record));
        assert!(matches!(again.entry(), PublishedEntry::Known(report) if report.text == "fine"));
    }

    #[test]
    fn state_cannot_set_the_members_of_root() {
        let text = r#"{"at_ms":7,"status":"OK","uid":0,"unreadable":"no"}"#;
        let record = PublishedRecord::from_state(1001, text.as_bytes());
        assert_eq!(record.uid(), Some(1001));
        assert!(matches!(record.entry(), PublishedEntry::Known(_)));
    }

    #[test]
    fn invalid_state_is_published_as_unreadable() {
        let large = format!(r#"{{"at_ms":7,"status":"OK","x":"{}"}}"#, "x".repeat(MAX_SIZE));
        // As output, each of these numbers is three bytes longer.
        let grows = format!(r#"{{"at_ms":7,"status":"OK","x":[{}1]}}"#, "1e5,".repeat(MAX_SIZE / 5));
        let deep = "[".repeat(MAX_SIZE);
        for (text, why) in [
            ("", "it is not JSON"),
            ("[1]", "it is not a JSON object"),
            (&deep, "it is not JSON"),
            (&large, "it is larger than 64 KiB"),
            (&grows, "it is larger than 64 KiB"),
        ] {
            let record = PublishedRecord::from_state(1001, text.as_bytes());
            assert_eq!(record.entry(), PublishedEntry::Unreadable(why.to_owned()), "{text:.40}");
            assert_eq!(record.uid(), Some(1001));
        }
        let long = PublishedRecord::unreadable(1001, &"x".repeat(MAX_SIZE));
        assert!(long.to_bytes().len() < MAX_SIZE);
    }

    #[test]
    fn skipped_sync_keeps_the_earlier_result() {
        let now = Timestamp::from_millis(9);
        let before = PublishedRecord::from_state(
            1001,
            br#"{"at_ms":7,"status":"FAIL","finding":"login","exit_code":79}"#,
        );
        for (uid, finding) in [(1001, "login"), (1002, "")] {
            let PublishedEntry::Known(report) =
                PublishedRecord::skipped(uid, Some(before.clone()), now, "no home").entry()
            else {
                panic!("a state")
            };
            assert_eq!((report.at, report.status, report.exit_code), (now, Status::Skip, 0));
            assert_eq!((report.text.as_str(), report.finding.as_str()), ("no home", finding), "{uid}");
        }
        let unreadable = PublishedRecord::unreadable(1001, "a FIFO");
        assert!(matches!(
            PublishedRecord::skipped(1001, Some(unreadable), now, "no home").entry(),
            PublishedEntry::Known(_)
        ));
    }
}
