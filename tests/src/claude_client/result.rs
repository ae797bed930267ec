//! The output of a run of the client, or the reason why it did not end.

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::Value;

/// The response of the client. `Debug` shows only what distinguishes responses.
#[derive(Clone)]
pub struct ClientOutput {
    /// `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Standard output where it is JSON, one event a line.
    pub events: Vec<Value>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl ClientOutput {
    pub(crate) fn new(exit_code: Option<i32>, stdout: String, stderr: String) -> Self {
        let events = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { exit_code, events, stdout, stderr }
    }

    /// Returns the member `name` of the last `result` event, or null.
    pub fn result(&self, name: &str) -> &Value {
        let result = self.events.iter().rev().find(|event| event["type"] == "result");
        result.map_or(&Value::Null, |event| &event[name])
    }

    /// Returns the member `name` of the `assistant` event of a failed request, or null.
    pub fn failure(&self, name: &str) -> &Value {
        let failed = |event: &&Value| event["type"] == "assistant" && event["error"].is_string();
        self.events.iter().rev().find(failed).map_or(&Value::Null, |event| &event[name])
    }

    /// Returns the text of the last result.
    pub fn text(&self) -> &str {
        self.result("result").as_str().unwrap_or_default()
    }

    /// Returns true if the model has answered. The exit code alone proves nothing: an interrupted
    /// client exits with 0 as well.
    pub fn answered(&self) -> bool {
        self.result("is_error") == false
            && self.result("usage")["output_tokens"].as_u64().is_some_and(|count| count > 0)
    }
}

impl fmt::Debug for ClientOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = formatter.debug_struct("ClientOutput");
        output
            .field("exit_code", &self.exit_code)
            .field("answered", &self.answered())
            .field("text", &self.text());
        for name in ["is_error", "api_error_status"] {
            output.field(name, self.result(name));
        }
        for name in ["error", "api_error_type", "api_error"] {
            output.field(name, self.failure(name));
        }
        output.field("stderr", &self.stderr).finish_non_exhaustive()
    }
}

/// The client did not end by itself.
#[derive(Debug)]
pub enum ClientError {
    /// It could not be started, or waited for.
    NotStarted(io::Error),
    /// It was killed after this time, with this output so far.
    TimedOut {
        /// The time limit.
        limit: Duration,
        /// Standard output so far.
        stdout: String,
        /// Standard error so far.
        stderr: String,
    },
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::NotStarted(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(formatter, "claude did not start: {error}"),
            Self::TimedOut { limit, stdout, stderr } => {
                write!(formatter, "claude was killed after {limit:?}; stdout: {stdout}; stderr: {stderr}")
            }
        }
    }
}

impl std::error::Error for ClientError {}
