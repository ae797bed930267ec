//! `cas-sync token` with the real client and a real store: which tokens are activated and which are
//! refused; only a success changes anything.

mod clear;
mod refused;
mod set;
mod show;
mod terminal;

use std::process::Output;

use cas_tests::anthropic::fingerprint;
use cas_tests::openbao::{Bao, Person, Policy};
use cas_tests::test_user::{ENV_FILE, Resident, STATE};
use serde_json::{Value, json};

const TOKEN: &str = "sk-ant-oat01-the_new-token-0123456789abcdefghijklmnopqrstuvwxyz";
const OLD: &str = "sk-ant-oat01-the_old-token";

/// Creates a user with the client, whose tokens are accepted.
fn settled() -> Resident {
    let resident = Resident::settle_with_claude();
    for token in [TOKEN, OLD] {
        resident.anthropic().accept_setup_token(token);
    }
    resident
}

/// The same with a server as the store, which holds something of another tool's.
fn settled_with_store(policy: Policy) -> (Resident, Bao, Person) {
    let resident = settled();
    let bao = resident.bao();
    let person = resident.use_store(&bao, policy);
    person.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    (resident, bao, person)
}

/// `cas-sync` with these words and nothing on its standard input.
fn cas_sync(resident: &Resident, words: &[&str]) -> Output {
    resident.output(resident.command(&resident.program("cas-sync"), words))
}

/// `cas-sync token set`, with this sent to it.
fn set(resident: &Resident, options: &[&str], input: &str) -> Output {
    let words = [&["token", "set"][..], options].concat();
    resident.output_with_input(resident.command(&resident.program("cas-sync"), &words), input.as_bytes())
}

/// Activates a token, which must succeed.
#[track_caller]
fn put_in_force(resident: &Resident, token: &str) {
    let output = set(resident, &[], token);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(env_file(resident).as_deref(), Some(token));
    resident.anthropic().forget_requests();
}

/// The token in the env file.
fn env_file(resident: &Resident) -> Option<String> {
    let content = String::from_utf8(resident.read(ENV_FILE)?).expect("text");
    let line = content.strip_prefix("CLAUDE_CODE_OAUTH_TOKEN=").and_then(|rest| rest.strip_suffix('\n'));
    Some(line.unwrap_or_else(|| panic!("not one line: {content:?}")).to_owned())
}

fn state(resident: &Resident) -> Value {
    let content = resident.read(&format!("{STATE}/state.json")).expect("a state");
    serde_json::from_slice(&content).expect("JSON")
}

/// How often inference was asked for with this token.
fn asked_with(resident: &Resident, token: &str) -> usize {
    let token = Some(fingerprint(token));
    let requests = resident.anthropic().requests();
    requests.iter().filter(|request| request.is_message() && request.token == token).count()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
