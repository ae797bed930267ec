//! With `oauth_backup = false` the watcher backs up and restores nothing.

use std::fs;

use cas_tests::claude_login::cleared_login;
use cas_tests::openbao::Policy;
use cas_tests::test_user::STATE;
use cas_tests::watcher::{WriteMethod, Writer, eventually};
use serde_json::json;

use super::*;

#[test]
fn watcher_with_disabled_backups_keeps_nothing() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    vault_user.put_document(&json!({"tracker_token": "of somebody else"}));
    test_user.configure("verify = false\noauth_backup = false\n");
    test_user.put(LOGIN, &login_number(0));
    let request_log = bao.requests().len();
    let watcher = Watcher::start(&test_user);
    let writer = Writer::new(&test_user);
    writer.write(WriteMethod::Rename, &login_number(1));
    let cleared = cleared_login(&login_number(1));
    writer.write(WriteMethod::Rename, &cleared);
    eventually("that it was seen", || test_user.journal().contains("FAIL"));
    watcher.process().wait_until_idle();

    assert_eq!(login(&test_user), cleared);
    assert!(
        test_user.journal().contains("backups are disabled on this machine (oauth_backup = false)"),
        "{}",
        test_user.journal()
    );
    for entry in fs::read_dir(test_user.path(STATE)).expect("a state") {
        let file = entry.expect("an entry").path();
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(!text.contains("refresh-of-"), "{}: {text}", file.display());
    }
    assert_eq!(bao.requests().len(), request_log, "the store was asked for nothing");
    assert_eq!(vault_user.fields(), json!({"tracker_token": "of somebody else"}));
}
