//! The login that the client uses: that of the file, of the environment, or none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_client::{ClaudeFixture, ClientOutput, in_hours};
use serde_json::{Value, json};

use super::{
    LIMIT, NOT_LOGGED_IN, SESSION_EXPIRED, asked_with, cleared_login, document, fixture, is_cleared_login,
    oauth, run, sign_in_with_expired_token,
};

const SETUP_TOKEN: &str = "sk-ant-oat01-a-setup-token";

#[test]
fn valid_login_answers_and_is_not_refreshed() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    let output = run(&alice);
    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    let requests = fixture.anthropic().essential_requests();
    assert!(requests.len() == 1 && requests.iter().all(asked_with(&login.access_token)), "{requests:?}");
    let object = oauth(&alice);
    assert_eq!(object["accessToken"], login.access_token);
    assert_eq!(object["refreshToken"], login.refresh_token);
    let mode = fs::metadata(alice.credentials_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn cleared_login_reports_an_expired_session_without_a_request() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    let output = run(&alice);
    assert!(output.text().starts_with(SESSION_EXPIRED), "{output:?}");
    assert_eq!((output.exit_code, output.result("api_error_status")), (Some(1), &Value::Null));
    assert_eq!(fixture.anthropic().essential_requests(), []);
    assert!(is_cleared_login(&oauth(&alice)));
}

#[test]
fn invalid_login_is_reported_as_not_logged_in() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(3600));
    let mut without_scope = login.oauth_object(in_hours(1));
    without_scope["scopes"] = json!(["user:profile"]);
    let mut without_access = login.oauth_object(in_hours(1));
    without_access["accessToken"] = json!("");
    for text in [
        "",
        "{}",
        "{\"claudeAiOauth\":",
        r#"{"claudeAiOauth": null}"#,
        &json!({"claudeAiOauth": without_scope}).to_string(),
        &json!({"claudeAiOauth": without_access}).to_string(),
    ] {
        alice.write_credentials_text(text).expect("written");
        let output = run(&alice);
        assert!(
            output.text().starts_with(NOT_LOGGED_IN) && output.exit_code == Some(1),
            "{text}: {output:?}"
        );
        assert_eq!(alice.credentials_text().expect("still there"), text);
    }
    fs::remove_file(alice.credentials_file()).expect("removed");
    assert!(run(&alice).text().starts_with(NOT_LOGGED_IN));
    assert!(!alice.credentials_file().exists());
    assert_eq!(fixture.anthropic().essential_requests(), []);
}

#[test]
fn access_token_without_refresh_token_is_used_after_expiry() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(3600));
    for expires_at in [in_hours(1), in_hours(-1)] {
        let mut object = login.oauth_object(expires_at);
        object["refreshToken"] = json!("");
        alice.write_credentials(&json!({"claudeAiOauth": object})).expect("written");
        assert!(run(&alice).answered());
        assert_eq!(oauth(&alice)["accessToken"], login.access_token);
    }
    assert_eq!(super::refreshes(&fixture), 0);
}

/// As users paste a setup token into the file.
#[test]
fn pasted_setup_token_is_used_and_never_changed() {
    check_pasted_setup_token(&fixture());
}

#[test]
fn older_client_uses_a_pasted_setup_token() {
    check_pasted_setup_token(&super::older_fixture());
}

fn check_pasted_setup_token(fixture: &ClaudeFixture) {
    let alice = fixture.create_user("alice").expect("alice");
    fixture.anthropic().accept_setup_token(SETUP_TOKEN);
    let pasted = |members: Value| {
        let mut object = json!({ "accessToken": SETUP_TOKEN, "scopes": ["user:inference"] });
        for (name, value) in members.as_object().expect("members") {
            object[name] = value.clone();
        }
        json!({ "claudeAiOauth": object })
    };
    let files = [
        json!({ "expiresAt": in_hours(24 * 365) }),
        json!({ "refreshToken": "", "expiresAt": in_hours(24 * 365) }),
        json!({ "refreshToken": null, "expiresAt": in_hours(-24) }),
        json!({ "refreshToken": null }),
    ];
    for answer in [None, Some(MessageAnswer::Invalid), Some(MessageAnswer::Revoked)] {
        let answers = answer.is_none();
        fixture.anthropic().answer_messages(SETUP_TOKEN, answer);
        for file in &files {
            let file = pasted(file.clone());
            alice.write_credentials(&file).expect("written");
            let output = run(&alice);
            assert_eq!(output.answered(), answers, "{file}: {output:?}");
            let after = oauth(&alice);
            for (name, value) in file["claudeAiOauth"].as_object().expect("an object") {
                assert_eq!(&after[name], value, "{file}: {name}");
            }
        }
    }
    assert_eq!(super::refreshes(fixture), 0);
    let requests = fixture.anthropic().essential_requests();
    assert!(requests.iter().all(asked_with(SETUP_TOKEN)), "{requests:?}");
}

