//! `cas-sync watch`: what happens when a login is overwritten.

mod claude;
mod concurrent_sessions;
mod idle;
mod not_restored;
mod overwritten;
mod store_push;
mod watch_paths;
mod without_backups;

use cas_tests::claude_login::{self, HOUR_MS};
use cas_tests::now_ms;
use cas_tests::test_user::{LOGIN, Resident};
use cas_tests::watcher::{Watcher, wait_for_login};

/// The text of a login that is good for hours; a higher number ends later, as after a refresh.
fn good(number: u64) -> String {
    claude_login::healthy(&name(number), now_ms() + 7 * HOUR_MS + number * 1000)
}

fn name(number: u64) -> String {
    format!("number-{number}")
}

/// Waits until the login of this number is in the file again, and everything beside it.
#[track_caller]
fn wait_until_back(resident: &Resident, number: u64, written: &str) {
    wait_for_login(resident, |text| text.contains(&format!("refresh-of-{}\"", name(number))));
    assert_eq!(claude_login::parsed(&login(resident)), claude_login::parsed(written));
}

/// What lies in the file.
#[track_caller]
fn login(resident: &Resident) -> String {
    String::from_utf8(resident.read(LOGIN).expect("there is a file")).expect("it is text")
}

/// A resident with a good login of this number, whose watcher has seen it.
fn watched(number: u64) -> (Resident, Watcher, String) {
    let resident = Resident::settle();
    let text = good(number);
    resident.put(LOGIN, &text);
    let watcher = Watcher::start(&resident);
    (resident, watcher, text)
}
