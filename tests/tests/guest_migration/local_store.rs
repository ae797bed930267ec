//! From the local store to Vault, by the commands of the page.

use cas_tests::guest::{ClaudeGuest, Guest, Suite, env_file_path};
use cas_tests::openbao::Policy;
use serde_json::json;

const PAGE: &str = include_str!("../../../docs/admin/migration.md");
const TOKEN: &str = "sk-ant-oat01-alices_setup-token";
const BOBS: &str = "sk-ant-oat01-bobs_setup-token";

/// Returns the code blocks of the section, in their order.
fn code_blocks() -> Vec<String> {
    let (_, section) = PAGE.split_once("## From the local store to Vault\n").expect("the section");
    let blocks = section.split("```\n").skip(1).step_by(2);
    let unindented =
        |block: &str| -> String { block.lines().map(|line| format!("{}\n", line.trim())).collect() };
    blocks.map(unindented).collect()
}

/// Runs a block of the page for this user.
#[track_caller]
fn follow(guest: &Guest, block: &str, user: &str) -> String {
    guest.run(&block.replace("alice", user)).expect_success(block).text()
}

fn history(guest: &Guest, user: &str) -> String {
    let path = format!("/home/{user}/.local/state/claude-auth-sync/history.json");
    String::from_utf8(guest.read(&path).expect("a history")).expect("text")
}

#[test]
fn setup_token_of_the_local_store_is_copied_to_vault() {
    let host = ClaudeGuest::with_product(Suite::Bookworm, &["alice", "bob"]);
    let guest = &host.guest;
    for (user, token) in [("alice", TOKEN), ("bob", BOBS)] {
        host.anthropic.accept_setup_token(token);
        let set = format!("printf %s {token} | runuser -u {user} -- cas-sync token set");
        guest.run(&set).expect_success("a token in the local store");
        assert!(history(guest, user).contains(token), "{user}");
        // A service that follows a command publishes its state, and runs no sync.
        let service = format!("systemctl start claude-auth-sync@{user}.service");
        guest.run(&service).expect_success("publishing the state");
    }
    let [configuration, sync, import] = &code_blocks()[..] else { panic!("{PAGE}") };

    let bao = host.start_store();
    let configured = configuration.replace("https://vault.example.org:8200", bao.address());
    guest.configure(&configured);
    let users = ["alice", "bob"].map(|user| {
        let vault_user = bao.create_user(user, Policy::Patch);
        guest.put_vault_token(user, &format!("{}\n", vault_user.token()));
        vault_user
    });
    // Another tool has created both documents, and bob's has an empty field.
    users[0].put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    users[1].put_document(&json!({ "vaultwarden_email": "bob@example.org", "setup_token": "" }));

    let shown = follow(guest, sync, "alice");
    assert!(shown.contains("store"), "{shown}");
    let fields = users[0].fields();
    assert_eq!(
        (&fields["setup_token"], &fields["vaultwarden_email"]),
        (&json!(TOKEN), &json!("alice@example.org"))
    );
    assert!(!history(guest, "alice").contains(TOKEN));
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some(TOKEN));
    let journal = guest.product_journal();
    let line =
        "user=alice OK setup-token in use, verified by inference; setup-token copied from the local store";
    assert!(journal.contains(line), "{journal}");

    let failed = guest.run(&sync.replace("alice", "bob"));
    assert!(!failed.text().is_empty(), "bob's token is shown");
    let journal = guest.product_journal();
    let warning = journal.lines().rfind(|line| line.contains("user=bob WARN")).unwrap_or_default();
    assert!(warning.contains("`cas-sync token import`"), "{journal}");
    assert_eq!(users[1].fields()["setup_token"], json!(""));
    assert_eq!(guest.variable_over_ssh("bob").as_deref(), Some(BOBS), "it stays active");
    follow(guest, import, "bob");
    assert_eq!(users[1].fields()["setup_token"], json!(BOBS));
    assert!(!history(guest, "bob").contains(BOBS));

    // An administrator withdraws alice's token.
    users[0].put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    guest.sync("alice").expect_success("a sync");
    assert!(guest.read(&env_file_path("alice")).is_none());
    assert_eq!(users[0].fields(), json!({ "vaultwarden_email": "alice@example.org" }));
}
