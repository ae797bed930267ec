//! With `oauth_backup = false` the watcher backs up and restores nothing.

use std::fs;

use cas_tests::claude_login::tombstone;
use cas_tests::openbao::Policy;
use cas_tests::test_user::STATE;
use cas_tests::watcher::{Way, Writer, eventually};
use serde_json::json;

use super::*;

#[test]
fn watcher_with_disabled_backups_keeps_nothing() {
    let resident = Resident::settle();
    let bao = resident.bao();
    let person = resident.use_store(&bao, Policy::Patch);
    person.put_document(&json!({"tracker_token": "of somebody else"}));
    resident.configure("verify = false\noauth_backup = false\n");
    resident.put(LOGIN, &good(0));
    let asked = bao.asked().len();
    let watcher = Watcher::start(&resident);
    let writer = Writer::of(&resident);
    writer.write(Way::Rename, &good(1));
    let emptied = tombstone(&good(1));
    writer.write(Way::Rename, &emptied);
    eventually("that it was seen", || resident.journal().contains("FAIL"));
    watcher.process().wait_until_asleep();

    assert_eq!(login(&resident), emptied);
    assert!(
        resident.journal().contains("backups are disabled on this machine (oauth_backup = false)"),
        "{}",
        resident.journal()
    );
    for entry in fs::read_dir(resident.path(STATE)).expect("a state") {
        let file = entry.expect("an entry").path();
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(!text.contains("refresh-of-"), "{}: {text}", file.display());
    }
    assert_eq!(bao.asked().len(), asked, "the store was asked for nothing");
    assert_eq!(person.fields(), json!({"tracker_token": "of somebody else"}));
}
