//! The notice of a user's shell exists exactly while the user has to act.

use cas_tests::anthropic::MessageAnswer::{OrganizationForbidden, Overloaded, Revoked};
use cas_tests::claude_login::cleared_login;

use super::valid::keep_setup_token;
use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

fn notice(person: &Person<'_>) -> Option<String> {
    fs::read_to_string(person.state_file("notice")).ok()
}

#[track_caller]
fn log_in(person: &Person<'_>) {
    let said = person.login().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(said.exit_code, OK_MESSAGE, "{}{}", said.stdout, said.stderr);
}

#[test]
fn rejected_login_shows_a_notice_until_the_next_sign_in() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    assert_eq!(notice(&alice), None);
    assert!(bed.anthropic().revoke(&login.family), "it was signed in a moment ago");

    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    let shown = notice(&alice).expect("shown");
    assert!(shown.ends_with("run `cas-sync login`\n"), "{shown}");
    assert_eq!(fs::metadata(alice.state_file("notice")).expect("there").mode() & 0o777, 0o600);
    assert!(shown.lines().count() == 1 && shown.len() <= 201, "{shown}");

    log_in(&alice);
    assert_eq!(notice(&alice), Some(shown), "a login shows nothing about the same login");

    let next = sign_in(&bed, &alice, 8);
    bed.anthropic().answer_messages(&format!("sk-ant-oat01-{}-1", next.family), Some(Overloaded));
    log_in(&alice);
    assert_eq!(notice(&alice), None, "before any verification: what was asked for is done");
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    assert_eq!(notice(&alice), None, "nor does it come back");
}

#[test]
fn lost_login_shows_a_notice_until_it_is_replaced() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    let whole = alice.credentials_text().expect("a file");
    for file in ["history.json", "ledger.json"] {
        fs::remove_file(alice.state_file(file)).expect("forgotten");
    }
    let emptied = serde_json::from_str(&cleared_login(&whole)).expect("JSON");
    alice.write_credentials(&emptied).expect("emptied");
    log_in(&alice);
    let shown = notice(&alice).expect("shown");
    assert!(shown.contains("no backup to restore"), "{shown}");
    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    assert_eq!(notice(&alice), Some(shown));
    alice.write_credentials(&document(&login, 8)).expect("put back by hand");
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None);
}

#[test]
fn rejected_token_and_refused_account_have_own_remedies() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    bed.anthropic().answer_messages(TOKEN, Some(Revoked));
    assert_eq!(sync(&alice).exit_code, SIGN_IN);
    assert!(notice(&alice).is_some_and(|text| text.contains("claude setup-token")), "{:?}", notice(&alice));
    bed.anthropic().answer_messages(TOKEN, Some(Overloaded));
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    assert!(notice(&alice).is_some(), "an outage shows nothing about a token");
    bed.anthropic().answer_messages(TOKEN, Some(OrganizationForbidden));
    assert_eq!(sync(&alice).exit_code, Some(1));
    assert!(notice(&alice).is_some_and(|text| text.contains("administrator")), "{:?}", notice(&alice));
    bed.anthropic().accept_setup_token(TOKEN);
    bed.anthropic().answer_messages(TOKEN, None);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None);
}
