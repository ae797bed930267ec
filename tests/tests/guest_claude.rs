//! The end of it all: somebody's login breaks, they log in, and the real `claude` answers.

use std::time::Duration;

use cas_tests::{
    anthropic::RefreshAnswer,
    claude_login::{parsed, tombstone},
    guest::{Suite, Workplace},
};

const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60);

#[test]
fn ssh_login_after_a_clobbered_credential_has_a_working_claude_on_bookworm() {
    claude_works_again(Suite::Bookworm);
}

#[test]
fn ssh_login_after_a_clobbered_credential_has_a_working_claude_on_trixie() {
    claude_works_again(Suite::Trixie);
}

fn claude_works_again(suite: Suite) {
    let desk = Workplace::start(suite);
    desk.sign_in(EIGHT_HOURS);
    desk.guest.sync("alice").expect_success("the first backup");
    desk.ask_claude().expect_success("claude before it breaks");
    let login = desk.guest.login_of("alice");

    // What another home's copy of the login does to this one: see docs/claude-code.md, "Refreshing".
    desk.guest.put_login("alice", &tombstone(&login));
    let without = desk.ask_claude_without_login();
    assert!(!without.succeeded() && without.text().contains("session expired"), "{}", without.text());

    let with = desk.ask_claude().expect_success("claude after the login");
    assert!(with.text().contains("AUTH_OK"), "{}", with.text());
}

#[test]
fn a_setup_token_alone_makes_claude_work_and_is_sent_as_it_is() {
    const TOKEN: &str = "sk-ant-oat01-a_year_for_alice";
    let desk = Workplace::start(Suite::Bookworm);
    assert!(!desk.ask_claude().succeeded(), "nobody has signed in");
    desk.anthropic.accept_setup_token(TOKEN);
    desk.guest.put_token("alice", TOKEN);
    desk.ask_claude().expect_success("claude with a setup-token");
}

#[test]
fn a_tombstone_that_claude_code_itself_wrote_is_mended() {
    let desk = Workplace::start(Suite::Bookworm);
    let login = desk.sign_in(EIGHT_HOURS);
    desk.guest.sync("alice").expect_success("the first backup");
    let before = desk.guest.login_of("alice");
    // The server refuses the next refresh, as after a lost race, while the access token itself is still good.
    desk.anthropic.answer_refreshes(RefreshAnswer::InvalidGrant);
    let mut stale = parsed(&before);
    stale["claudeAiOauth"]["expiresAt"] = 0.into();
    desk.guest.put_login("alice", &stale.to_string());
    let _said = desk.ask_claude();
    let broken = parsed(&desk.guest.login_of("alice"));
    assert_eq!(broken["claudeAiOauth"]["refreshToken"], "", "claude left a tombstone: {broken}");

    let works = desk.ask_claude().expect_success("claude after the next login");
    assert!(works.text().contains("AUTH_OK"), "{}", works.text());
    let after = parsed(&desk.guest.login_of("alice"));
    assert_eq!(after["claudeAiOauth"]["refreshToken"], login.refresh_token.as_str());
}
