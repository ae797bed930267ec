//! The notice of a user's shell exists exactly while the user must act.

use cas_tests::anthropic::MessageAnswer::{OrganizationForbidden, Overloaded, Revoked};
use cas_tests::claude_login::cleared_login;

use super::valid::keep_setup_token;
use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

fn notice(user: &ClaudeUser<'_>) -> Option<String> {
    fs::read_to_string(user.state_file("notice")).ok()
}

#[track_caller]
fn log_in(user: &ClaudeUser<'_>) {
    let output = user.login().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
}

#[test]
fn rejected_login_shows_a_notice_until_the_next_sign_in() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    assert_eq!(notice(&alice), None);
    assert!(fixture.anthropic().revoke(&login.family), "it was signed in a moment ago");

    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    let output = notice(&alice).expect("shown");
    assert!(output.ends_with("run `cas-sync login`\n"), "{output}");
    assert_eq!(fs::metadata(alice.state_file("notice")).expect("there").mode() & 0o777, 0o600);
    assert!(output.lines().count() == 1 && output.len() <= 201, "{output}");

    log_in(&alice);
    assert_eq!(notice(&alice), Some(output), "a login shows nothing about the same login");

    let next = sign_in(&fixture, &alice, 8);
    fixture.anthropic().answer_messages(&format!("sk-ant-oat01-{}-1", next.family), Some(Overloaded));
    log_in(&alice);
    assert_eq!(notice(&alice), None, "before any verification: what was asked for is done");
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    assert_eq!(notice(&alice), None, "and it does not appear again");
}

#[test]
fn lost_login_shows_a_notice_until_it_is_replaced() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    let complete = alice.credentials_text().expect("a file");
    for file in ["history.json", "ledger.json"] {
        fs::remove_file(alice.state_file(file)).expect("forgotten");
    }
    let cleared = serde_json::from_str(&cleared_login(&complete)).expect("JSON");
    alice.write_credentials(&cleared).expect("cleared");
    log_in(&alice);
    let output = notice(&alice).expect("shown");
    assert!(output.contains("no backup to restore"), "{output}");
    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    assert_eq!(notice(&alice), Some(output));
    alice.write_credentials(&document(&login, 8)).expect("restored by hand");
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None);
}

#[test]
fn rejected_token_and_refused_account_have_own_remedies() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    fixture.anthropic().answer_messages(TOKEN, Some(Revoked));
    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    assert!(notice(&alice).is_some_and(|text| text.contains("claude setup-token")), "{:?}", notice(&alice));
    fixture.anthropic().answer_messages(TOKEN, Some(Overloaded));
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    assert!(notice(&alice).is_some(), "an outage shows nothing about a token");
    fixture.anthropic().answer_messages(TOKEN, Some(OrganizationForbidden));
    assert_eq!(sync(&alice).exit_code, Some(1));
    assert!(notice(&alice).is_some_and(|text| text.contains("administrator")), "{:?}", notice(&alice));
    fixture.anthropic().accept_setup_token(TOKEN);
    fixture.anthropic().answer_messages(TOKEN, None);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None);
}
