//! `cas-sync run`, killed as it enters each of its system calls (per merge: each that changes a
//! file, a lock, a socket or a child), one run after the other. Wherever it ends, every file is the
//! old one or the new one, no field of another tool is lost, no secret is readable, and the next
//! run reaches the state of an undisturbed one.

mod disk_state;
mod logout;
mod scenario;
mod strace;
mod sweep;

use cas_tests::openbao::Policy;

use crate::scenario::Scenario;
use crate::sweep::sweep;

#[test]
fn killed_restore_from_the_history_is_recovered() {
    let swept = sweep(&Scenario::restore_from_history());
    assert!(swept.with_a_lock > 0 && swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_restore_from_the_store_is_recovered() {
    let swept = sweep(&Scenario::restore_from_the_store());
    assert!(swept.with_a_lock > 0 && swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

/// A backup whose access token has expired is restored once. Without a file nothing shows whether
/// that happened, so a run that is killed between its record and the file has used that one time
/// (`docs/architecture.md`).
#[test]
fn killed_restore_of_a_missing_file_counts_as_restored() {
    let swept = sweep(&Scenario::restore_of_missing_file());
    assert!(swept.spent > 0 && swept.spent < swept.points / 2, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_backup_by_merge_is_recovered() {
    let swept = sweep(&Scenario::backup(Policy::Patch));
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_backup_by_replacement_is_recovered() {
    let swept = sweep(&Scenario::backup(Policy::Update));
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_activation_of_a_setup_token_is_recovered() {
    let swept = sweep(&Scenario::new_setup_token());
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_logout_restores_nothing_and_is_repeated() {
    let swept = logout::sweep(&Scenario::logout());
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn killed_removal_of_a_setup_token_is_recovered() {
    let swept = sweep(&Scenario::withdrawn_setup_token());
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}
