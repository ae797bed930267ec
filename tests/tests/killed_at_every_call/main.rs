//! `cas-sync run`, killed as it enters each of its system calls, one run after the other. Wherever it ends, every file is
//! the old one or the new one, no other tool's field is lost, nothing secret lies open, and the next run gets to where an
//! undisturbed one would have got to.

mod scene;
mod strace;
mod sweep;
mod world;

use cas_tests::openbao::Policy;

use crate::scene::Scene;
use crate::sweep::sweep;

#[test]
fn a_login_is_put_back_from_this_machine() {
    let swept = sweep(&Scene::restore_from_this_machine());
    assert!(swept.with_a_lock > 0 && swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn a_login_is_put_back_from_the_store() {
    let swept = sweep(&Scene::restore_from_the_store());
    assert!(swept.with_a_lock > 0 && swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

/// A copy whose access token has ended is put back once ever, and where there was no file nothing tells whether it was:
/// a run that ends between its note and the file has spent that one time (`docs/architecture.md`).
#[test]
fn a_lost_login_is_put_back_or_counts_as_put_back() {
    let swept = sweep(&Scene::restore_of_a_lost_file());
    assert!(swept.spent > 0 && swept.spent < swept.points / 2, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn a_login_is_backed_up_by_a_merge_on_the_server() {
    let swept = sweep(&Scene::backup(Policy::Patch));
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn a_login_is_backed_up_by_writing_the_whole_document() {
    let swept = sweep(&Scene::backup(Policy::Update));
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn a_setup_token_is_written_to_the_env_file() {
    let swept = sweep(&Scene::new_setup_token());
    assert!(swept.with_a_temporary > 0, "{swept:?}");
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}

#[test]
fn a_setup_token_is_taken_out_of_the_env_file() {
    let swept = sweep(&Scene::withdrawn_setup_token());
    assert!(swept.before_the_change > 0 && swept.after_the_change > 0, "{swept:?}");
}
