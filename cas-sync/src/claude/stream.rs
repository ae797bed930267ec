//! Parses the output of `--output-format stream-json`: the members of each event that distinguish
//! the answers. It never fails: a line that is not an event is skipped, and a member of another
//! type counts as missing.

use serde_json::Value;

use super::version::Version;

/// What a run reports about its credential and its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    /// The version of the client.
    pub(super) version: Option<Version>,
    /// The source of the key if the credential is not an OAuth token: `none`, `ANTHROPIC_API_KEY`,
    /// `apiKeyHelper`, …
    pub(super) key_source: Option<String>,
    /// True if the requests went to Anthropic; older clients do not report it.
    pub(super) served_by_anthropic: Option<bool>,
    /// True if a limit of the user's plan is used up.
    pub(super) limit_is_used_up: bool,
    /// The client's error code.
    pub(super) error: Option<String>,
    /// The API's error code; absent if the answer did not come from the API.
    pub(super) error_type: Option<String>,
    /// The client's detailed error code.
    pub(super) error_detail: Option<String>,
    /// How the run ended.
    pub(super) result: Option<RunResult>,
}

/// The event with which a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunResult {
    /// True if the run failed; also if the member is missing.
    pub(super) is_error: bool,
    /// The HTTP status of a failed request.
    pub(super) status: Option<u64>,
    /// The number of tokens of the answer.
    pub(super) output_tokens: u64,
    /// The answer, or an error message.
    pub(super) text: String,
}

impl Stream {
    /// Parses the standard output.
    pub(super) fn read(stdout: &[u8]) -> Self {
        let lines = stdout.split(|byte| *byte == b'\n');
        let events = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        events.fold(Self::default(), Self::with)
    }

    fn with(mut self, event: Value) -> Self {
        match (text(&event, "/type").as_deref(), text(&event, "/subtype").as_deref()) {
            (Some("system"), Some("init")) => {
                self.version =
                    text(&event, "/claude_code_version").and_then(|version| Version::parse(&version));
                self.key_source = text(&event, "/apiKeySource");
                self.served_by_anthropic = event["served_by_anthropic"].as_bool();
            }
            (Some("rate_limit_event"), _) => {
                // A short-term limit of the API is also "rejected", but has no limit type of the
                // plan.
                let status = text(&event, "/rate_limit_info/status");
                let limit = text(&event, "/rate_limit_info/rateLimitType");
                self.limit_is_used_up |= status.as_deref() == Some("rejected") && limit.is_some();
            }
            (Some("assistant"), _) if event["error"].is_string() => {
                self.error = text(&event, "/error");
                self.error_type = text(&event, "/api_error_type");
                self.error_detail = text(&event, "/api_error");
            }
            (Some("result"), _) => self.result = Some(RunResult::read(&event)),
            _ => (),
        }
        self
    }
}

impl RunResult {
    fn read(event: &Value) -> Self {
        Self {
            is_error: event["is_error"].as_bool().unwrap_or(true),
            status: event["api_error_status"].as_u64(),
            output_tokens: event.pointer("/usage/output_tokens").and_then(Value::as_u64).unwrap_or_default(),
            text: text(event, "/result").unwrap_or_default(),
        }
    }
}

fn text(event: &Value, pointer: &str) -> Option<String> {
    event.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_of_invalid_lines_is_empty() {
        let deep = "[".repeat(100_000);
        for text in ["", "\n\n", "null", "[]", "{", "claude: command not found", "{\"type\":7}", &deep] {
            assert_eq!(Stream::read(text.as_bytes()), Stream::default(), "{text:.30}");
        }
        assert_eq!(Stream::read(&[0xff, b'\n', 0]), Stream::default());
        let half = Stream::read(br#"{"type":"result","is_error":"no","usage":3}"#).result.expect("a result");
        assert!(half.is_error && half.output_tokens == 0);
    }

    #[test]
    fn stream_uses_last_result() {
        let stream = Stream::read(
            b"{\"type\":\"result\",\"is_error\":false,\"result\":\"a\"}\r\n{\"type\":\"result\",\"is_error\":true,\"result\":\"b\"}",
        );
        assert_eq!(stream.result.map(|result| result.text), Some("b".into()));
    }
}
