//! Other tools write their fields of the document concurrently: no field is lost, under either
//! policy.

mod command_line;
mod other_tool;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cas_core::store::{Fields, Store, StoreError};
use cas_protocol::deadline::Deadline;
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::size::sized;
use serde_json::json;

use crate::other_tool::{OTHER_FIELDS, OtherTool};

const WRITERS: usize = 8;

/// Returns the number of writes of each; five hundred rounds in total at full size.
fn writes_each() -> usize {
    sized(63, 16)
}

/// Writes the product's field repeatedly until the others are done. Returns the number of successes
/// and conflicts.
fn write_own_fields(vault_user: &VaultUser, are_done: &AtomicBool) -> (usize, usize) {
    let (mut written, mut conflicts) = (0, 0);
    let mut store = vault_user.store();
    while !are_done.load(Ordering::Acquire) || written == 0 {
        let deadline = Deadline::after(Duration::from_secs(20));
        let version = store.read(&deadline).unwrap().version;
        let changes: Fields =
            serde_json::from_value(json!({ "ours": written, "backed_up_at": written })).unwrap();
        match store.merge(&changes, version, &deadline) {
            Ok(_) => written += 1,
            Err(StoreError::Conflict) => conflicts += 1,
            Err(failure) => panic!("{failure}"),
        }
    }
    (written, conflicts)
}

fn race(policy: Policy) {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", policy);
    alice.put_document(&json!({ "first": "x" }));
    bao.admin().send_ok("POST", &alice.path("metadata"), &json!({ "max_versions": 3 }));
    let are_done = AtomicBool::new(false);
    let (written, conflicts) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| write_own_fields(&alice, &are_done));
        let others: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let tool = OtherTool::new(&bao, alice.path("data"));
                scope.spawn(move || {
                    for number in 0..writes_each() {
                        let name = format!("w{writer}n{number}");
                        if writer % 2 == 0 { tool.add_by_patch(&name) } else { tool.add_by_put(&name) }
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = others.into_iter().map(|other| other.join()).collect();
        are_done.store(true, Ordering::Release);
        for outcome in outcomes {
            outcome.expect("every other tool got its fields in");
        }
        ours.join().expect("the product only succeeds or conflicts")
    });
    let document = alice.document().body["data"]["data"].clone();
    let lost: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..writes_each()).map(move |number| format!("w{writer}n{number}")))
        .filter(|name| document[name] != json!(OTHER_FIELDS))
        .collect();
    eprintln!(
        "{policy:?}: {written} of our writes and {conflicts} conflicts among {} of others",
        WRITERS * writes_each()
    );
    assert_eq!(lost, Vec::<String>::new());
    assert_eq!(document["first"], json!("x"));
    assert_eq!(document["ours"], json!(written - 1), "the last success is what is there");
    assert!(conflicts > 0, "the race was one");
}

#[test]
fn concurrent_fields_survive_merges() {
    race(Policy::Patch);
}

#[test]
fn concurrent_fields_survive_replacements() {
    race(Policy::Update);
}
