//! What the watcher does not touch.

use std::fs;

use cas_tests::claude_login::{HOUR_MS, healthy, tombstone};
use cas_tests::now_ms;
use cas_tests::test_user::{ENV_FILE, LOGIN, Resident};
use cas_tests::watcher::{Act, Watcher, Way, Writer, eventually};

use crate::{login, wait_until_back, watched};

#[test]
fn deleted_file_is_not_restored() {
    let (resident, watcher, text) = watched(1);
    resident.remove(LOGIN);
    // Something else happens beside it, so that there is something to wake up for.
    fs::write(resident.path(".claude/settings.json"), "{}").expect("written");
    watcher.process().wait_until_asleep();
    assert!(resident.read(LOGIN).is_none());
    // It has not stopped watching.
    Writer::of(&resident).write(Way::Rename, &tombstone(&text));
    wait_until_back(&resident, 1, &text);
}

#[test]
fn login_with_an_expired_access_token_is_left_to_the_sync() {
    let resident = Resident::settle();
    let stale = healthy("number-1", now_ms() - HOUR_MS);
    resident.put(LOGIN, &stale);
    let watcher = Watcher::start(&resident);
    Writer::of(&resident).write(Way::Rename, &tombstone(&stale));
    eventually("a warning", || resident.journal().contains("user=alice WARN"));
    watcher.process().wait_until_asleep();
    assert_eq!(login(&resident), tombstone(&stale));
    assert!(resident.journal().contains("the sync looks for one"), "{}", resident.journal());
}

#[test]
fn repeated_problem_is_logged_once() {
    let resident = Resident::settle();
    let watcher = Watcher::start(&resident);
    let empty = tombstone(&healthy("number-1", 0));
    let writer = Writer::of(&resident);
    for _ in 0..5 {
        writer.write(Way::Rename, &empty);
        watcher.process().wait_until_asleep();
    }
    assert_eq!(resident.journal().matches("user=alice WARN").count(), 1, "{}", resident.journal());
}

#[test]
fn older_login_written_again_is_left_to_the_sync() {
    let (resident, watcher, newest) = watched(2);
    let older = crate::good(1);
    let writer = Writer::of(&resident);
    writer.write(Way::Rename, &older);
    watcher.process().wait_until_asleep();
    assert_eq!(login(&resident), older);
    // If it is cleared, the newest login is restored, not the older one.
    writer.write(Way::Rename, &tombstone(&older));
    wait_until_back(&resident, 2, &newest);
}

#[test]
fn login_is_not_restored_with_an_active_setup_token() {
    let resident = Resident::settle();
    let text = crate::good(1);
    resident.put(LOGIN, &text);
    resident.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-of-a-test\n");
    let watcher = Watcher::start(&resident);
    let writer = Writer::of(&resident);
    writer.perform(vec![Act::Write(Way::Rename, text.clone()), Act::Write(Way::Rename, tombstone(&text))]);
    watcher.process().wait_until_asleep();
    assert_eq!(login(&resident), tombstone(&text));
}

#[test]
fn other_files_beside_the_login_are_ignored() {
    let (resident, watcher, text) = watched(1);
    for name in [".credentials.json.bak", "tmp-of-somebody", ".credentials.json.tmp.0000"] {
        fs::write(resident.path(".claude").join(name), crate::good(7)).expect("written");
        cas_tests::test_user::hand_over(&resident.path(".claude").join(name));
    }
    watcher.process().wait_until_asleep();
    let open = watcher.process().descriptors();
    assert!(!open.iter().any(|(path, _)| path.contains("/.claude/")), "{open:?}");
    Writer::of(&resident).write(Way::Rename, &tombstone(&text));
    wait_until_back(&resident, 1, &text);
}
