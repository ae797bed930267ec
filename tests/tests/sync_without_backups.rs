//! `oauth_backup = false` with a real server and the real client: no request writes a login, none
//! is restored, and everything else works: the verification, the setup token, the dates, the
//! notice.

use cas_tests::claude_login::{cleared_login, parsed};
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use serde_json::{Value, json};

const OFF: &str = "oauth_backup = false\n";

/// Creates a user with the real client and a store with these fields.
fn with_a_store(fields: &Value) -> (Bao, VaultUser, TestUser) {
    let test_user = TestUser::create_with_claude();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Update);
    vault_user.put_document(fields);
    (bao, vault_user, test_user)
}

fn switch_off(test_user: &TestUser) {
    std::fs::write(test_user.folder().join("etc/claude-auth-sync/conf.d/off.toml"), OFF).expect("configured");
}

/// Runs a sync. Returns its output and exit code.
fn sync(test_user: &TestUser) -> (String, Option<i32>) {
    let output = test_user.sync();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

fn writes(bao: &Bao, since: usize) -> usize {
    bao.requests().split_off(since).iter().filter(|request_log| request_log.is_write()).count()
}

#[test]
fn disabled_backups_store_no_login_anywhere() {
    let fields = json!({ "vaultwarden_email": "alice@example.org" });
    let (bao, vault_user, test_user) = with_a_store(&fields);
    switch_off(&test_user);
    let request_log = bao.requests().len();
    let login = test_user.sign_in();
    for _ in 0..2 {
        let (output, code) = sync(&test_user);
        assert!(
            output.starts_with("OK login complete") && output.contains("verified by inference"),
            "{output}"
        );
        assert_eq!((code, output.contains("backed up")), (Some(0), false), "{output}");
    }
    assert_eq!(writes(&bao, request_log), 0);
    assert_eq!(vault_user.fields(), fields);
    assert_eq!(test_user.read(&format!("{STATE}/history.json")), None);

    test_user.put(LOGIN, &cleared_login(&login));
    let (output, code) = sync(&test_user);
    assert_eq!(code, Some(79), "{output}");
    assert!(output.contains("backups are disabled on this machine (oauth_backup = false)"), "{output}");
    assert_eq!(test_user.read(LOGIN), Some(cleared_login(&login).into_bytes()));
    assert_eq!(writes(&bao, request_log), 0);
    let notice = test_user.read(&format!("{STATE}/notice")).expect("a notice");
    assert!(String::from_utf8_lossy(&notice).contains("cas-sync login"), "{notice:?}");
}

#[test]
fn earlier_backups_are_kept_and_named() {
    let (bao, vault_user, test_user) = with_a_store(&json!({}));
    let login = test_user.sign_in();
    assert_eq!(sync(&test_user).1, Some(0));
    let (kept, history) =
        (vault_user.fields(), test_user.read(&format!("{STATE}/history.json")).expect("a backup"));
    assert!(kept["claude_ai_oauth_json"].is_string(), "{kept}");
    switch_off(&test_user);
    let request_log = bao.requests().len();
    let (output, code) = sync(&test_user);
    assert!(output.starts_with("OK ") && code == Some(0), "{output}");
    assert!(output.contains("earlier backups are still in the local history and the store"), "{output}");
    test_user.put(LOGIN, &cleared_login(&login));
    assert_eq!(sync(&test_user).1, Some(79));
    assert_eq!(test_user.read(LOGIN), Some(cleared_login(&login).into_bytes()), "not restored");
    assert_eq!((vault_user.fields(), writes(&bao, request_log)), (kept, 0));
    assert_eq!(test_user.read(&format!("{STATE}/history.json")), Some(history));
}

#[test]
fn setup_token_works_with_disabled_backups() {
    const TOKEN: &str = "sk-ant-oat01-alices_setup-token";
    let (bao, _user, test_user) = with_a_store(&json!({
        "setup_token": TOKEN,
        "setup_token_minted_at": "2026-01-01T00:00:00Z",
        "setup_token_expires_at": "2199-01-01T00:00:00Z",
    }));
    switch_off(&test_user);
    test_user.anthropic().accept_setup_token(TOKEN);
    let request_log = bao.requests().len();
    let (output, code) = sync(&test_user);
    assert!(
        output.starts_with("OK setup-token in use, verified by inference") && code == Some(0),
        "{output}"
    );
    assert!(test_user.read(ENV_FILE).is_some(), "{output}");
    assert_eq!(writes(&bao, request_log), 0);
    let state =
        parsed(&String::from_utf8_lossy(&test_user.read(&format!("{STATE}/state.json")).expect("a state")));
    assert_eq!(state["credential"]["expires_at_ms"], json!(7_226_582_400_000_u64));
    assert_eq!(state["credential"]["expiry_is_estimated"], false);
}
