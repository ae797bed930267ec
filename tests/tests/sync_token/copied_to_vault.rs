//! An administrator switches from the local store to Vault: a sync copies the setup token, unless
//! Vault has a field for one, or has held this token before.

use std::path::PathBuf;

use cas_tests::anthropic::MessageAnswer;
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::test_user::{ENV_FILE, STATE, TestUser};
use serde_json::{Value, json};

use super::{
    OLD, TOKEN, activate_token, asked_with, cas_sync, env_file, set, state, stdout_text, user_with_claude,
};

const STORE_CONFIG: &str = "etc/claude-auth-sync/conf.d/store.toml";

/// Returns a user whose token was set with the local store, and whose store is now Vault.
fn switched_user(policy: Policy) -> (TestUser, Bao, VaultUser) {
    let test_user = user_with_claude();
    activate_token(&test_user, TOKEN);
    test_user.sync();
    assert_eq!(local_token(&test_user).as_deref(), Some(TOKEN));
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, policy);
    test_user.anthropic().forget_requests();
    (test_user, bao, vault_user)
}

/// Returns the setup token in the newest version of the local store.
fn local_token(test_user: &TestUser) -> Option<String> {
    let history: Value = serde_json::from_slice(&test_user.read(&format!("{STATE}/history.json"))?).ok()?;
    let newest = history["versions"].as_array()?.last()?;
    newest["fields"]["setup_token"].as_str().map(str::to_owned)
}

/// Makes the local store the store again.
fn switch_back(test_user: &TestUser) -> String {
    let path = test_user.folder().join(STORE_CONFIG);
    let configured = std::fs::read_to_string(&path).expect("configured");
    std::fs::remove_file(&path).expect("removed");
    configured
}

fn switch_again(test_user: &TestUser, configured: &str) {
    std::fs::write(test_user.folder().join(STORE_CONFIG), configured).expect("written");
}

/// Runs a sync and returns its line.
#[track_caller]
fn sync(test_user: &TestUser, code: i32) -> String {
    let output = test_user.sync();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    stdout_text(&output)
}

fn files_with(test_user: &TestUser, token: &str) -> Vec<PathBuf> {
    let has_it = |content: &[u8]| String::from_utf8_lossy(content).contains(token);
    test_user
        .all_files()
        .into_iter()
        .filter(|(_, (_, content))| has_it(content))
        .map(|(name, _)| name.into())
        .collect()
}

/// The document was never written, was created by another tool, or has a backup of the login.
#[test]
fn setup_token_is_copied_to_vault() {
    let documents = [
        None,
        Some(json!({ "vaultwarden_email": "alice@example.org" })),
        Some(json!({ "setup_token_minted_at": "2026-01-02T03:04:05Z", "backed_up_at": "" })),
    ];
    for (policy, document) in [Policy::Patch, Policy::Update, Policy::Patch].into_iter().zip(documents) {
        let (test_user, _bao, vault_user) = switched_user(policy);
        if let Some(document) = &document {
            vault_user.put_document(document);
        }
        let line = sync(&test_user, 0);
        assert!(line.starts_with("OK setup-token in use, verified by inference"), "{line}");
        assert!(line.contains("; setup-token copied from the local store to Vault"), "{line}");
        assert_eq!(asked_with(&test_user, TOKEN), 1);
        assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
        let fields = vault_user.fields();
        assert_eq!(fields["setup_token"], json!(TOKEN));
        assert!(fields["setup_token_expires_at"].as_str().is_some_and(|day| day.ends_with('Z')), "{fields}");
        let email = document.map_or(Value::Null, |document| document["vaultwarden_email"].clone());
        assert_eq!(fields["vaultwarden_email"], email);
        assert_eq!(files_with(&test_user, TOKEN), [test_user.path(ENV_FILE)], "the local store has none");
        assert_eq!(state(&test_user)["details"], json!(["setup-token-stored"]));

        let version = vault_user.document().body["data"]["metadata"]["version"].clone();
        let line = sync(&test_user, 0);
        assert_eq!(line, "OK setup-token in use, verified by inference\n");
        assert_eq!(vault_user.document().body["data"]["metadata"]["version"], version, "once");
    }
}

#[test]
fn withdrawn_setup_token_is_not_copied_to_vault_again() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    sync(&test_user, 0);
    // Removed by an administrator who replaces the document.
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    let line = sync(&test_user, 0);
    assert!(line.contains("setup-token removed from the store, env file removed"), "{line}");
    assert_eq!(env_file(&test_user), None);
    // The user sets the same token again while the local store is the store.
    let configured = switch_back(&test_user);
    sync(&test_user, 0);
    assert_eq!(env_file(&test_user), None);
    activate_token(&test_user, TOKEN);
    switch_again(&test_user, &configured);
    sync(&test_user, 0);
    assert_eq!((env_file(&test_user), local_token(&test_user)), (None, None));
    assert_eq!(vault_user.fields(), json!({ "vaultwarden_email": "alice@example.org" }));
}

