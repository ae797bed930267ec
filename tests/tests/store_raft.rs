//! Three servers: runs that talk to a standby, and the loss of the active node.

use std::time::{Duration, Instant};

use cas_core::store::{Store, StoreError};
use cas_protocol::deadline::Deadline;
use cas_tests::openbao::{Policy, Raft};
use cas_tests::slowdown;
use cas_tests::store_run::{fields, soon, value};
use serde_json::{Value, json};

#[test]
fn run_at_a_standby_reads_its_own_writes() {
    let raft = Raft::start();
    let alice = raft.user_at_standby("alice", Policy::Patch);
    let mut store = alice.store();
    let mut version = store.read(&soon()).unwrap().version;
    for round in 0..100 {
        version = store.merge(&fields(&json!({ "round": round })), version, &soon()).unwrap();
        let read = store.read(&soon()).unwrap();
        assert_eq!((read.version, value(&read)), (version, json!({ "round": round })), "round {round}");
    }
}

#[test]
fn run_without_a_write_may_read_a_recent_version() {
    // The counterpart of the test above: without it, that one could not fail.
    let raft = Raft::start();
    let alice = raft.user_at_standby("alice", Policy::Patch);
    let (mut writer, mut reader) = (alice.store(), alice.store());
    let mut version = writer.merge(&fields(&json!({ "round": 0 })), 0, &soon()).unwrap();
    reader.read(&soon()).unwrap();
    // Nearly every such read is stale; on a busy machine the standby may be faster.
    for round in 1..=200 {
        version = writer.merge(&fields(&json!({ "round": round })), version, &soon()).unwrap();
        let read = reader.read(&soon()).unwrap().version;
        if read < version {
            return;
        }
    }
    panic!("a standby never showed an older version");
}

#[test]
fn standby_shows_the_conflicting_version_after_a_conflict() {
    let raft = Raft::start();
    for policy in [Policy::Patch, Policy::Update] {
        let alice = raft.user_at_standby(&format!("alice-{policy:?}"), policy);
        let mut store = alice.store();
        let mut version = store.merge(&fields(&json!({ "ours": 0 })), 0, &soon()).unwrap();
        let mut conflicts = 0;
        for round in 1..=30 {
            let theirs = json!({ "data": { "theirs": round, "ours": round - 1 } });
            raft.active().send_ok("PUT", &alice.path("data"), &theirs);
            let ours = fields(&json!({ "ours": round }));
            version = loop {
                match store.merge(&ours, version, &soon()) {
                    Ok(version) => break version,
                    Err(StoreError::Conflict) => conflicts += 1,
                    Err(failure) => panic!("{failure}"),
                }
                let read = store.read(&soon()).unwrap();
                assert!(
                    read.version > version,
                    "{policy:?}, round {round}: the read after a conflict was stale"
                );
                version = read.version;
            };
            assert_eq!(value(&store.read(&soon()).unwrap()), json!({ "theirs": round, "ours": round }));
        }
        assert_eq!(conflicts, 30, "each round has one conflict and no more");
    }
}

#[test]
fn loss_of_the_active_node_allows_reads_and_delays_writes() {
    let mut raft = Raft::start();
    let alice = raft.user_at_standby("alice", Policy::Patch);
    let mut store = alice.store();
    let version = store.merge(&fields(&json!({ "ours": "x" })), 0, &soon()).unwrap();
    // A standby gets a write with its commit, some 60 ms later, so the active node must not end
    // before.
    alice.user_client().eventually("GET", &alice.path("data"), &Value::Null);
    let memory = store.token_cache().clone();
    raft.kill_active_node();
    let started = Instant::now();

    let mut config = alice.config();
    config.token_cache = memory;
    let mut other_run = cas_vault::VaultStore::new(config);
    assert_eq!(other_run.read(&soon()).unwrap().version, version);

    let changes = fields(&json!({ "ours": "y" }));
    let mut failures = Vec::new();
    let written = loop {
        assert!(started.elapsed() < Duration::from_secs(60), "no new active node: {:?}", failures.last());
        let requests = Instant::now();
        match other_run.merge(&changes, version, &Deadline::after(Duration::from_secs(2))) {
            Ok(written) => break written,
            Err(failure @ (StoreError::Busy { .. } | StoreError::Unreachable { .. })) => {
                failures.push(failure.to_string())
            }
            Err(failure) => panic!("{failure}"),
        }
        let (took, limit) =
            (requests.elapsed(), Duration::from_secs(2) + Duration::from_millis(300).mul_f64(slowdown()));
        assert!(took < limit, "a write outlived its deadline: {took:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    eprintln!("written {:?} after the death of the active node", started.elapsed());
    assert!(failures.iter().any(|failure| failure.contains("not followed")), "{failures:?}");
    let read = other_run.read(&soon()).unwrap();
    assert_eq!((read.version, value(&read)), (written, json!({ "ours": "y" })));
}