/// With a text for the refresh token, the file is the login of a client that refreshes.
#[test]
fn pasted_token_with_a_refresh_token_is_cleared_if_rejected() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    fixture.anthropic().accept_setup_token(SETUP_TOKEN);
    let object = json!({
        "accessToken": SETUP_TOKEN, "refreshToken": "none",
        "expiresAt": in_hours(24 * 365), "scopes": ["user:inference"],
    });
    let file = json!({ "claudeAiOauth": object });
    alice.write_credentials(&file).expect("written");
    assert!(run(&alice).answered());
    assert_eq!((oauth(&alice)["accessToken"].clone(), super::refreshes(&fixture)), (json!(SETUP_TOKEN), 0));
    fixture.anthropic().answer_messages(SETUP_TOKEN, Some(MessageAnswer::Invalid));
    assert!(!run(&alice).answered());
    assert!(super::refreshes(&fixture) > 0, "the client tries the refresh token");
}

#[test]
fn restored_login_works_at_the_next_run() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    let good = alice.credentials().expect("a file");
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    assert!(!run(&alice).answered());
    alice.write_credentials(&good).expect("restored");
    let output = run(&alice);
    assert!(
        output.answered() && fixture.anthropic().requests().iter().any(asked_with(&login.access_token)),
        "{output:?}"
    );
}

#[test]
fn running_session_notices_a_cleared_and_a_restored_login() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    alice.sign_in().expect("a login");
    let good = alice.credentials().expect("a file");
    let mut session = alice.claude().start_conversation().expect("started");
    assert!(session.ask("Once", LIMIT).expect("an answer").answered());
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    let output = session.ask("Twice", LIMIT).expect("an answer");
    assert!(!output.answered() && output.text().contains("expired"), "{output:?}");
    alice.write_credentials(&good).expect("restored");
    let output = session.ask("Once more", LIMIT).expect("an answer");
    assert!(output.answered(), "{output:?}");
    session.leave(LIMIT).expect("it left");
}

#[test]
fn token_in_the_environment_takes_precedence_over_the_file() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    let documents = [document(&login, 8), document(&login, -1), json!({"claudeAiOauth": cleared_login()})];
    fixture.anthropic().accept_setup_token(SETUP_TOKEN);
    let with_token =
        || alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN).run(LIMIT).expect("an end");
    for answer in [None, Some(MessageAnswer::Invalid)] {
        let answers = answer.is_none();
        fixture.anthropic().answer_messages(SETUP_TOKEN, answer);
        for document in &documents {
            alice.write_credentials(document).expect("written");
            let before = alice.credentials_text().expect("a file");
            let output = with_token();
            assert_eq!(output.answered(), answers, "{output:?}");
            assert_eq!(alice.credentials_text().expect("a file"), before);
        }
    }
    let requests = fixture.anthropic().essential_requests();
    assert!(requests.iter().all(asked_with(SETUP_TOKEN)), "{requests:?}");
}

#[test]
fn empty_variable_counts_as_unset() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    for value in ["", " "] {
        fixture.anthropic().forget_requests();
        let output = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", value).run(LIMIT).expect("an end");
        assert!(output.answered(), "{value:?}: {output:?}");
        let requests = fixture.anthropic().essential_requests();
        assert!(requests.iter().all(asked_with(&login.access_token)), "{value:?}: {requests:?}");
    }
}

#[test]
fn auth_status_reports_a_rejected_token_as_logged_in() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let status =
        alice.claude().arguments(&["auth", "status"]).variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN);
    let output = status.run(LIMIT).expect("an end");
    assert_eq!((output.exit_code, logged_in(&output)), (Some(0), json!(true)), "{output:?}");
    assert!(
        !alice
            .claude()
            .variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN)
            .run(LIMIT)
            .expect("an end")
            .answered()
    );
}

/// The token endpoint answers only after the client has ended, so that no race decides the result.
#[test]
fn auth_status_reports_an_unanswered_refresh_as_logged_in() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    assert!(fixture.anthropic().revoke(&login.family));
    fixture.anthropic().hold_refreshes(true);
    let output = alice.claude().arguments(&["auth", "status"]).run(LIMIT).expect("an end");
    assert_eq!((output.exit_code, logged_in(&output)), (Some(0), json!(true)), "{output:?}");
    fixture.anthropic().hold_refreshes(false);
    assert!(!run(&alice).answered());
}

#[test]
fn auth_status_exits_during_a_slow_refresh_and_loses_the_login() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    fixture.anthropic().hold_refreshes(true);
    alice.claude().arguments(&["auth", "status"]).run(LIMIT).expect("an end");
    fixture.anthropic().hold_refreshes(false);
    assert_eq!(super::refreshes(&fixture), 1);
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    let output = run(&alice);
    assert!(!output.answered() && is_cleared_login(&oauth(&alice)), "{output:?}");
}

fn logged_in(output: &ClientOutput) -> Value {
    let status: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    status["loggedIn"].clone()
}
