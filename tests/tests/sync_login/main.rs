//! `cas-sync login` with the real client and a real store: a new login replaces the previous one
//! after it has been verified, and any other result changes nothing.

mod refused;
mod signed_in;
mod signed_out;
mod unnamed;

use std::fs;
use std::os::unix::fs::chown;
use std::process::ExitStatus;

use cas_tests::anthropic::{Account, fingerprint};
use cas_tests::claude_client::state_of_sign_in;
use cas_tests::claude_login::parsed;
use cas_tests::pseudo_terminal::PseudoTerminal;
use cas_tests::test_user::{LOGIN, TestUser, UID};
use serde_json::Value;

const CODE: &str = "the-code-of-the-browser";
const PROMPT: &str = "Code (input is hidden): ";

/// Returns a terminal that shows the sign-in URL and asks for the code.
#[track_caller]
fn start_sign_in(test_user: &TestUser, options: &[&str]) -> PseudoTerminal {
    let terminal = test_user.run_at_terminal("cas-sync", &[&["login"][..], options].concat(), 80);
    terminal.wait_for(PROMPT);
    terminal.wait_for_echo_mode(false);
    terminal
}

/// Signs in to this account and pastes the code of the browser. Returns the exit status and the
/// screen.
#[track_caller]
fn sign_in(test_user: &TestUser, options: &[&str], account: Account) -> (ExitStatus, String) {
    test_user.anthropic().show_code(CODE, account);
    let terminal = start_sign_in(test_user, options);
    let state = state_in(&terminal.shown());
    terminal.type_text(&format!("{CODE}#{state}\n"));
    let (status, screen, echoes) = terminal.end();
    assert!(echoes && !screen.contains(CODE), "{screen}");
    assert!(!screen.contains("sk-ant-"), "{screen}");
    (status, unfolded(&screen))
}

/// Returns the screen with each wrapped line joined.
fn unfolded(screen: &str) -> String {
    screen.replace("\n  ", " ")
}

/// Returns the URL, which is on a line of its own.
#[track_caller]
fn address_in(screen: &str) -> String {
    let mut lines = screen.lines().filter(|line| line.starts_with("https://"));
    let line = lines.next().unwrap_or_else(|| panic!("no address: {screen}"));
    assert!(lines.next().is_none() && !line.trim_end().contains(' '), "{screen}");
    line.trim_end().to_owned()
}

fn state_in(screen: &str) -> String {
    let address = address_in(screen);
    state_of_sign_in(&address).unwrap_or_else(|| panic!("no state: {address}")).to_owned()
}

fn other_account() -> Account {
    Account {
        email: "bob@example.com".to_owned(),
        uuid: "00000000-0000-4000-8000-000000000002".to_owned(),
        ..Account::personal()
    }
}

fn login(test_user: &TestUser) -> Value {
    parsed(&String::from_utf8(test_user.read(LOGIN).expect("a login")).expect("text"))
}

/// Writes `~/.claude.json` as the user's file.
fn write_client_state_file(test_user: &TestUser, text: &str) {
    test_user.put(".claude.json", text);
    chown(test_user.path(".claude.json"), Some(UID), Some(UID)).expect("given");
}

/// Asserts that no file and no client is left where claude ran.
#[track_caller]
fn assert_no_trace(test_user: &TestUser) {
    assert_eq!(test_user.remaining_scratch_directories(), Vec::<String>::new());
    let client = test_user.program("claude").display().to_string();
    for process in fs::read_dir("/proc").expect("processes").flatten() {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&command).contains(&client), "a client is left: {process:?}");
    }
}

/// Returns the number of requests for inference with this token.
fn asked_with(test_user: &TestUser, token: &str) -> usize {
    let token = Some(fingerprint(token));
    let requests = test_user.anthropic().requests();
    requests.iter().filter(|request| request.is_message() && request.token == token).count()
}
