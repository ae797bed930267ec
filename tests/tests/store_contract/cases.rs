//! The contract, one function for each clause.

use std::time::{Duration, Instant};

use cas_core::store::{Document, Fields, Store, StoreError};
use cas_tests::store_run::{fields, soon, value};
use serde_json::{Value, json};

use crate::stores::UserStore;

type Case = fn(&dyn UserStore);

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

fn version_and_fields(user_store: &dyn UserStore) -> (u64, Value) {
    user_store.current_document().expect("a live document")
}

fn unwritten_store_is_an_empty_document(user_store: &dyn UserStore) {
    let document = user_store.store().read(&soon()).unwrap();
    assert_eq!((document.version, document.fields.len()), (0, 0));
    assert_eq!(user_store.current_document(), None, "reading writes nothing");
}

fn merged_fields_can_be_read(user_store: &dyn UserStore) {
    let mut store = user_store.store();
    let version = store
        .merge(&fields(&json!({ "setup_token": "one", "n": 1_790_000_000_000_u64 })), 0, &soon())
        .unwrap();
    assert!(version > 0);
    for mut store in [store, user_store.store()] {
        let document = store.read(&soon()).unwrap();
        assert_eq!(document.version, version);
        assert_eq!(value(&document), json!({ "setup_token": "one", "n": 1_790_000_000_000_u64 }));
    }
}

fn unusual_values_are_read_unchanged(user_store: &dyn UserStore) {
    let odd = json!({
        "empty": "", "quotes": "\"\\/", "lines": "a\nb\r\n\t", "markup": "<a href='x'>&</a>",
        "letters": "äß漢字🦀\u{2028}\u{0}\u{7f}", "long": "x".repeat(200_000), "null in a list": [null, 1],
        "ä key with spaces/and\\more": true, "constructor": false,
    });
    let version = user_store.store().merge(&fields(&odd), 0, &soon()).unwrap();
    assert_eq!(value(&user_store.store().read(&soon()).unwrap()), odd);
    let again = user_store.store().merge(&fields(&odd), version, &soon()).unwrap();
    assert_eq!(again, version, "and are recognised as the same");
}

fn foreign_fields_survive_writes_unchanged(user_store: &dyn UserStore) {
    let others = json!({
        "vaultwarden_email": "ä<b>&'\"\u{2028}🦀@example.org",
        "vaultwarden_master_password": "pa\\ss\nword",
        "big": 9_007_199_254_740_993_u64, "float": 1.5, "huge": 1.234_567_890_123_456_7e22, "zero": -0.0,
        "nested": { "b": [1, { "c": null }], "a": {} }, "nothing": null, "flag": false,
    });
    user_store.replace(&others);
    let mut store = user_store.store();
    let before = store.read(&soon()).unwrap();
    let admin_before = version_and_fields(user_store).1;
    let mut version = before.version;
    for text in ["one", "two"] {
        version = store.merge(&fields(&json!({ "setup_token": text })), version, &soon()).unwrap();
        let mut after = user_store.store().read(&soon()).unwrap();
        assert_eq!(after.fields.remove("setup_token").unwrap().get(), format!("\"{text}\""));
        let texts = |document: &Document| -> Vec<(String, String)> {
            document.fields.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
        };
        assert_eq!(texts(&after), texts(&before));
        let mut admin_after = version_and_fields(user_store).1;
        admin_after.as_object_mut().unwrap().remove("setup_token");
        assert_eq!(admin_after, admin_before);
    }
}

fn stale_version_is_a_conflict_without_a_write(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": 1 }));
    let mut store = user_store.store();
    let stale = store.read(&soon()).unwrap().version;
    user_store.replace(&json!({ "theirs": 2 }));
    let before = user_store.current_document();
    assert_eq!(store.merge(&fields(&json!({ "ours": "x" })), stale, &soon()), Err(StoreError::Conflict));
    assert_eq!(
        user_store.store().merge(&fields(&json!({ "ours": "x" })), stale, &soon()),
        Err(StoreError::Conflict)
    );
    assert_eq!(user_store.current_document(), before);
}

fn first_write_over_a_document_is_a_conflict(user_store: &dyn UserStore) {
    let mut store = user_store.store();
    assert_eq!(store.read(&soon()).unwrap().version, 0);
    user_store.replace(&json!({ "theirs": 1 }));
    let before = user_store.current_document();
    for mut store in [store, user_store.store()] {
        assert_eq!(store.merge(&fields(&json!({ "ours": "x" })), 0, &soon()), Err(StoreError::Conflict));
    }
    assert_eq!(user_store.current_document(), before);
}

fn unknown_version_is_a_conflict(user_store: &dyn UserStore) {
    assert_eq!(
        user_store.store().merge(&fields(&json!({ "ours": "x" })), 3, &soon()),
        Err(StoreError::Conflict)
    );
    assert_eq!(user_store.current_document(), None);
    user_store.replace(&json!({ "theirs": 1 }));
    assert_eq!(
        user_store.store().merge(&fields(&json!({ "ours": "x" })), 9, &soon()),
        Err(StoreError::Conflict)
    );
    assert_eq!(version_and_fields(user_store).1, json!({ "theirs": 1 }));
}

