//! What the check of the first start is about: the real client, typed at a terminal.

use cas_tests::guest::{ClaudeGuest, Suite};

/// What an interactive client shows within some seconds, with this `.claude.json`.
fn shown(desk: &ClaudeGuest, own_state: &str) -> String {
    desk.guest.write("/home/alice/.claude.json", "alice", "600", own_state.as_bytes());
    let mut terminal = desk.guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    terminal.type_line("TERM=xterm timeout --foreground 8 claude; echo 'o''ver'");
    terminal.wait_for("over")
}

#[test]
fn client_without_a_first_start_is_reported_despite_a_login() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    desk.sign_in("alice");
    let first = shown(&desk, "{}");
    assert!(first.contains("Welcome") && !first.contains("workspace"), "{first:?}");
    let later = shown(&desk, r#"{"hasCompletedOnboarding":true}"#);
    assert!(!later.contains("Welcome") && later.contains("workspace"), "it asks about the folder: {later:?}");
}
