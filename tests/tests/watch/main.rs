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
use cas_tests::test_user::{LOGIN, TestUser};
use cas_tests::watcher::{Watcher, wait_for_login};

/// Returns the text of a login that is valid for hours; a higher number expires later, as after a
/// refresh.
fn login_number(number: u64) -> String {
    claude_login::valid_login(&name(number), now_ms() + 7 * HOUR_MS + number * 1000)
}

fn name(number: u64) -> String {
    format!("number-{number}")
}

/// Waits until the login of this number is restored, with everything else in the file.
#[track_caller]
fn wait_until_restored(test_user: &TestUser, number: u64, written: &str) {
    wait_for_login(test_user, |text| text.contains(&format!("refresh-of-{}\"", name(number))));
    assert_eq!(claude_login::parsed(&login(test_user)), claude_login::parsed(written));
}

/// Returns the text of the login file.
#[track_caller]
fn login(test_user: &TestUser) -> String {
    String::from_utf8(test_user.read(LOGIN).expect("there is a file")).expect("it is text")
}

/// Returns a user with a good login of this number, whose watcher has read it.
fn watched(number: u64) -> (TestUser, Watcher, String) {
    let test_user = TestUser::create();
    let text = login_number(number);
    test_user.put(LOGIN, &text);
    let watcher = Watcher::start(&test_user);
    (test_user, watcher, text)
}
