//! Every failure: the documented exit code, a remedy, and no change.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use cas_tests::anthropic::MessageAnswer;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, TestUser, VAULT_TOKEN};
use serde_json::json;

use super::{
    OLD, TOKEN, activate_token, asked_with, cas_sync, env_file, set, stderr_text, stdout_text,
    user_with_claude, user_with_store,
};

/// Checks the exit code, a text of the message, and that no file has changed.
#[track_caller]
fn refuses(test_user: &TestUser, input: &str, code: i32, says: &str) {
    let before = test_user.all_files();
    let output = set(test_user, &[], input);
    assert_eq!(output.status.code(), Some(code), "{says}: {output:?}");
    assert!(
        stderr_text(&output).starts_with("cas-sync: ") && stderr_text(&output).contains(says),
        "{says}: {output:?}"
    );
    assert!(stdout_text(&output).is_empty(), "{output:?}");
    assert!(!stderr_text(&output).contains(input.trim()) || input.trim().is_empty(), "{output:?}");
    assert_eq!(test_user.all_files(), before, "{says}");
    assert_eq!(test_user.remaining_scratch_directories(), Vec::<String>::new());
}

#[test]
fn unsuccessful_answer_of_the_servers_changes_nothing() {
    let (test_user, _bao, vault_user) = user_with_store(Policy::Patch);
    activate_token(&test_user, OLD);
    let before = vault_user.document().body["data"].clone();
    for (answer, code, says) in [
        (MessageAnswer::Invalid, 79, "claude setup-token"),
        (MessageAnswer::Revoked, 79, "claude setup-token"),
        (MessageAnswer::OrganizationForbidden, 1, "administrator"),
        (MessageAnswer::Overloaded, 75, "--unverified"),
        (MessageAnswer::Html { status: 403 }, 75, "--unverified"),
    ] {
        test_user.anthropic().answer_messages(TOKEN, Some(answer));
        refuses(&test_user, TOKEN, code, says);
    }
    assert_eq!(vault_user.document().body["data"], before);
    assert_eq!(env_file(&test_user).as_deref(), Some(OLD));
    assert_eq!(asked_with(&test_user, OLD), 0);
}

#[test]
fn token_set_without_a_client_is_an_error() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    test_user.configure("[claude]\nprogram = \"/nonexistent/claude\"\n");
    refuses(&test_user, TOKEN, 69, "claude.program");
}

#[test]
fn invalid_setup_token_is_never_printed_or_sent() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    for (input, says) in [
        ("", "the input is empty"),
        (" \n\n", "the input is empty"),
        ("sk-ant-api03-an-api-key", "does not begin with sk-ant-oat01-"),
        ("CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc", "does not begin with sk-ant-oat01-"),
        ("sk-ant-oat01-abc sk-ant-oat01-def", "foreign character"),
        ("sk-ant-oat01-abc\nStore it in a safe place.", "foreign character"),
        (&format!("sk-ant-oat01-{}", "a".repeat(2000)), "longer than 1024 bytes"),
        (&"sk-ant-oat01-".repeat(4000), "longer than 16384 bytes"),
    ] {
        refuses(&test_user, input, 1, says);
    }
    assert_eq!(test_user.anthropic().requests(), []);
}

#[test]
fn failing_store_leaves_the_setup_token_unchanged() {
    let (test_user, bao, vault_user) = user_with_store(Policy::Patch);
    activate_token(&test_user, OLD);
    bao.seal();
    refuses(&test_user, TOKEN, 75, "store busy");
    bao.unseal();

    let fields = vault_user.fields();
    vault_user.delete_document();
    refuses(&test_user, TOKEN, 77, "was deleted");
    vault_user.put_document(&fields);

    // A policy that allows reading and not writing.
    vault_user.set_policy_text(
        "path \"secret/data/workstation/claude-users/alice\" { capabilities = [\"read\"] }\n\
         path \"auth/token/lookup-self\" { capabilities = [\"read\"] }",
    );
    refuses(&test_user, TOKEN, 77, "does not permit");
    vault_user.set_policy(Policy::Patch);
    assert_eq!(vault_user.fields(), fields);

    let token = test_user.read(VAULT_TOKEN).expect("a token");
    test_user.remove(VAULT_TOKEN);
    refuses(&test_user, TOKEN, 77, "vault-token");
    test_user.put(VAULT_TOKEN, &String::from_utf8(token).expect("text"));

    let store = test_user.folder().join("etc/claude-auth-sync/conf.d/store.toml");
    let configured = fs::read(&store).expect("configured");
    fs::write(&store, "store = \"vault\"\n").expect("written");
    refuses(&test_user, TOKEN, 78, "vault.address is not set");
    fs::write(&store, "store = \"cloud\"\n").expect("written");
    refuses(&test_user, TOKEN, 78, "store must be");
    fs::write(&store, configured).expect("written");
    assert_eq!(vault_user.fields(), fields);
    activate_token(&test_user, TOKEN);
}

#[test]
fn unwritable_env_file_leaves_the_store_unchanged() {
    let (test_user, _bao, vault_user) = user_with_store(Policy::Patch);
    activate_token(&test_user, OLD);
    let fields = vault_user.fields();
    let folder = test_user.path(ENV_FILE).parent().expect("a folder").to_owned();
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).expect("closed");
    refuses(&test_user, TOKEN, 1, "claude-oauth.env");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("opened");
    chown(test_user.path(ENV_FILE), Some(0), Some(0)).expect("given to root");
    refuses(&test_user, TOKEN, 1, "claude-oauth.env");
    assert_eq!(vault_user.fields(), fields);
}

#[test]
fn token_set_as_root_is_refused() {
    let test_user = user_with_claude();
    for words in
        [&["token", "set"][..], &["token", "show"], &["token", "clear", "--yes"], &["token", "import"]]
    {
        let output = test_user.output(test_user.command_of_root(&test_user.program("cas-sync"), words));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr_text(&output).contains("runuser -u NAME"), "{output:?}");
    }
}

#[test]
fn token_as_an_argument_is_refused() {
    let test_user = user_with_claude();
    for words in [
        &["token", "set", TOKEN][..],
        &["token", "set", "--", "oat01-the_new-token-0123456789abcdefghijklmnopqrstuvwxyz"],
        &["token", TOKEN],
        &["token", "set", "--token", TOKEN],
        &["run", TOKEN],
    ] {
        let before = test_user.all_files();
        let output = cas_sync(&test_user, words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            !stderr_text(&output).contains("the_new-token") && stdout_text(&output).is_empty(),
            "{output:?}"
        );
        assert!(stderr_text(&output).contains("your shell history"), "{output:?}");
        assert_eq!(test_user.all_files(), before);
    }
    for date in ["tomorrow", "2999-01-01", "2001-01-01"] {
        let output = set(&test_user, &["--minted-at", date], TOKEN);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr_text(&output).contains("--minted-at"), "{output:?}");
    }
    assert_eq!((env_file(&test_user), json!(test_user.anthropic().requests().len())), (None, json!(0)));
}
