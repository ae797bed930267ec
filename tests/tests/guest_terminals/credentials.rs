//! `cas-sync token set` and `cas-sync login`: prompts, answers and output.

use cas_tests::anthropic::{Account, MessageAnswer};
use cas_tests::claude_client::state_of_sign_in;
use cas_tests::guest::{ClaudeGuest, Suite};
use cas_tests::pseudo_terminal::PseudoTerminal;
use serde_json::json;

use crate::recording::Recordings;
use crate::terminal_setting::{ALL_SETTINGS, C, CommandUser, DUMB, NARROW, NO_COLOR, PIPE, Setting, WIDE};

const TOKEN: &str = "sk-ant-oat01-pasted_at_a_real_terminal-0123456789";
const CODE: &str = "code-of-the-browser-0123456789";

/// Returns a dialog that pastes this text at the prompt, without an echo.
fn paste_at_prompt(prompt: &'static str, text: &'static str) -> impl Fn(&PseudoTerminal) {
    move |terminal| {
        terminal.wait_for(prompt);
        terminal.wait_for_echo_mode(false);
        terminal.type_text(text);
    }
}

#[test]
fn token_set_output_equals_its_recordings() {
    let (host, _bao, users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let guest = &host.guest;
    let alice = CommandUser::new(guest, "alice");
    host.anthropic.accept_setup_token(TOKEN);
    let mut recordings = Recordings::open("token-set").with_secrets(&[&users[0].token(), TOKEN]);
    let typed = "sk-ant-oat01-pasted_at_a_real_terminal-0123456789\n";
    let mut set = |scenario: &str, setting: Setting, words: &[&str], given: &'static str, code: i32| {
        let words = [&["token", "set"][..], words].concat();
        let (ended, output) =
            alice.run_with_dialog(setting, &words, given.as_bytes(), paste_at_prompt("Setup token", given));
        assert_eq!(ended, Some(code), "{output}");
        recordings.compare(scenario, setting, &output);
    };
    // No request is needed to reject it.
    for setting in ALL_SETTINGS {
        set("no-token", setting, &[], "my password\n", 1);
    }
    host.anthropic.answer_messages(TOKEN, Some(MessageAnswer::Revoked));
    set("refused", NARROW, &[], typed, 79);
    set("refused", C, &[], typed, 79);
    host.anthropic.answer_messages(TOKEN, Some(MessageAnswer::Overloaded));
    set("not-verified", NARROW, &[], typed, 75);
    host.anthropic.answer_messages(TOKEN, None);
    set("accepted", NARROW, &[], typed, 0);
    set("accepted", WIDE, &[], typed, 0);
    set("accepted", PIPE, &[], typed, 0);
    let (ended, output) = alice.run(NARROW, &["token", "set", "--minted-at", "2999-01-01"]);
    assert_eq!(ended, Some(2), "{output}");
    recordings.compare("future-date", NARROW, &output);
    recordings.end();
}

/// Signs in, or pastes something else. Both need the state in the URL.
fn answer_sign_in(is_signed_in: bool) -> impl Fn(&PseudoTerminal) {
    move |terminal| {
        terminal.wait_for("Code (input is hidden): ");
        terminal.wait_for_echo_mode(false);
        let shown = terminal.shown();
        let address = shown.lines().find(|line| line.starts_with("https://")).expect("a URL");
        let state = state_of_sign_in(address.trim_end()).expect("a state");
        terminal.type_text(&format!("{}#{state}\n", if is_signed_in { CODE } else { "another" }));
    }
}

#[test]
fn login_output_equals_its_recordings() {
    let (host, _bao, users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let guest = &host.guest;
    let alice = CommandUser::new(guest, "alice");
    let own =
        json!({ "oauthAccount": { "emailAddress": "alice@example.org" }, "hasCompletedOnboarding": true });
    let mut recordings = Recordings::open("login").with_secrets(&[&users[0].token(), CODE]);
    let mut sign_in = |scenario: &str, setting: Setting, words: &[&str], is_signed_in: bool, code: i32| {
        guest.write("/home/alice/.claude.json", "alice", "600", own.to_string().as_bytes());
        host.anthropic.show_code(CODE, Account::personal());
        let words = [&["login"][..], words].concat();
        let (ended, output) =
            alice.run_with_dialog(setting, &words, b"another#code\n", answer_sign_in(is_signed_in));
        assert_eq!(ended, Some(code), "{output}");
        let address = output.lines().find(|line| line.starts_with("https://")).map(str::to_owned);
        recordings.compare_with_commands(scenario, setting, &output, &Vec::from_iter(address));
    };
    sign_in("signed-in", NARROW, &[], true, 0);
    sign_in("signed-in", WIDE, &[], true, 0);
    for setting in [NARROW, C, NO_COLOR, DUMB, PIPE] {
        sign_in("wrong-code", setting, &[], false, 1);
    }
    host.anthropic.answer_messages("sk-ant-oat01-person-3-1", Some(MessageAnswer::OrganizationForbidden));
    sign_in("refused", NARROW, &[], true, 1);
    host.anthropic.accept_setup_token(TOKEN);
    let (ended, output) = alice.run_with_dialog(PIPE, &["token", "set"], TOKEN.as_bytes(), |_| {});
    assert_eq!(ended, Some(0), "{output}");
    sign_in("with-a-setup-token", NARROW, &[], true, 0);
    let (ended, output) = alice.run(NARROW, &["login", "--email", "alice"]);
    assert_eq!(ended, Some(2), "{output}");
    recordings.compare("no-email", NARROW, &output);
    recordings.end();
}
