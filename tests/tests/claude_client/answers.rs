//! The report of the client for each answer of the API. The result of a probe depends on these
//! members.

use std::time::Duration;

use cas_tests::anthropic::MessageAnswer::{self, *};
use serde_json::{Value, json};

use cas_tests::claude_client::{ClaudeFixture, NEWEST, OLDER};

use super::{LIMIT, document, fixture, refreshes};

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
        row(OrganizationUnauthorized, json!(401), "oauth_org_not_allowed", json!("authentication_error")),
        row(OrganizationDisabled, json!(400), "unknown", json!("invalid_request_error")),
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
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (answer, status, error, kind) in rows() {
        let answers = answer == Ok;
        fixture.anthropic().answer_messages(TOKEN, Some(answer.clone()));
        let invocation = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN);
        let output = invocation.variable("CLAUDE_CODE_MAX_RETRIES", "0").run(LIMIT).expect("an end");
        assert_eq!(output.answered(), answers, "{answer:?}: {output:?}");
        let reported =
            (output.result("api_error_status"), output.failure("error"), output.failure("api_error_type"));
        assert_eq!(reported, (&status, &error, &kind), "{answer:?}: {output:?}");
        let exit_code = if answers { 0 } else { 1 };
        assert_eq!(output.exit_code, Some(exit_code), "{answer:?}");
        let used_up = output.failure("api_error") == "usage_limit_reached";
        assert_eq!(used_up, answer == UsageLimited, "{answer:?}: {output:?}");
    }
}

/// All versions name the refusal of an organization by `error`, with either status. The older one
/// reports no `api_error_type`.
#[test]
fn client_names_the_refusal_of_an_organization() {
    for version in [OLDER, NEWEST] {
        let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        let alice = fixture.create_user("alice").expect("alice");
        let kind = |kind: &str| if version == OLDER { Value::Null } else { json!(kind) };
        for (answer, status, error, kind, text) in [
            (OrganizationForbidden, 403, "oauth_org_not_allowed", kind("permission_error"), "organization"),
            (
                OrganizationUnauthorized,
                401,
                "oauth_org_not_allowed",
                kind("authentication_error"),
                "organization",
            ),
            (
                OrganizationDisabled,
                400,
                "unknown",
                kind("invalid_request_error"),
                "organization has been disabled",
            ),
        ] {
            fixture.anthropic().answer_messages(TOKEN, Some(answer.clone()));
            let output =
                alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN).run(LIMIT).expect("an end");
            println!("# {version} {answer:?} exit {:?}\n{}", output.exit_code, output.stdout);
            let reported = (
                output.result("api_error_status"),
                output.failure("error"),
                output.failure("api_error_type"),
            );
            assert_eq!(reported, (&json!(status), &json!(error), &kind), "{version} {answer:?}: {output:?}");
            assert!(output.text().contains(text), "{version} {answer:?}: {output:?}");
        }
    }
}

/// A 401 makes the client refresh the login, whatever its message is. So a sync that lets a client
/// use such a login consumes its refresh token.
#[test]
fn organization_refused_by_401_makes_the_client_refresh() {
    for (answer, expected) in [(OrganizationForbidden, 0), (OrganizationUnauthorized, 1)] {
        let fixture = fixture();
        let alice = fixture.create_user("alice").expect("alice");
        let login = fixture.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
        for number in 1..=4 {
            let token = format!("sk-ant-oat01-{}-{number}", login.family);
            fixture.anthropic().answer_messages(&token, Some(answer.clone()));
        }
        alice.write_credentials(&document(&login, 8)).expect("a login");
        let output = alice.claude().run(LIMIT).expect("an end");
        assert!(!output.answered(), "{answer:?}: {output:?}");
        assert_eq!(refreshes(&fixture), expected, "{answer:?}: {output:?}");
    }
}

#[test]
fn silent_server_and_stalled_stream_end_on_request() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for answer in [Silence, StalledStream] {
        fixture.anthropic().answer_messages(TOKEN, Some(answer.clone()));
        let mut invocation = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN);
        for name in ["API_TIMEOUT_MS", "CLAUDE_STREAM_IDLE_TIMEOUT_MS", "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS"]
        {
            invocation = invocation.variable(name, "5000");
        }
        invocation = invocation.variable("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1");
        let output = invocation.variable("CLAUDE_CODE_MAX_RETRIES", "0").run(LIMIT).expect("an end");
        assert!(!output.answered() && output.exit_code == Some(1), "{answer:?}: {output:?}");
        assert_eq!(output.failure("api_error_type"), &Value::Null, "{answer:?}: {output:?}");
    }
}
