//! The restrictions of the units, and the real Claude Code within them, for all types of users and
//! homes (`docs/admin/units.md`).

mod claude;
mod exposure;
mod mount_restriction;
mod user_units;

use std::thread;
use std::time::{Duration, Instant};

use cas_tests::guest::Guest;

/// Far longer than systemd and a sync take.
const TIMEOUT: Duration = Duration::from_secs(60);

#[track_caller]
fn wait_until(what: &str, guest: &Guest, condition: impl Fn() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within {TIMEOUT:?}\n{}", guest.product_journal());
        thread::sleep(Duration::from_millis(50));
    }
}

fn is_inactive(guest: &Guest, user: &str) -> bool {
    guest.run(&format!("systemctl is-active 'claude-auth-sync@{user}.service'")).text().trim() == "inactive"
}

/// Replaces the command of a user's unit; `$` is expanded by the unit, not by the shell.
#[track_caller]
fn drop_in(guest: &Guest, unit: &str, text: &str) {
    let folder = format!("/run/systemd/system/{unit}.d");
    guest.run(&format!("mkdir -p '{folder}'")).expect_success("a folder");
    guest.write(&format!("{folder}/test.conf"), "root", "644", format!("[Service]\n{text}\n").as_bytes());
    guest.run("systemctl daemon-reload").expect_success("a drop-in");
}
