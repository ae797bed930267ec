//! What was seen comes to the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cas_core::state::directory::{StateDirectory, StateLock};
use cas_protocol::deadline::Deadline;
use cas_tests::openbao::{Bao, Person, Policy};
use cas_tests::test_user::{LOGIN, Resident, STATE, UID};
use cas_tests::watcher::{Watcher, Way, Writer, eventually};
use serde_json::{Value, json};

use crate::{good, name};

/// Creates a user whose first login is in the store, beside a field of another tool.
fn with_a_store() -> (Resident, Bao, Person) {
    let resident = Resident::settle();
    let bao = resident.bao();
    let person = resident.use_store(&bao, Policy::Patch);
    person.put_document(&json!({"tracker_token": "of somebody else"}));
    resident.put(LOGIN, &good(0));
    let said = resident.sync();
    assert!(said.status.success(), "{said:?}");
    (resident, bao, person)
}

fn version(person: &Person) -> Value {
    person.document().body["data"]["metadata"]["version"].clone()
}

fn holds(person: &Person, number: u64) -> bool {
    person.fields().to_string().contains(&format!("refresh-of-{}\\", name(number)))
}

#[test]
fn new_login_is_pushed_once() {
    let (resident, _bao, person) = with_a_store();
    let watcher = Watcher::start(&resident);
    let before = version(&person).as_u64().expect("a number");
    let writer = Writer::of(&resident);
    // Twice in a row: one push covers both.
    writer.write(Way::Rename, &good(1));
    writer.write(Way::Rename, &good(2));
    eventually("the login in the store", || holds(&person, 2));
    assert_eq!(version(&person).as_u64(), Some(before + 1));
    assert_eq!(person.fields()["tracker_token"], "of somebody else");
    watcher.process().wait_until_asleep();
    assert_eq!(watcher.process().account().threads, 3, "nobody waits for a push any more");
}

#[test]
fn push_waits_for_another_run() {
    let (resident, _bao, person) = with_a_store();
    let state = StateDirectory::new(resident.path(STATE), UID);
    let held = state.lock(StateLock::Sync, &Deadline::after(Duration::from_secs(10))).expect("it is free");
    let watcher = Watcher::start(&resident);
    Writer::of(&resident).write(Way::Rename, &good(1));
    eventually("a push that finds the lock held", || resident.journal().contains("user=alice SKIP"));
    assert!(!holds(&person, 1));
    drop(held);
    eventually("the login in the store", || holds(&person, 1));
    drop(watcher);
}

#[test]
fn push_waits_for_an_unreachable_store() {
    let (resident, bao, person) = with_a_store();
    bao.seal();
    let _watcher = Watcher::start(&resident);
    Writer::of(&resident).write(Way::Rename, &good(1));
    let log = || fs::read_to_string(resident.path(&format!("{STATE}/sync.log"))).unwrap_or_default();
    eventually("a push that finds it sealed", || log().contains(" WARN "));
    assert!(
        !resident.journal().contains("WARN"),
        "the sync tells of an outage, once: {}",
        resident.journal()
    );
    bao.unseal();
    eventually("the login in the store", || holds(&person, 1));
}

/// The unit gives the watch a high one, for what it does in milliseconds.
#[test]
fn push_has_a_lower_priority_than_the_watcher() {
    let (resident, _bao, _person) = with_a_store();
    let silent = resident.listen();
    resident.use_address(&format!("http://{}", silent.local_addr().expect("an address")));
    let watcher = Watcher::start(&resident);
    Writer::of(&resident).write(Way::Rename, &good(1));
    let mut push = None;
    eventually("a push that waits for its answer", || {
        push = children(&watcher.process().directory()).into_iter().find(|child| is_a_push(child));
        push.is_some()
    });
    let push = push.expect("there is one");
    assert_eq!(nice_value(&push) - nice_value(&watcher.process().directory()), 10);
}

/// Their directories in `/proc`.
fn children(process: &Path) -> Vec<PathBuf> {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let ids = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    ids.collect::<String>().split_whitespace().map(|id| Path::new("/proc").join(id)).collect()
}

/// `cas-sync run`, and no longer what starts it.
fn is_a_push(process: &Path) -> bool {
    let words = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    words.split('\0').nth(1) == Some("run")
}

/// The 19th field of proc_pid_stat(5), the 17th after the name.
fn nice_value(process: &Path) -> i32 {
    let stat = fs::read_to_string(process.join("stat")).expect("it lives");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').nth(16).and_then(|field| field.parse().ok()).expect("a number")
}

#[test]
fn push_is_skipped_without_a_store() {
    let resident = Resident::settle();
    let watcher = Watcher::start(&resident);
    Writer::of(&resident).write(Way::Rename, &good(1));
    watcher.process().wait_until_asleep();
    std::thread::sleep(Duration::from_secs(4));
    assert!(!resident.path(&format!("{STATE}/sync.log")).exists(), "no run was started");
}