fn unchanged_fields_are_not_written(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "ours": "<x>", "theirs": 1 }));
    let (version, _) = version_and_fields(user_store);
    let mut store = user_store.store();
    assert_eq!(store.merge(&fields(&json!({ "ours": "<x>" })), version, &soon()), Ok(version));
    assert_eq!(store.merge(&Fields::new(), version, &soon()), Ok(version));
    let read = store.read(&soon()).unwrap();
    assert_eq!(store.merge(&read.fields, version, &soon()), Ok(version));
    assert_eq!(version_and_fields(user_store).0, version);
}

fn empty_value_is_stored(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "setup_token": "old" }));
    let (version, _) = version_and_fields(user_store);
    user_store.store().merge(&fields(&json!({ "setup_token": "" })), version, &soon()).unwrap();
    assert_eq!(version_and_fields(user_store).1, json!({ "setup_token": "" }));
}

fn writes_of_a_run_are_cumulative(user_store: &dyn UserStore) {
    let mut store = user_store.store();
    let mut version = 0;
    for number in 0..4 {
        let next = store.merge(&fields(&json!({ format!("f{number}"): number })), version, &soon()).unwrap();
        assert!(next > version);
        version = next;
    }
    assert_eq!(version_and_fields(user_store), (version, json!({ "f0": 0, "f1": 1, "f2": 2, "f3": 3 })));
}

fn run_can_write_without_reading(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": "x" }));
    let (version, _) = version_and_fields(user_store);
    let written = user_store.store().merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap();
    assert_eq!(version_and_fields(user_store), (written, json!({ "theirs": "x", "ours": "y" })));
}

fn reading_again_resolves_a_conflict(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": 1 }));
    let mut store = user_store.store();
    let stale = store.read(&soon()).unwrap().version;
    user_store.replace(&json!({ "theirs": 2 }));
    let ours = fields(&json!({ "ours": "x" }));
    assert_eq!(store.merge(&ours, stale, &soon()), Err(StoreError::Conflict));
    let new_login = store.read(&soon()).unwrap();
    assert_eq!(value(&new_login), json!({ "theirs": 2 }));
    store.merge(&ours, new_login.version, &soon()).unwrap();
    assert_eq!(version_and_fields(user_store).1, json!({ "theirs": 2, "ours": "x" }));
}

fn no_field_is_removed(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "setup_token": "keep", "nested": { "a": 1 } }));
    let before = user_store.current_document();
    let (version, _) = version_and_fields(user_store);
    for change in [json!({ "setup_token": null }), json!({ "nested": { "a": null } }), json!({ "new": null })]
    {
        let failure = user_store.store().merge(&fields(&change), version, &soon()).unwrap_err();
        assert!(matches!(failure, StoreError::Refused { .. }), "{change}: {failure}");
    }
    assert_eq!(user_store.current_document(), before);
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

fn deleted_document_is_explained_and_stays_deleted(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": 1 }));
    let (version, _) = version_and_fields(user_store);
    let mut earlier = user_store.store();
    earlier.read(&soon()).unwrap();
    if !user_store.delete() {
        return;
    }
    let failure = earlier.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap_err();
    assert!(matches!(failure, StoreError::Deleted { .. }), "{failure}");
    let reason = explained(user_store.store().as_mut(), version);
    assert!(reason.contains(&format!("version {version} ")) && reason.contains("deleted on 20"), "{reason}");
    assert_eq!(user_store.current_document(), None, "it is not brought back");
}

fn destroyed_document_is_explained_and_stays_destroyed(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": 1 }));
    let (version, _) = version_and_fields(user_store);
    if !user_store.destroy() {
        return;
    }
    let reason = explained(user_store.store().as_mut(), version);
    assert!(reason.contains("destroyed"), "{reason}");
    assert_eq!(user_store.current_document(), None, "it is not brought back");
}

fn document_written_after_a_deletion_is_read(user_store: &dyn UserStore) {
    user_store.replace(&json!({ "theirs": 1 }));
    if !user_store.delete() {
        return;
    }
    user_store.replace(&json!({ "theirs": 2 }));
    let (version, _) = version_and_fields(user_store);
    let mut store = user_store.store();
    assert_eq!(value(&store.read(&soon()).unwrap()), json!({ "theirs": 2 }));
    store.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap();
    assert_eq!(version_and_fields(user_store).1, json!({ "theirs": 2, "ours": "y" }));
}

fn concurrent_runs_lose_no_write(user_store: &dyn UserStore) {
    const ROUNDS: usize = 8;
    let run = |name: &str| {
        let mut store = user_store.store();
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
    assert_eq!(version_and_fields(user_store).1.as_object().unwrap().len(), 3 * ROUNDS);
}
