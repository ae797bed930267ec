//! The check of the first start: the real client at a terminal.

use cas_tests::guest::{ClaudeGuest, Suite};

/// Returns what an interactive client shows within some seconds, with this `.claude.json`.
fn shown(fixture: &ClaudeGuest, own_state: &str) -> String {
    fixture.guest.write("/home/alice/.claude.json", "alice", "600", own_state.as_bytes());
    let mut terminal = fixture.guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    terminal.type_line("TERM=xterm timeout --foreground 8 claude; echo 'o''ver'");
    terminal.wait_for("over")
}

#[test]
fn client_without_a_first_start_is_reported_despite_a_login() {
    let fixture = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    fixture.sign_in("alice");
    let first = shown(&fixture, "{}");
    assert!(first.contains("Welcome") && !first.contains("workspace"), "{first:?}");
    let later = shown(&fixture, r#"{"hasCompletedOnboarding":true}"#);
    assert!(!later.contains("Welcome") && later.contains("workspace"), "it asks about the folder: {later:?}");
}
