//! What the client reports of each answer of the API: the verdict of a probe stands on these members.

use cas_tests::anthropic::MessageAnswer::{self, *};
use serde_json::{Value, json};

use super::{LIMIT, bed};

const TOKEN: &str = "sk-ant-oat01-under-examination";

/// An answer; `api_error_status` of the result; `error` and `api_error_type` of the failed turn.
type Row = (MessageAnswer, Value, Value, Value);

fn rows() -> Vec<Row> {
    let row = |answer, status: Value, error: &str, kind: Value| (answer, status, json!(error), kind);
    let none = Value::Null;
    vec![
        (Ok, none.clone(), none.clone(), none.clone()),
        row(Expired, json!(401), "authentication_failed", json!("authentication_error")),
        row(Invalid, json!(401), "authentication_failed", json!("authentication_error")),
        row(Revoked, json!(403), "authentication_failed", json!("permission_error")),
        row(OrganizationForbidden, json!(403), "oauth_org_not_allowed", json!("permission_error")),
        row(ScopeForbidden, json!(403), "authentication_failed", json!("permission_error")),
        row(RateLimited { retry_after: 120 }, json!(429), "rate_limit", json!("rate_limit_error")),
        row(UsageLimited, json!(429), "rate_limit", json!("rate_limit_error")),
        row(CreditTooLow, json!(400), "billing_error", json!("invalid_request_error")),
        row(ModelNotFound, json!(404), "model_not_found", json!("not_found_error")),
        row(InternalError, json!(500), "server_error", json!("api_error")),
        row(Overloaded, json!(529), "server_error", json!("overloaded_error")),
        row(Html { status: 403 }, json!(403), "authentication_failed", none.clone()),
        row(Html { status: 401 }, json!(401), "authentication_failed", none.clone()),
        row(Html { status: 502 }, json!(502), "server_error", none.clone()),
        row(Html { status: 200 }, none.clone(), "unknown", none.clone()),
        row(ForeignJson { status: 401 }, json!(401), "authentication_failed", none.clone()),
        row(Disconnect, none.clone(), "server_error", none.clone()),
    ]
}

#[test]
fn client_distinguishes_a_refused_token_from_other_errors() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    for (answer, status, error, kind) in rows() {
        let answers = answer == Ok;
        bed.anthropic().answer_messages(TOKEN, Some(answer.clone()));
        let invocation = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN);
        let said = invocation.variable("CLAUDE_CODE_MAX_RETRIES", "0").run(LIMIT).expect("an end");
        assert_eq!(said.answered(), answers, "{answer:?}: {said:?}");
        let reported =
            (said.result("api_error_status"), said.failure("error"), said.failure("api_error_type"));
        assert_eq!(reported, (&status, &error, &kind), "{answer:?}: {said:?}");
        let exit_code = if answers { 0 } else { 1 };
        assert_eq!(said.exit_code, Some(exit_code), "{answer:?}");
        let used_up = said.failure("api_error") == "usage_limit_reached";
        assert_eq!(used_up, answer == UsageLimited, "{answer:?}: {said:?}");
    }
}

#[test]
fn silent_server_and_stalled_stream_end_on_request() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    for answer in [Silence, StalledStream] {
        bed.anthropic().answer_messages(TOKEN, Some(answer.clone()));
        let mut invocation = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN);
        for name in ["API_TIMEOUT_MS", "CLAUDE_STREAM_IDLE_TIMEOUT_MS", "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS"]
        {
            invocation = invocation.variable(name, "5000");
        }
        invocation = invocation.variable("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1");
        let said = invocation.variable("CLAUDE_CODE_MAX_RETRIES", "0").run(LIMIT).expect("an end");
        assert!(!said.answered() && said.exit_code == Some(1), "{answer:?}: {said:?}");
        assert_eq!(said.failure("api_error_type"), &Value::Null, "{answer:?}: {said:?}");
    }
}
