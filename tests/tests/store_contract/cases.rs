//! The contract, one function a clause.

use std::time::{Duration, Instant};

use cas_core::store::{Document, Fields, Store, StoreError};
use cas_tests::store_run::{fields, soon, value};
use serde_json::{Value, json};

use crate::stores::Place;

type Case = fn(&dyn Place);

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every clause with its name.
        pub(crate) const ALL: &[(&str, Case)] = &[$((stringify!($name), $name as Case)),*];
    };
}

cases! {
    unwritten_store_is_an_empty_document,
    merged_fields_can_be_read,
    unusual_values_are_read_unchanged,
    foreign_fields_survive_writes_unchanged,
    stale_version_is_a_conflict_without_a_write,
    first_write_over_a_document_is_a_conflict,
    unknown_version_is_a_conflict,
    unchanged_fields_are_not_written,
    empty_value_is_stored,
    writes_of_a_run_are_cumulative,
    run_can_write_without_reading,
    reading_again_resolves_a_conflict,
    no_field_is_removed,
    deleted_document_is_explained_and_stays_deleted,
    destroyed_document_is_explained_and_stays_destroyed,
    document_written_after_a_deletion_is_read,
    concurrent_runs_lose_no_write,
}

fn seen(place: &dyn Place) -> (u64, Value) {
    place.seen().expect("a live document")
}

fn unwritten_store_is_an_empty_document(place: &dyn Place) {
    let document = place.store().read(&soon()).unwrap();
    assert_eq!((document.version, document.fields.len()), (0, 0));
    assert_eq!(place.seen(), None, "reading writes nothing");
}

fn merged_fields_can_be_read(place: &dyn Place) {
    let mut store = place.store();
    let version = store
        .merge(&fields(&json!({ "setup_token": "one", "n": 1_790_000_000_000_u64 })), 0, &soon())
        .unwrap();
    assert!(version > 0);
    for mut store in [store, place.store()] {
        let document = store.read(&soon()).unwrap();
        assert_eq!(document.version, version);
        assert_eq!(value(&document), json!({ "setup_token": "one", "n": 1_790_000_000_000_u64 }));
    }
}

fn unusual_values_are_read_unchanged(place: &dyn Place) {
    let odd = json!({
        "empty": "", "quotes": "\"\\/", "lines": "a\nb\r\n\t", "markup": "<a href='x'>&</a>",
        "letters": "äß漢字🦀\u{2028}\u{0}\u{7f}", "long": "x".repeat(200_000), "null in a list": [null, 1],
        "ä key with spaces/and\\more": true, "constructor": false,
    });
    let version = place.store().merge(&fields(&odd), 0, &soon()).unwrap();
    assert_eq!(value(&place.store().read(&soon()).unwrap()), odd);
    let again = place.store().merge(&fields(&odd), version, &soon()).unwrap();
    assert_eq!(again, version, "and are recognised as the same");
}

fn foreign_fields_survive_writes_unchanged(place: &dyn Place) {
    let others = json!({
        "vaultwarden_email": "ä<b>&'\"\u{2028}🦀@example.org",
        "vaultwarden_master_password": "pa\\ss\nword",
        "big": 9_007_199_254_740_993_u64, "float": 1.5, "huge": 1.234_567_890_123_456_7e22, "zero": -0.0,
        "nested": { "b": [1, { "c": null }], "a": {} }, "nothing": null, "flag": false,
    });
    place.replace(&others);
    let mut store = place.store();
    let before = store.read(&soon()).unwrap();
    let admin_before = seen(place).1;
    let mut version = before.version;
    for text in ["one", "two"] {
        version = store.merge(&fields(&json!({ "setup_token": text })), version, &soon()).unwrap();
        let mut after = place.store().read(&soon()).unwrap();
        assert_eq!(after.fields.remove("setup_token").unwrap().get(), format!("\"{text}\""));
        let texts = |document: &Document| -> Vec<(String, String)> {
            document.fields.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
        };
        assert_eq!(texts(&after), texts(&before));
        let mut admin_after = seen(place).1;
        admin_after.as_object_mut().unwrap().remove("setup_token");
        assert_eq!(admin_after, admin_before);
    }
}

