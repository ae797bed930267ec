//! A setup token that is stored in Vault: it reaches every login, is removed with its withdrawal,
//! and is validated.

use std::{thread, time::Duration};

use cas_tests::{
    claude_login::new_login,
    guest::{Suite, VARIABLE, VaultGuest, env_file_path},
};
use serde_json::json;

#[test]
fn setup_token_in_vault_follows_its_document_on_bookworm() {
    check_setup_token_follows_document(Suite::Bookworm);
}

#[test]
fn setup_token_in_vault_follows_its_document_on_trixie() {
    check_setup_token_follows_document(Suite::Trixie);
}

fn check_setup_token_follows_document(suite: Suite) {
    const TOKEN: &str = "sk-ant-oat01-from_Vault-1";
    let host = VaultGuest::start(suite, "2s");
    let (guest, alice) = (&host.guest, host.enroll("alice"));
    alice.put_document(&json!({ "setup_token": TOKEN, "vaultwarden_email": "alice@example.org" }));
    let print = format!("printenv {VARIABLE}");

    let environment = guest.ssh("alice", "env").expect_success("ssh").text();
    assert!(environment.lines().any(|line| line == format!("{VARIABLE}={TOKEN}")), "{environment}");
    assert_eq!(guest.file_status(&env_file_path("alice")), "600 alice:alice regular file");
    assert_eq!(guest.read(&env_file_path("alice")), Some(format!("{VARIABLE}={TOKEN}\n").into_bytes()));
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt(&print), format!("{TOKEN}\n"), "an interactive shell");
    terminal.leave();
    let mut console = guest.console("alice");
    assert_eq!(console.at_prompt(&print), format!("{TOKEN}\n"), "the console");
    console.leave();
    assert_eq!(guest.unit(&format!("su - alice -c '{print}'")).text(), format!("{TOKEN}\n"), "su -");

    // Vault is down: the known token stays, however old the last answer is.
    host.bao.seal();
    thread::sleep(Duration::from_millis(2100));
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some(TOKEN));
    host.bao.unseal();

    // Withdrawn: removed at the next login that asks the store.
    alice.put_document(&json!({ "setup_token": "", "vaultwarden_email": "alice@example.org" }));
    guest
        .run("rm /home/alice/.local/state/claude-auth-sync/store-contact.json")
        .expect_success("the minute without a request after the failed one is over");
    assert_eq!(guest.variable_over_ssh("alice"), None);
    assert_eq!(guest.read(&env_file_path("alice")), None);
    assert_eq!(alice.fields()["vaultwarden_email"], "alice@example.org");
}

#[test]
fn withdrawn_setup_token_is_removed_after_the_refresh_age() {
    let host = VaultGuest::start(Suite::Bookworm, "3s");
    let alice = host.enroll("alice");
    alice.put_document(&json!({ "setup_token": "sk-ant-oat01-first" }));
    host.guest.put_login("alice", &new_login("whole")); // a broken one would be a reason to ask the store at once
    assert_eq!(host.guest.variable_over_ssh("alice").as_deref(), Some("sk-ant-oat01-first"));
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" })); // the field is removed
    thread::sleep(Duration::from_millis(3100));
    assert_eq!(host.guest.variable_over_ssh("alice"), None);
    // Within the age of that answer a new token is not used yet, because the store is not asked;
    // after it, it is.
    host.configure_address(host.bao.address(), "1h");
    alice.put_document(&json!({ "setup_token": "sk-ant-oat01-second" }));
    assert_eq!(host.guest.variable_over_ssh("alice"), None);
    host.configure_address(host.bao.address(), "0s");
    assert_eq!(host.guest.variable_over_ssh("alice").as_deref(), Some("sk-ant-oat01-second"));
}

#[test]
fn malformed_setup_token_field_changes_nothing() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let alice = host.enroll("alice");
    let megabyte = format!("sk-ant-oat01-{}", "a".repeat(1 << 19));
    let values = [
        json!("sk-ant-oat01-abc\nLD_PRELOAD=/tmp/evil.so"),
        json!("LD_PRELOAD=/tmp/evil.so"),
        json!("sk-ant-oat01-a\u{0}b"),
        json!("sk-ant-api03-abc"),
        json!(megabyte),
        json!(7),
        json!(["sk-ant-oat01-abc"]),
        json!({ "token": "sk-ant-oat01-abc" }),
    ];
    for value in &values {
        alice.put_document(&json!({ "setup_token": value }));
        let output: String = value.to_string().chars().take(60).collect();
        let seen = host.guest.ssh("alice", "echo in; printenv CLAUDE_CODE_OAUTH_TOKEN LD_PRELOAD").text();
        assert_eq!(seen, "in\n", "{output}");
        assert_eq!(host.guest.read(&env_file_path("alice")), None, "{output}");
    }
    host.guest.put_token("alice", "sk-ant-oat01-known");
    for value in &values {
        alice.put_document(&json!({ "setup_token": value }));
        let output: String = value.to_string().chars().take(60).collect();
        assert_eq!(host.guest.variable_over_ssh("alice").as_deref(), Some("sk-ant-oat01-known"), "{output}");
    }
}
