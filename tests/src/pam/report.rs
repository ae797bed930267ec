//! The result of a login in the fixture.

use std::process::{ExitStatus, Output};
use std::time::Duration;

use serde_json::{Value, json};

use super::{LogLine, TOKEN_VARIABLE};

/// The host's answer, its standard streams and the log.
#[derive(Debug)]
pub struct Report {
    /// The exit status of the host.
    pub status: ExitStatus,
    /// All of its standard output and error.
    pub printed: String,
    /// The log, in order.
    pub log: Vec<LogLine>,
    /// The report of the host (`tests/src/bin/pam-host/main.rs`).
    pub answer: Value,
}

impl Report {
    pub(super) fn new(output: Output, answer: Vec<u8>, log: Vec<LogLine>) -> Self {
        let printed = [output.stdout, output.stderr].concat();
        Self {
            status: output.status,
            printed: String::from_utf8_lossy(&printed).into_owned(),
            log,
            answer: serde_json::from_slice(&answer).unwrap_or_default(),
        }
    }

    /// Returns what the host reported about the login.
    #[must_use]
    pub fn login(&self) -> &Value {
        &self.answer["login"]
    }

    /// Returns the results of the calls, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<i64> {
        let calls = self.login()["calls"].as_array().cloned().unwrap_or_default();
        calls.iter().filter_map(Value::as_i64).collect()
    }

    /// Returns the environment of the session.
    #[must_use]
    pub fn environment(&self) -> Vec<&str> {
        let variables = self.login()["environment"].as_array().map(Vec::as_slice).unwrap_or_default();
        variables.iter().filter_map(Value::as_str).collect()
    }

    /// Returns the duration of opening the session.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.login()["milliseconds"].as_u64().expect("a session was opened"))
    }

    /// Returns the text of the only log line.
    #[must_use]
    pub fn only_line(&self) -> &str {
        assert_eq!(self.log.len(), 1, "one line is logged: {:?}", self.log);
        &self.log[0].text
    }

    /// Asserts what holds for every login: the host runs on, the session opened and closed, nothing
    /// was printed or asked, the process is unchanged, no child is left, and at most one line was
    /// logged.
    pub fn assert_harmless(&self) {
        assert!(self.status.success(), "the host lives: {self:#?}");
        assert_eq!(self.printed, "", "nothing is printed");
        assert!(self.calls().iter().all(|code| *code == 0) && !self.calls().is_empty(), "{:?}", self.calls());
        self.assert_unchanged();
        assert_eq!(self.login()["ended"], json!(0));
        assert_eq!(self.answer["conversations"], json!(0), "the conversation is not used");
        assert!(self.log.len() <= 1, "at most one line: {:?}", self.log);
        assert!(self.log.iter().all(|line| (line.facility, line.level) == (10, 4)), "{:?}", self.log);
    }

    /// Asserts that the process is as it was before the session, and has no child.
    pub fn assert_unchanged(&self) {
        let (before, after) = (&self.login()["before"], &self.login()["after"]);
        assert!(before.is_object(), "the host reported its state: {self:#?}");
        for (what, value) in before.as_object().into_iter().flatten() {
            assert_eq!(value, &after[what], "{what} unchanged");
        }
        assert_eq!(self.login()["children"], json!(false), "no child is left");
    }

    /// Asserts a harmless login that got the token of the fixture, without a log line.
    pub fn assert_token(&self) {
        self.assert_harmless();
        assert_eq!(self.environment(), [TOKEN_VARIABLE]);
        assert_eq!(self.log, [], "a healthy login is silent");
    }

    /// Asserts a harmless login without a token, and one line that contains `reason`.
    pub fn assert_no_token_with_reason(&self, reason: &str) {
        self.assert_harmless();
        assert_eq!(self.environment(), [""; 0]);
        assert!(self.only_line().contains(reason), "{:?} says {reason:?}", self.only_line());
    }

    /// Asserts a harmless login without a token and without a log line.
    pub fn assert_nothing_happened(&self) {
        self.assert_harmless();
        assert_eq!(self.environment(), [""; 0]);
        assert_eq!(self.log, [], "nothing is logged");
    }
}
