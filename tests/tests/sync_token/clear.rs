//! Taking the token out of force.

use cas_tests::anthropic::fingerprint;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, STATE};
use serde_json::{Value, json};

use super::{TOKEN, cas_sync, complained, env_file, put_in_force, said, settled, settled_with_store, state};

#[test]
fn clear_removes_the_token_everywhere_and_syncs_the_login() {
    for policy in [Policy::Patch, Policy::Update] {
        let (resident, bao, person) = settled_with_store(policy);
        resident.sign_in();
        put_in_force(&resident, TOKEN);
        let before = (resident.all_files(), person.fields());
        let output = cas_sync(&resident, &["token", "clear"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(complained(&output).contains("--yes"), "{output:?}");
        bao.seal();
        let output = cas_sync(&resident, &["token", "clear", "--yes"]);
        assert_eq!(output.status.code(), Some(75), "{output:?}");
        bao.unseal();
        assert_eq!((resident.all_files(), person.fields()), before, "nothing was changed");

        let output = cas_sync(&resident, &["token", "clear", "--yes"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(said(&output).contains("in the settings of your Claude account"), "{output:?}");
        assert!(said(&output).contains("Your login: OK login complete"), "{output:?}");
        assert_eq!(env_file(&resident), None);
        let fields = person.fields();
        for name in ["setup_token", "setup_token_minted_at", "setup_token_expires_at"] {
            assert_eq!(fields[name], json!(""), "{name}");
        }
        assert_eq!(fields["vaultwarden_email"], json!("alice@example.org"));
        let ledger: Value =
            serde_json::from_slice(&resident.read(&format!("{STATE}/ledger.json")).expect("a ledger"))
                .expect("JSON");
        assert_eq!(ledger["withdrawn_tokens"], json!([fingerprint(TOKEN)]));
        assert_eq!(state(&resident)["finding"], json!("login"));
        let output = cas_sync(&resident, &["token", "clear", "--yes"]);
        assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), "There is no setup token.\n"));
    }
}

#[test]
fn clear_without_vault_removes_every_copy_of_the_token() {
    let resident = settled();
    put_in_force(&resident, TOKEN);
    assert_eq!(cas_sync(&resident, &["token", "clear", "--yes"]).status.code(), Some(0));
    for (name, (_, content)) in resident.all_files() {
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{name}");
    }
    resident.sync();
    assert_eq!(env_file(&resident), None);
    // One that was only put there by hand.
    resident.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    assert_eq!(cas_sync(&resident, &["token", "clear", "--yes"]).status.code(), Some(0));
    assert_eq!(env_file(&resident), None);
}

#[test]
fn clear_on_a_terminal_asks_for_confirmation() {
    let resident = settled();
    put_in_force(&resident, TOKEN);
    for (answer, code, left) in [("n\n", 1, Some(TOKEN)), ("\n", 1, Some(TOKEN)), ("yes\n", 0, None)] {
        let terminal = resident.at_a_terminal("cas-sync", &["token", "clear"], 80);
        terminal.wait_for("[y/N] ");
        terminal.type_text(answer);
        let (status, screen, echoes) = terminal.end();
        assert_eq!((status.code(), echoes), (Some(code), true), "{screen}");
        assert_eq!(env_file(&resident).as_deref(), left, "{screen}");
    }
}
