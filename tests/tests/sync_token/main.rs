//! `cas-sync token` with the real client and a real store: which tokens are activated and which are
//! refused; only a success changes anything.

mod clear;
mod copied_to_vault;
mod refused;
mod set;
mod show;
mod terminal;

use std::process::Output;

use cas_tests::anthropic::fingerprint;
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::test_user::{ENV_FILE, STATE, TestUser};
use serde_json::{Value, json};

const TOKEN: &str = "sk-ant-oat01-the_new-token-0123456789abcdefghijklmnopqrstuvwxyz";
const OLD: &str = "sk-ant-oat01-the_old-token";

/// Creates a user with the client, whose tokens are accepted.
fn user_with_claude() -> TestUser {
    let test_user = TestUser::create_with_claude();
    for token in [TOKEN, OLD] {
        test_user.anthropic().accept_setup_token(token);
    }
    test_user
}

/// As above, with a server as the store, which has a field of another tool.
fn user_with_store(policy: Policy) -> (TestUser, Bao, VaultUser) {
    let test_user = user_with_claude();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, policy);
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    (test_user, bao, vault_user)
}

/// Returns `cas-sync` with these words and an empty standard input.
fn cas_sync(test_user: &TestUser, words: &[&str]) -> Output {
    test_user.output(test_user.command(&test_user.program("cas-sync"), words))
}

/// Runs `cas-sync token set` with this standard input.
fn set(test_user: &TestUser, options: &[&str], input: &str) -> Output {
    let words = [&["token", "set"][..], options].concat();
    test_user.output_with_input(test_user.command(&test_user.program("cas-sync"), &words), input.as_bytes())
}

/// Activates a token, which must succeed.
#[track_caller]
fn activate_token(test_user: &TestUser, token: &str) {
    let output = set(test_user, &[], token);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(env_file(test_user).as_deref(), Some(token));
    test_user.anthropic().forget_requests();
}

/// Returns the token in the env file.
fn env_file(test_user: &TestUser) -> Option<String> {
    let content = String::from_utf8(test_user.read(ENV_FILE)?).expect("text");
    let line = content.strip_prefix("CLAUDE_CODE_OAUTH_TOKEN=").and_then(|rest| rest.strip_suffix('\n'));
    Some(line.unwrap_or_else(|| panic!("not one line: {content:?}")).to_owned())
}

fn state(test_user: &TestUser) -> Value {
    let content = test_user.read(&format!("{STATE}/state.json")).expect("a state");
    serde_json::from_slice(&content).expect("JSON")
}

/// Returns the number of requests for inference with this token.
fn asked_with(test_user: &TestUser, token: &str) -> usize {
    let token = Some(fingerprint(token));
    let requests = test_user.anthropic().requests();
    requests.iter().filter(|request| request.is_message() && request.token == token).count()
}

fn stdout_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
