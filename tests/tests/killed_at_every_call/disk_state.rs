//! Everything that a run can change, read from outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cas_core::ledger::Ledger;
use cas_core::outcome::state_report::StateReport;
use cas_tests::test_user::{ENV_FILE, LOGIN, UID};
use serde_json::{Value, json};

use crate::scenario::{Scenario, Subject};

/// Claude Code's locks, below the home.
pub(crate) const LOCKS: [&str; 3] =
    [".claude/.oauth_refresh.lock", ".claude.lock", ".claude/.storage-write.lock"];

/// Members that contain the time of a run.
const TIME_MEMBERS: [&str; 9] = [
    "first_seen",
    "restored_at",
    "at",
    "written_at",
    "backed_up_at",
    "last_success",
    "last_failure",
    "checked_at_ms",
    "last_renewed_ms",
];

/// The content of the home and of the store.
#[derive(Debug)]
pub(crate) struct DiskState {
    /// The present value of the subject; null if it does not exist.
    pub subject: Value,
    /// Temporary files left behind.
    pub temporaries: Vec<String>,
    /// Claude Code's locks left behind.
    pub locks: Vec<String>,
    /// All files, including the one that marks the progress of the request: texts unchanged, JSON
    /// of the product without its times.
    files: BTreeMap<String, Value>,
    /// The store's document: version, and fields without the time of the backup.
    document: Option<(u64, Value)>,
}

impl DiskState {
    /// Reads everything. A file of the product that is truncated or accessible to others fails the
    /// test at once.
    pub(crate) fn look(scenario: &Scenario) -> Self {
        let mut state = Self {
            subject: Value::Null,
            temporaries: Vec::new(),
            locks: Vec::new(),
            files: BTreeMap::new(),
            document: scenario.document().map(|(version, fields)| (version, without_times(fields))),
        };
        state.collect(&scenario.test_user().home(), "");
        let file = |name: &str| state.files.get(name).cloned().unwrap_or_default();
        state.subject = match scenario.subject() {
            Subject::Login => file(LOGIN),
            Subject::EnvFile => file(ENV_FILE),
            Subject::Document => state.document.clone().map(|(_, fields)| fields).unwrap_or_default(),
        };
        state
    }

    fn collect(&mut self, home: &Path, below: &str) {
        for entry in fs::read_dir(home.join(below)).expect("a directory") {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("its metadata");
            let name = Path::new(below).join(entry.file_name()).display().to_string();
            assert_eq!(metadata.mode() & 0o077, 0, "{name} is open to others");
            assert_eq!((metadata.uid(), metadata.gid()), (UID, UID), "{name} belongs to another user");
            if LOCKS.contains(&name.as_str()) {
                self.locks.push(name);
            } else if metadata.is_dir() {
                self.collect(home, &name);
            } else if name.contains(".cas-") {
                self.temporaries.push(name);
            } else {
                let content = fs::read(entry.path()).expect("its content");
                self.files.insert(name.clone(), meaning(&name, &content));
            }
        }
    }

    /// Asserts that each file is the old or the new one, and that there is no other one.
    pub(crate) fn assert_whole(&self, old: &Self, new: &Self, place: &str) {
        for name in self.files.keys().chain(old.files.keys()).filter(|name| !is_written_repeatedly(name)) {
            let (found, before, after) = (self.files.get(name), old.files.get(name), new.files.get(name));
            assert!(found == before || found == after, "{place}: {name} is neither old nor new: {found:?}");
        }
        let is_either = self.fields() == old.fields() || self.fields() == new.fields();
        assert!(is_either, "{place}: the document is neither: {:?}", self.fields());
    }

    /// Returns the number of versions of the document since then.
    pub(crate) fn versions_since(&self, begin: u64) -> u64 {
        self.document.as_ref().map_or(0, |(version, _)| version - begin)
    }

    /// Asserts the state after undisturbed runs. Leftovers and the number of log lines may differ.
    pub(crate) fn assert_same(&self, final_state: &Self, place: &str) {
        for name in self.files.keys().chain(final_state.files.keys()).filter(|name| !is_ignored(name)) {
            let (found, expected) = (self.files.get(name), final_state.files.get(name));
            assert_eq!(found, expected, "{place}: {name} after the next run");
        }
        assert_eq!(self.fields(), final_state.fields(), "{place}: after the next run");
    }

    fn fields(&self) -> Option<&Value> {
        self.document.as_ref().map(|(_, fields)| fields)
    }
}

/// The log has one line per completed run, and the state describes the last one. The token cache
/// saves a request and is created again when it is lost. A run that is killed before it writes the
/// notice of its restore leaves none.
fn is_ignored(name: &str) -> bool {
    ["sync.log", "state.json", "lock", "vault-token.json", "notice", "notice.json"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The ledger and the time of the last request are written more than once in a run, the log grows,
/// and the state describes the run: their content is checked, not compared.
fn is_written_repeatedly(name: &str) -> bool {
    ["ledger.json", "sync.log", "state.json", "lock", "vault-token.json", "last-request"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn meaning(name: &str, content: &[u8]) -> Value {
    let text = || String::from_utf8(content.to_vec()).unwrap_or_else(|_| panic!("{name} is truncated"));
    match name.rsplit('/').next().unwrap_or_default() {
        "ledger.json" => {
            let ledger: Ledger = parse_json(name, content);
            without_times(serde_json::to_value(ledger).expect("a ledger is JSON"))
        }
        "state.json" => {
            let state: StateReport = parse_json(name, content);
            without_times(serde_json::to_value(state).expect("a state is JSON"))
        }
        "history.json" | "store-contact.json" | "vault-token.json" => {
            without_times(parse_json(name, content))
        }
        "sync.log" => {
            let log = text();
            assert!(log.ends_with('\n') || log.is_empty(), "{name}: half a line: {log}");
            let is_line = |line: &str| {
                line.split(' ').nth(1).is_some_and(|word| ["OK", "RECOVERED", "FAIL", "WARN"].contains(&word))
            };
            assert!(log.lines().all(is_line), "{name}: {log}");
            json!(log)
        }
        _ => json!(text()),
    }
}

fn parse_json<T: serde::de::DeserializeOwned>(name: &str, content: &[u8]) -> T {
    serde_json::from_slice(content).unwrap_or_else(|error| panic!("{name} is truncated: {error}"))
}

/// Returns the value with all times made equal; a list of them keeps its length.
fn without_times(mut value: Value) -> Value {
    blank(&mut value);
    value
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Number(_) | Value::String(_) if TIME_MEMBERS.contains(&name.as_str()) => {
                        *member = json!("a moment");
                    }
                    Value::Array(moments) if TIME_MEMBERS.contains(&name.as_str()) => {
                        moments.fill(json!("a moment"));
                    }
                    member => blank(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(blank),
        _ => (),
    }
}