fn stale_version_is_a_conflict_without_a_write(place: &dyn Place) {
    place.replace(&json!({ "theirs": 1 }));
    let mut store = place.store();
    let stale = store.read(&soon()).unwrap().version;
    place.replace(&json!({ "theirs": 2 }));
    let before = place.seen();
    assert_eq!(store.merge(&fields(&json!({ "ours": "x" })), stale, &soon()), Err(StoreError::Conflict));
    assert_eq!(
        place.store().merge(&fields(&json!({ "ours": "x" })), stale, &soon()),
        Err(StoreError::Conflict)
    );
    assert_eq!(place.seen(), before);
}

fn first_write_over_a_document_is_a_conflict(place: &dyn Place) {
    let mut store = place.store();
    assert_eq!(store.read(&soon()).unwrap().version, 0);
    place.replace(&json!({ "theirs": 1 }));
    let before = place.seen();
    for mut store in [store, place.store()] {
        assert_eq!(store.merge(&fields(&json!({ "ours": "x" })), 0, &soon()), Err(StoreError::Conflict));
    }
    assert_eq!(place.seen(), before);
}

fn unknown_version_is_a_conflict(place: &dyn Place) {
    assert_eq!(place.store().merge(&fields(&json!({ "ours": "x" })), 3, &soon()), Err(StoreError::Conflict));
    assert_eq!(place.seen(), None);
    place.replace(&json!({ "theirs": 1 }));
    assert_eq!(place.store().merge(&fields(&json!({ "ours": "x" })), 9, &soon()), Err(StoreError::Conflict));
    assert_eq!(seen(place).1, json!({ "theirs": 1 }));
}

fn unchanged_fields_are_not_written(place: &dyn Place) {
    place.replace(&json!({ "ours": "<x>", "theirs": 1 }));
    let (version, _) = seen(place);
    let mut store = place.store();
    assert_eq!(store.merge(&fields(&json!({ "ours": "<x>" })), version, &soon()), Ok(version));
    assert_eq!(store.merge(&Fields::new(), version, &soon()), Ok(version));
    let read = store.read(&soon()).unwrap();
    assert_eq!(store.merge(&read.fields, version, &soon()), Ok(version));
    assert_eq!(seen(place).0, version);
}

fn empty_value_is_stored(place: &dyn Place) {
    place.replace(&json!({ "setup_token": "old" }));
    let (version, _) = seen(place);
    place.store().merge(&fields(&json!({ "setup_token": "" })), version, &soon()).unwrap();
    assert_eq!(seen(place).1, json!({ "setup_token": "" }));
}

fn writes_of_a_run_are_cumulative(place: &dyn Place) {
    let mut store = place.store();
    let mut version = 0;
    for number in 0..4 {
        let next = store.merge(&fields(&json!({ format!("f{number}"): number })), version, &soon()).unwrap();
        assert!(next > version);
        version = next;
    }
    assert_eq!(seen(place), (version, json!({ "f0": 0, "f1": 1, "f2": 2, "f3": 3 })));
}

fn run_can_write_without_reading(place: &dyn Place) {
    place.replace(&json!({ "theirs": "x" }));
    let (version, _) = seen(place);
    let written = place.store().merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap();
    assert_eq!(seen(place), (written, json!({ "theirs": "x", "ours": "y" })));
}

