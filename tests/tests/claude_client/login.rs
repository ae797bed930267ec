//! Which login the client uses: the file's, the environment's, or none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_client::{ClientOutput, in_hours};
use serde_json::{Value, json};

use super::{
    LIMIT, NOT_LOGGED_IN, SESSION_EXPIRED, asked_with, bed, cleared_login, document, is_cleared_login, oauth,
    run, sign_in_stale,
};

const SETUP_TOKEN: &str = "sk-ant-oat01-a-setup-token";

#[test]
fn valid_login_answers_and_is_not_refreshed() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    let said = run(&alice);
    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    let requests = bed.anthropic().essential_requests();
    assert!(requests.len() == 1 && requests.iter().all(asked_with(&login.access_token)), "{requests:?}");
    let object = oauth(&alice);
    assert_eq!(object["accessToken"], login.access_token);
    assert_eq!(object["refreshToken"], login.refresh_token);
    let mode = fs::metadata(alice.credentials_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn cleared_login_reports_an_expired_session_without_a_request() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    let said = run(&alice);
    assert!(said.text().starts_with(SESSION_EXPIRED), "{said:?}");
    assert_eq!((said.exit_code, said.result("api_error_status")), (Some(1), &Value::Null));
    assert_eq!(bed.anthropic().essential_requests(), []);
    assert!(is_cleared_login(&oauth(&alice)));
}

#[test]
fn invalid_login_is_reported_as_not_logged_in() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = bed.anthropic().sign_in("alice", Duration::from_secs(3600));
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
        let said = run(&alice);
        assert!(said.text().starts_with(NOT_LOGGED_IN) && said.exit_code == Some(1), "{text}: {said:?}");
        assert_eq!(alice.credentials_text().expect("still there"), text);
    }
    fs::remove_file(alice.credentials_file()).expect("removed");
    assert!(run(&alice).text().starts_with(NOT_LOGGED_IN));
    assert!(!alice.credentials_file().exists());
    assert_eq!(bed.anthropic().essential_requests(), []);
}

#[test]
fn access_token_without_refresh_token_is_used_after_expiry() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = bed.anthropic().sign_in("alice", Duration::from_secs(3600));
    for expires_at in [in_hours(1), in_hours(-1)] {
        let mut object = login.oauth_object(expires_at);
        object["refreshToken"] = json!("");
        alice.write_credentials(&json!({"claudeAiOauth": object})).expect("written");
        assert!(run(&alice).answered());
        assert_eq!(oauth(&alice)["accessToken"], login.access_token);
    }
    assert_eq!(super::refreshes(&bed), 0);
}

#[test]
fn restored_login_works_at_the_next_run() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    let good = alice.credentials().expect("a file");
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    assert!(!run(&alice).answered());
    alice.write_credentials(&good).expect("restored");
    let said = run(&alice);
    assert!(
        said.answered() && bed.anthropic().requests().iter().any(asked_with(&login.access_token)),
        "{said:?}"
    );
}

#[test]
fn running_session_notices_a_cleared_and_a_restored_login() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    alice.sign_in().expect("a login");
    let good = alice.credentials().expect("a file");
    let mut session = alice.claude().converse().expect("started");
    assert!(session.ask("Once", LIMIT).expect("an answer").answered());
    alice.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("written");
    let said = session.ask("Twice", LIMIT).expect("an answer");
    assert!(!said.answered() && said.text().contains("expired"), "{said:?}");
    alice.write_credentials(&good).expect("restored");
    let said = session.ask("Once more", LIMIT).expect("an answer");
    assert!(said.answered(), "{said:?}");
    session.leave(LIMIT).expect("it left");
}

#[test]
fn token_in_the_environment_takes_precedence_over_the_file() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
    let documents = [document(&login, 8), document(&login, -1), json!({"claudeAiOauth": cleared_login()})];
    bed.anthropic().accept_setup_token(SETUP_TOKEN);
    let with_token =
        || alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN).run(LIMIT).expect("an end");
    for answer in [None, Some(MessageAnswer::Invalid)] {
        let answers = answer.is_none();
        bed.anthropic().answer_messages(SETUP_TOKEN, answer);
        for document in &documents {
            alice.write_credentials(document).expect("written");
            let before = alice.credentials_text().expect("a file");
            let said = with_token();
            assert_eq!(said.answered(), answers, "{said:?}");
            assert_eq!(alice.credentials_text().expect("a file"), before);
        }
    }
    let requests = bed.anthropic().essential_requests();
    assert!(requests.iter().all(asked_with(SETUP_TOKEN)), "{requests:?}");
}

#[test]
fn empty_variable_counts_as_unset() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = alice.sign_in().expect("a login");
    for value in ["", " "] {
        bed.anthropic().forget_requests();
        let said = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", value).run(LIMIT).expect("an end");
        assert!(said.answered(), "{value:?}: {said:?}");
        let requests = bed.anthropic().essential_requests();
        assert!(requests.iter().all(asked_with(&login.access_token)), "{value:?}: {requests:?}");
    }
}

#[test]
fn auth_status_reports_a_rejected_token_as_logged_in() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let status =
        alice.claude().arguments(&["auth", "status"]).variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN);
    let said = status.run(LIMIT).expect("an end");
    assert_eq!((said.exit_code, logged_in(&said)), (Some(0), json!(true)), "{said:?}");
    assert!(
        !alice
            .claude()
            .variable("CLAUDE_CODE_OAUTH_TOKEN", SETUP_TOKEN)
            .run(LIMIT)
            .expect("an end")
            .answered()
    );
}

/// The token endpoint answers only after the client has left: what a fast answer would change is left to no race.
#[test]
fn auth_status_reports_an_unanswered_refresh_as_logged_in() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
    assert!(bed.anthropic().revoke(&login.family));
    bed.anthropic().hold_refreshes(true);
    let said = alice.claude().arguments(&["auth", "status"]).run(LIMIT).expect("an end");
    assert_eq!((said.exit_code, logged_in(&said)), (Some(0), json!(true)), "{said:?}");
    bed.anthropic().hold_refreshes(false);
    assert!(!run(&alice).answered());
}

#[test]
fn auth_status_exits_during_a_slow_refresh_and_loses_the_login() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
    bed.anthropic().hold_refreshes(true);
    alice.claude().arguments(&["auth", "status"]).run(LIMIT).expect("an end");
    bed.anthropic().hold_refreshes(false);
    assert_eq!(super::refreshes(&bed), 1);
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    let said = run(&alice);
    assert!(!said.answered() && is_cleared_login(&oauth(&alice)), "{said:?}");
}

fn logged_in(said: &ClientOutput) -> Value {
    let status: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    status["loggedIn"].clone()
}
