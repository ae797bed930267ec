//! Removing the setup token.

use cas_tests::anthropic::fingerprint;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, STATE};
use serde_json::{Value, json};

use super::{
    TOKEN, activate_token, cas_sync, env_file, state, stderr_text, stdout_text, user_with_claude,
    user_with_store,
};

#[test]
fn clear_removes_the_token_everywhere_and_syncs_the_login() {
    for policy in [Policy::Patch, Policy::Update] {
        let (test_user, bao, vault_user) = user_with_store(policy);
        test_user.sign_in();
        activate_token(&test_user, TOKEN);
        let before = (test_user.all_files(), vault_user.fields());
        let output = cas_sync(&test_user, &["token", "clear"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr_text(&output).contains("--yes"), "{output:?}");
        bao.seal();
        let output = cas_sync(&test_user, &["token", "clear", "--yes"]);
        assert_eq!(output.status.code(), Some(75), "{output:?}");
        bao.unseal();
        assert_eq!((test_user.all_files(), vault_user.fields()), before, "nothing was changed");

        let output = cas_sync(&test_user, &["token", "clear", "--yes"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(stdout_text(&output).contains("in the settings of your Claude account"), "{output:?}");
        assert!(stdout_text(&output).contains("Your login: OK login complete"), "{output:?}");
        assert_eq!(env_file(&test_user), None);
        let fields = vault_user.fields();
        for name in ["setup_token", "setup_token_minted_at", "setup_token_expires_at"] {
            assert_eq!(fields[name], json!(""), "{name}");
        }
        assert_eq!(fields["vaultwarden_email"], json!("alice@example.org"));
        let ledger: Value =
            serde_json::from_slice(&test_user.read(&format!("{STATE}/ledger.json")).expect("a ledger"))
                .expect("JSON");
        assert_eq!(ledger["withdrawn_tokens"], json!([fingerprint(TOKEN)]));
        assert_eq!(state(&test_user)["finding"], json!("login"));
        let output = cas_sync(&test_user, &["token", "clear", "--yes"]);
        assert_eq!(
            (output.status.code(), stdout_text(&output).as_str()),
            (Some(0), "There is no setup token.\n")
        );
    }
}

#[test]
fn clear_without_vault_removes_every_copy_of_the_token() {
    let test_user = user_with_claude();
    activate_token(&test_user, TOKEN);
    assert_eq!(cas_sync(&test_user, &["token", "clear", "--yes"]).status.code(), Some(0));
    for (name, (_, content)) in test_user.all_files() {
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{name}");
    }
    test_user.sync();
    assert_eq!(env_file(&test_user), None);
    // A token that was written by hand.
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    assert_eq!(cas_sync(&test_user, &["token", "clear", "--yes"]).status.code(), Some(0));
    assert_eq!(env_file(&test_user), None);
}

#[test]
fn clear_on_a_terminal_asks_for_confirmation() {
    let test_user = user_with_claude();
    activate_token(&test_user, TOKEN);
    for (answer, code, left) in [("n\n", 1, Some(TOKEN)), ("\n", 1, Some(TOKEN)), ("yes\n", 0, None)] {
        let terminal = test_user.run_at_terminal("cas-sync", &["token", "clear"], 80);
        terminal.wait_for("[y/N] ");
        terminal.type_text(answer);
        let (status, screen, echoes) = terminal.end();
        assert_eq!((status.code(), echoes), (Some(code), true), "{screen}");
        assert_eq!(env_file(&test_user).as_deref(), left, "{screen}");
    }
}