fn reading_again_resolves_a_conflict(place: &dyn Place) {
    place.replace(&json!({ "theirs": 1 }));
    let mut store = place.store();
    let stale = store.read(&soon()).unwrap().version;
    place.replace(&json!({ "theirs": 2 }));
    let ours = fields(&json!({ "ours": "x" }));
    assert_eq!(store.merge(&ours, stale, &soon()), Err(StoreError::Conflict));
    let fresh = store.read(&soon()).unwrap();
    assert_eq!(value(&fresh), json!({ "theirs": 2 }));
    store.merge(&ours, fresh.version, &soon()).unwrap();
    assert_eq!(seen(place).1, json!({ "theirs": 2, "ours": "x" }));
}

fn no_field_is_removed(place: &dyn Place) {
    place.replace(&json!({ "setup_token": "keep", "nested": { "a": 1 } }));
    let before = place.seen();
    let (version, _) = seen(place);
    for change in [json!({ "setup_token": null }), json!({ "nested": { "a": null } }), json!({ "new": null })]
    {
        let failure = place.store().merge(&fields(&change), version, &soon()).unwrap_err();
        assert!(matches!(failure, StoreError::Refused { .. }), "{change}: {failure}");
    }
    assert_eq!(place.seen(), before);
}

/// Returns the error for a deleted document, for reads and writes.
fn explained(store: &mut dyn Store, last_version: u64) -> String {
    let Err(StoreError::Deleted { reason, .. }) = store.read(&soon()) else {
        panic!("a deleted document was read")
    };
    for expected in [0, last_version] {
        let failure = store.merge(&fields(&json!({ "ours": "y" })), expected, &soon()).unwrap_err();
        assert!(matches!(failure, StoreError::Deleted { .. } | StoreError::Conflict), "{failure}");
    }
    reason
}

fn deleted_document_is_explained_and_stays_deleted(place: &dyn Place) {
    place.replace(&json!({ "theirs": 1 }));
    let (version, _) = seen(place);
    let mut earlier = place.store();
    earlier.read(&soon()).unwrap();
    if !place.delete() {
        return;
    }
    let failure = earlier.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap_err();
    assert!(matches!(failure, StoreError::Deleted { .. }), "{failure}");
    let reason = explained(place.store().as_mut(), version);
    assert!(reason.contains(&format!("version {version} ")) && reason.contains("deleted on 20"), "{reason}");
    assert_eq!(place.seen(), None, "it is not brought back");
}

fn destroyed_document_is_explained_and_stays_destroyed(place: &dyn Place) {
    place.replace(&json!({ "theirs": 1 }));
    let (version, _) = seen(place);
    if !place.destroy() {
        return;
    }
    let reason = explained(place.store().as_mut(), version);
    assert!(reason.contains("destroyed"), "{reason}");
    assert_eq!(place.seen(), None, "it is not brought back");
}

fn document_written_after_a_deletion_is_read(place: &dyn Place) {
    place.replace(&json!({ "theirs": 1 }));
    if !place.delete() {
        return;
    }
    place.replace(&json!({ "theirs": 2 }));
    let (version, _) = seen(place);
    let mut store = place.store();
    assert_eq!(value(&store.read(&soon()).unwrap()), json!({ "theirs": 2 }));
    store.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap();
    assert_eq!(seen(place).1, json!({ "theirs": 2, "ours": "y" }));
}

fn concurrent_runs_lose_no_write(place: &dyn Place) {
    const ROUNDS: usize = 8;
    let run = |name: &str| {
        let mut store = place.store();
        for round in 0..ROUNDS {
            let changes = fields(&json!({ format!("{name}{round}"): round }));
            let started = Instant::now();
            loop {
                assert!(started.elapsed() < Duration::from_secs(20), "it never got through");
                let version = store.read(&soon()).unwrap().version;
                match store.merge(&changes, version, &soon()) {
                    Ok(_) => break,
                    Err(StoreError::Conflict) => {}
                    Err(failure) => panic!("{failure}"),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            scope.spawn(move || run(name));
        }
    });
    assert_eq!(seen(place).1.as_object().unwrap().len(), 3 * ROUNDS);
}
