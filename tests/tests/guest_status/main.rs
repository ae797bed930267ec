//! `cas-sync status` and `cas-sync metrics` in real guests: what root sees of all users, what users
//! see of their own state, and what a hostile published state cannot do.

mod all_users;
mod dashboard;
mod hostile;
mod lifecycle;
mod metrics;
mod own_status;

use cas_tests::guest::Guest;
use serde_json::Value;

/// Returns the path at which root publishes a user's state.
fn published(user: &str) -> String {
    format!("/var/lib/claude-auth-sync/published/{user}")
}

/// Runs a user's service once, as its timer would.
#[track_caller]
fn run_service(guest: &Guest, user: &str) {
    guest.run(&format!("systemctl start claude-auth-sync@{user}.service")).expect_success("a sync");
}

/// Returns root's `status --json`.
#[track_caller]
fn status_of_all(guest: &Guest) -> Value {
    // Its exit status reflects all users and has its own tests.
    let output = guest.run("cas-sync status --json || true").expect_success("status").text();
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// Returns the entry of one user.
#[track_caller]
fn row<'a>(status: &'a Value, user: &str) -> &'a Value {
    let users = status["users"].as_array().expect("users");
    users.iter().find(|row| row["user"] == user).unwrap_or_else(|| panic!("no {user} in {status}"))
}
