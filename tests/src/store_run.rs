//! The common parts of the scenarios of a store: a deadline, fields, the next run, and the text of
//! a refusal.

use std::fmt::Debug;
use std::time::Duration;

use cas_core::store::{Document, Fields, StoreError};
use cas_protocol::deadline::Deadline;
use cas_vault::{VaultConfig, VaultStore};
use serde_json::Value;

/// Returns a deadline that every responding server meets.
pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Returns these fields of a document.
///
/// # Panics
/// If `value` is not an object.
pub fn fields(value: &Value) -> Fields {
    serde_json::from_value(value.clone()).expect("an object")
}

/// Returns the fields of this document.
///
/// # Panics
/// Never: fields are JSON.
pub fn value(document: &Document) -> Value {
    serde_json::to_value(&document.fields).expect("fields are JSON")
}

/// Returns the next run, which has the cached state of this one.
pub fn next_run(store: &VaultStore, config: VaultConfig) -> VaultStore {
    VaultStore::new(VaultConfig { token_cache: store.token_cache().clone(), ..config })
}

/// Returns the reason and remedy of a refusal.
///
/// # Panics
/// If it was not a refusal.
#[track_caller]
pub fn refusal<T: Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(failure @ StoreError::Refused { .. }) => failure.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}
