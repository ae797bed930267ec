//! The units of users with the real systemd of a guest: the timer, the requests of logins, the
//! watcher; and how an administrator starts, pauses and stops them.

mod claude;
mod enrollment;
mod exhaustion;
mod failed;
mod hostile_mounts;
mod priority;
mod removal;
mod request_flood;
mod requests;
mod timers;
mod units;
mod watch;

use cas_tests::guest::{Guest, Suite};
use cas_tests::{TIMEOUT, wait_until};

/// Boots a guest with running units, these users enrolled, and their first syncs done.
#[track_caller]
fn host(suite: Suite, users: &[&str]) -> Guest {
    let guest = Guest::boot_with_product(suite);
    guest.resume();
    for user in users {
        enroll(&guest, user);
    }
    guest
}

/// Enrolls a user without a watcher, and waits for the first sync.
#[track_caller]
fn enroll(guest: &Guest, user: &str) {
    guest.run(&format!("cas-sync enroll --no-watch {user}")).expect_success("enrolling");
    wait_for_runs(guest, user, 1);
}

/// Returns how many runs of a user's sync were logged, including those that found another run
/// active.
fn runs(guest: &Guest, user: &str) -> usize {
    let log = format!("{}/.local/state/claude-auth-sync/sync.log", home(guest, user));
    guest.run(&format!("cat '{log}'")).text().lines().count()
}

/// Returns the home in the user database.
fn home(guest: &Guest, user: &str) -> String {
    guest.run(&format!("getent passwd '{user}' | cut -d: -f6")).text().trim_end().to_owned()
}

/// Waits until that many runs were logged and none is at work.
#[track_caller]
fn wait_for_runs(guest: &Guest, user: &str, number: usize) {
    wait_until(&format!("{number} runs of {user}"), || {
        runs(guest, user) >= number && is_inactive(guest, user)
    });
    assert_eq!(runs(guest, user), number, "{}", guest.product_journal());
}

fn is_inactive(guest: &Guest, user: &str) -> bool {
    guest.run(&format!("systemctl is-active 'claude-auth-sync@{user}.service'")).text().trim() == "inactive"
}

/// Returns a property of a unit in systemd.
fn property(guest: &Guest, unit: &str, name: &str) -> String {
    guest.run(&format!("systemctl show --property={name} --value '{unit}'")).text().trim().to_owned()
}

/// Returns the failed units, one per line.
fn failed(guest: &Guest) -> String {
    guest.run("systemctl --failed --no-legend --plain").text()
}
