//! The states that the watcher does not change.

use std::fs;

use cas_tests::claude_login::{HOUR_MS, cleared_login, valid_login};
use cas_tests::now_ms;
use cas_tests::test_user::{ENV_FILE, LOGIN, TestUser};
use cas_tests::watcher::{Watcher, WriteMethod, WriteStep, Writer, eventually};

use crate::{login, wait_until_restored, watched};

#[test]
fn deleted_file_is_not_restored() {
    let (test_user, watcher, text) = watched(1);
    test_user.remove(LOGIN);
    // Another file in the directory changes, so that there is an event.
    fs::write(test_user.path(".claude/settings.json"), "{}").expect("written");
    watcher.process().wait_until_idle();
    assert!(test_user.read(LOGIN).is_none());
    // It has not stopped watching.
    Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
    wait_until_restored(&test_user, 1, &text);
}

#[test]
fn login_with_an_expired_access_token_is_left_to_the_sync() {
    let test_user = TestUser::create();
    let stale = valid_login("number-1", now_ms() - HOUR_MS);
    test_user.put(LOGIN, &stale);
    let watcher = Watcher::start(&test_user);
    Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&stale));
    eventually("a warning", || test_user.journal().contains("user=alice WARN"));
    watcher.process().wait_until_idle();
    assert_eq!(login(&test_user), cleared_login(&stale));
    assert!(test_user.journal().contains("the sync looks for one"), "{}", test_user.journal());
}

#[test]
fn repeated_problem_is_logged_once() {
    let test_user = TestUser::create();
    let watcher = Watcher::start(&test_user);
    let empty = cleared_login(&valid_login("number-1", 0));
    let writer = Writer::new(&test_user);
    for _ in 0..5 {
        writer.write(WriteMethod::Rename, &empty);
        watcher.process().wait_until_idle();
    }
    assert_eq!(test_user.journal().matches("user=alice WARN").count(), 1, "{}", test_user.journal());
}

#[test]
fn older_login_written_again_is_left_to_the_sync() {
    let (test_user, watcher, newest) = watched(2);
    let older = crate::login_number(1);
    let writer = Writer::new(&test_user);
    writer.write(WriteMethod::Rename, &older);
    watcher.process().wait_until_idle();
    assert_eq!(login(&test_user), older);
    // If it is cleared, the newest login is restored, not the older one.
    writer.write(WriteMethod::Rename, &cleared_login(&older));
    wait_until_restored(&test_user, 2, &newest);
}

#[test]
fn login_is_not_restored_with_an_active_setup_token() {
    let test_user = TestUser::create();
    let text = crate::login_number(1);
    test_user.put(LOGIN, &text);
    test_user.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-of-a-test\n");
    let watcher = Watcher::start(&test_user);
    let writer = Writer::new(&test_user);
    writer.perform(vec![
        WriteStep::Write(WriteMethod::Rename, text.clone()),
        WriteStep::Write(WriteMethod::Rename, cleared_login(&text)),
    ]);
    watcher.process().wait_until_idle();
    assert_eq!(login(&test_user), cleared_login(&text));
}

#[test]
fn other_files_beside_the_login_are_ignored() {
    let (test_user, watcher, text) = watched(1);
    for name in [".credentials.json.bak", "tmp-of-somebody", ".credentials.json.tmp.0000"] {
        fs::write(test_user.path(".claude").join(name), crate::login_number(7)).expect("written");
        cas_tests::test_user::give_to_user(&test_user.path(".claude").join(name));
    }
    watcher.process().wait_until_idle();
    let open = watcher.process().descriptors();
    assert!(!open.iter().any(|(path, _)| path.contains("/.claude/")), "{open:?}");
    Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
    wait_until_restored(&test_user, 1, &text);
}
