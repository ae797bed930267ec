//! `cas-sync status` and `cas-sync metrics` in real machines: what root sees of everybody, what a person sees of themselves, and
//! what nobody can do with what they publish.

mod dashboard;
mod everybody;
mod hostile;
mod lifecycle;
mod metrics;
mod oneself;

use cas_tests::guest::Guest;
use serde_json::Value;

/// Where a person's sync publishes.
fn published(user: &str) -> String {
    format!("/var/lib/claude-auth-sync/people/{user}/state.json")
}

/// Runs somebody's service once, as its timer would.
#[track_caller]
fn run_service(guest: &Guest, user: &str) {
    guest.run(&format!("systemctl start claude-auth-sync@{user}.service")).expect_success("a sync");
}

/// What root's `status --json` says.
#[track_caller]
fn everybody(guest: &Guest) -> Value {
    // Its exit status is how everybody is: it has tests of its own.
    let said = guest.run("cas-sync status --json || true").expect_success("status").text();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// That of one person in it.
#[track_caller]
fn row<'a>(everybody: &'a Value, user: &str) -> &'a Value {
    let people = everybody["people"].as_array().expect("people");
    people.iter().find(|row| row["user"] == user).unwrap_or_else(|| panic!("no {user} in {everybody}"))
}