#[test]
fn token_is_cleared_beside_a_damaged_local_store() {
    let (test_user, _bao, _vault_user) = switched_user(Policy::Patch);
    test_user.put(&format!("{STATE}/history.json"), "{torn");
    let output = cas_sync(&test_user, &["token", "clear", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("history.json") && errors.contains("does not use it any more"), "{errors}");
    assert_eq!(env_file(&test_user), None);
}

/// An empty field and another token are there on purpose.
#[test]
fn field_of_vault_is_never_overwritten() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    vault_user.put_document(&json!({ "setup_token": "" }));
    let line = sync(&test_user, 1);
    assert!(line.starts_with("WARN setup-token in use, verified by inference"), "{line}");
    assert!(line.contains("store it with `cas-sync token import`"), "{line}");
    assert_eq!(
        (env_file(&test_user).as_deref(), &vault_user.fields()["setup_token"]),
        (Some(TOKEN), &json!(""))
    );

    // Another machine has stored another one: it is verified, and replaces the local one.
    vault_user.put_document(&json!({ "setup_token": OLD }));
    test_user.anthropic().answer_messages(OLD, Some(MessageAnswer::Overloaded));
    let line = sync(&test_user, 75);
    assert!(line.contains("is not activated, because it could not be verified"), "{line}");
    assert_eq!(
        (env_file(&test_user).as_deref(), local_token(&test_user).as_deref()),
        (Some(TOKEN), Some(TOKEN))
    );
    test_user.anthropic().answer_messages(OLD, None);
    sync(&test_user, 0);
    assert_eq!((env_file(&test_user).as_deref(), local_token(&test_user)), (Some(OLD), None));
    assert_eq!(vault_user.fields()["setup_token"], json!(OLD));
}

/// The local store was the store for a while and got a newer token.
#[test]
fn earlier_setup_token_of_vault_does_not_replace_a_newer_one() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    sync(&test_user, 0);
    let configured = switch_back(&test_user);
    activate_token(&test_user, OLD);
    switch_again(&test_user, &configured);
    let line = sync(&test_user, 1);
    assert!(line.contains("the setup-token in use is not in the store"), "{line}");
    assert_eq!(
        (env_file(&test_user).as_deref(), &vault_user.fields()["setup_token"]),
        (Some(OLD), &json!(TOKEN))
    );
    let output = cas_sync(&test_user, &["token", "import"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!((env_file(&test_user).as_deref(), local_token(&test_user)), (Some(OLD), None));
    assert_eq!(vault_user.fields()["setup_token"], json!(OLD));
}

#[test]
fn rejected_setup_token_is_not_copied_to_vault() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    for (answer, code) in [(MessageAnswer::OrganizationForbidden, 1), (MessageAnswer::Revoked, 79)] {
        test_user.anthropic().answer_messages(TOKEN, Some(answer));
        let line = sync(&test_user, code);
        assert!(line.starts_with("FAIL setup-token in use"), "{line}");
        assert_eq!(vault_user.fields(), json!({ "vaultwarden_email": "alice@example.org" }));
        assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN), "it is not removed either");
    }
}

#[test]
fn setup_token_is_copied_without_a_verification() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    test_user.anthropic().answer_messages(TOKEN, Some(MessageAnswer::Overloaded));
    let line = sync(&test_user, 75);
    assert!(line.contains("setup-token copied from the local store to Vault"), "{line}");
    assert_eq!(vault_user.fields()["setup_token"], json!(TOKEN));
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    test_user.configure("verify = false\n");
    let line = sync(&test_user, 0);
    assert!(line.starts_with("OK setup-token in use, not verified by inference"), "{line}");
    assert_eq!(vault_user.fields()["setup_token"], json!(TOKEN));
}

#[test]
fn store_that_cannot_be_written_leaves_the_setup_token_active() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    vault_user.set_policy_text(
        "path \"secret/data/workstation/claude-users/alice\" { capabilities = [\"read\"] }\n\
         path \"auth/token/lookup-self\" { capabilities = [\"read\"] }",
    );
    let line = sync(&test_user, 1);
    assert!(line.starts_with("WARN ") && line.contains("not copied to Vault: refused"), "{line}");
    assert_eq!(
        (env_file(&test_user).as_deref(), local_token(&test_user).as_deref()),
        (Some(TOKEN), Some(TOKEN))
    );
    vault_user.set_policy(Policy::Patch);
    sync(&test_user, 0);
    assert_eq!(vault_user.fields()["setup_token"], json!(TOKEN));
}

/// A name from the environment, as the former script allowed it, may be another user's.
#[test]
fn setup_token_is_not_copied_to_a_document_of_another_name() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    // Both may select the document of another user, or of several.
    for (variable, value) in
        [("CLAUDE_AUTH_USER", "alice"), ("CLAUDE_AUTH_VAULT_PATH", "secret/workstation/claude-users/alice")]
    {
        let mut command = test_user.command(&test_user.program("cas-sync"), &["run"]);
        command.env(variable, value);
        let output = test_user.output(command);
        assert!(stdout_text(&output).contains("`cas-sync token import`"), "{variable}: {output:?}");
        let fields = vault_user.fields();
        assert_eq!((&fields["setup_token"], local_token(&test_user).as_deref()), (&Value::Null, Some(TOKEN)));
        assert_eq!(fields["vaultwarden_email"], "alice@example.org", "{variable}");
    }
    // The document of an offboarded user is not used at all.
    vault_user.put_document(&json!({ "claude_offboarded_at": "2026-11-01T00:00:00Z" }));
    test_user.sync();
    assert_eq!(vault_user.fields(), json!({ "claude_offboarded_at": "2026-11-01T00:00:00Z" }));
    assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
}

#[test]
fn cleared_setup_token_is_not_copied_to_vault() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    let output = cas_sync(&test_user, &["token", "clear", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    sync(&test_user, 0);
    assert_eq!((env_file(&test_user), local_token(&test_user)), (None, None));
    let fields = vault_user.fields();
    assert_eq!(fields["setup_token"], "", "a sync of another machine copies none either");
    assert_eq!(fields["vaultwarden_email"], "alice@example.org");
}

#[test]
fn setup_token_set_with_vault_leaves_none_in_the_local_store() {
    let (test_user, _bao, vault_user) = switched_user(Policy::Patch);
    let output = set(&test_user, &[], OLD);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!((env_file(&test_user).as_deref(), local_token(&test_user)), (Some(OLD), None));
    assert_eq!(vault_user.fields()["setup_token"], json!(OLD));
}
