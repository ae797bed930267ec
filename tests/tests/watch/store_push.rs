//! The observed login reaches the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cas_core::state::directory::{StateDirectory, StateLock};
use cas_protocol::deadline::Deadline;
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::test_user::{LOGIN, STATE, TestUser, UID};
use cas_tests::watcher::{Watcher, WriteMethod, Writer, eventually};
use serde_json::{Value, json};

use crate::{login_number, name};

/// Creates a user whose first login is in the store, with a field of another tool.
fn with_a_store() -> (TestUser, Bao, VaultUser) {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    vault_user.put_document(&json!({"tracker_token": "of somebody else"}));
    test_user.put(LOGIN, &login_number(0));
    let output = test_user.sync();
    assert!(output.status.success(), "{output:?}");
    (test_user, bao, vault_user)
}

fn version(vault_user: &VaultUser) -> Value {
    vault_user.document().body["data"]["metadata"]["version"].clone()
}

fn has_generation(vault_user: &VaultUser, number: u64) -> bool {
    vault_user.fields().to_string().contains(&format!("refresh-of-{}\\", name(number)))
}

#[test]
fn new_login_is_pushed_once() {
    let (test_user, _bao, vault_user) = with_a_store();
    let watcher = Watcher::start(&test_user);
    let before = version(&vault_user).as_u64().expect("a number");
    let writer = Writer::new(&test_user);
    // Two logins in a row: one push covers both.
    writer.write(WriteMethod::Rename, &login_number(1));
    writer.write(WriteMethod::Rename, &login_number(2));
    eventually("the login in the store", || has_generation(&vault_user, 2));
    assert_eq!(version(&vault_user).as_u64(), Some(before + 1));
    assert_eq!(vault_user.fields()["tracker_token"], "of somebody else");
    watcher.process().wait_until_idle();
    assert_eq!(watcher.process().account().threads, 3, "no thread waits for a push");
}

#[test]
fn push_waits_for_another_run() {
    let (test_user, _bao, vault_user) = with_a_store();
    let state = StateDirectory::new(test_user.path(STATE), UID);
    let held = state.lock(StateLock::Sync, &Deadline::after(Duration::from_secs(10))).expect("it is free");
    let watcher = Watcher::start(&test_user);
    Writer::new(&test_user).write(WriteMethod::Rename, &login_number(1));
    eventually("a push that finds the lock held", || test_user.journal().contains("user=alice SKIP"));
    assert!(!has_generation(&vault_user, 1));
    drop(held);
    eventually("the login in the store", || has_generation(&vault_user, 1));
    drop(watcher);
}

#[test]
fn push_waits_for_an_unreachable_store() {
    let (test_user, bao, vault_user) = with_a_store();
    bao.seal();
    let _watcher = Watcher::start(&test_user);
    Writer::new(&test_user).write(WriteMethod::Rename, &login_number(1));
    let log = || fs::read_to_string(test_user.path(&format!("{STATE}/sync.log"))).unwrap_or_default();
    eventually("a push that finds it sealed", || log().contains(" WARN "));
    assert!(
        !test_user.journal().contains("WARN"),
        "the sync reports an outage once: {}",
        test_user.journal()
    );
    bao.unseal();
    eventually("the login in the store", || has_generation(&vault_user, 1));
}

/// The unit gives the watcher a high priority, for work of milliseconds.
#[test]
fn push_has_a_lower_priority_than_the_watcher() {
    let (test_user, _bao, _user) = with_a_store();
    let silent = test_user.listen();
    test_user.set_store_url(&format!("http://{}", silent.local_addr().expect("an address")));
    let watcher = Watcher::start(&test_user);
    Writer::new(&test_user).write(WriteMethod::Rename, &login_number(1));
    let mut push = None;
    eventually("a push that waits for its answer", || {
        push = children(&watcher.process().directory()).into_iter().find(|child| is_push_process(child));
        push.is_some()
    });
    let push = push.expect("there is one");
    assert_eq!(nice_value(&push) - nice_value(&watcher.process().directory()), 10);
}

/// Returns their directories in `/proc`.
fn children(process: &Path) -> Vec<PathBuf> {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let ids = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    ids.collect::<String>().split_whitespace().map(|id| Path::new("/proc").join(id)).collect()
}

/// Returns true for `cas-sync internal push`, once it has opened a connection: it has lowered its
/// priority before that.
fn is_push_process(process: &Path) -> bool {
    let words = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    let targets = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
    words.split('\0').nth(2) == Some("push")
        && targets.any(|target| target.to_string_lossy().starts_with("socket:"))
}

/// Returns the 19th field of proc_pid_stat(5), the 17th after the name.
fn nice_value(process: &Path) -> i32 {
    let stat = fs::read_to_string(process.join("stat")).expect("it lives");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').nth(16).and_then(|field| field.parse().ok()).expect("a number")
}

#[test]
fn push_is_skipped_without_a_store() {
    let test_user = TestUser::create();
    let watcher = Watcher::start(&test_user);
    Writer::new(&test_user).write(WriteMethod::Rename, &login_number(1));
    watcher.process().wait_until_idle();
    std::thread::sleep(Duration::from_secs(4));
    assert!(!test_user.path(&format!("{STATE}/sync.log")).exists(), "no run was started");
}
