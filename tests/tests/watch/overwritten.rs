//! Another process overwrites a valid login.

use std::time::Duration;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::credential::login::Owner;
use cas_core::ledger::{GenerationRecord, GenerationState, Ledger, Origin};
use cas_core::time::timestamp::Timestamp;
use cas_tests::claude_login::{HOUR_MS, cleared_login, valid_login};
use cas_tests::now_ms;
use cas_tests::test_user::{LOGIN, STATE, TestUser};
use cas_tests::watcher::{Watcher, WriteMethod, WriteStep, Writer, eventually, wait_for_login};

use crate::{login, login_number, wait_until_restored, watched};

/// The delays after which the valid generation is overwritten, in ms.
const PAUSES: [u64; 7] = [0, 1, 2, 5, 10, 20, 50];

const ROUNDS: u64 = 4;

#[test]
fn login_cleared_by_rename_is_restored_each_time() {
    restores_of_repeated_clears(WriteMethod::Rename);
}

#[test]
fn login_cleared_in_place_is_restored_each_time() {
    restores_of_repeated_clears(WriteMethod::InPlace);
}

fn restores_of_repeated_clears(way: WriteMethod) {
    let (test_user, watcher, _) = watched(0);
    let writer = Writer::new(&test_user);
    let rounds = PAUSES.iter().flat_map(|pause| (0..ROUNDS).map(move |_| *pause));
    for (number, pause) in (1..).zip(rounds) {
        let text = login_number(number);
        let pause = (pause > 0).then_some(WriteStep::Wait(Duration::from_millis(pause)));
        let good = WriteStep::Write(WriteMethod::Rename, text.clone());
        let bad = WriteStep::Write(way, cleared_login(&text));
        writer.perform([Some(good), pause, Some(bad)].into_iter().flatten().collect());
        wait_until_restored(&test_user, number, &text);
    }
    watcher.process().wait_until_idle();
    let journal = test_user.journal();
    assert!(journal.contains("user=alice RECOVERED") && !journal.contains("FAIL"), "{journal}");
}

/// The user's next shell says that a login was restored. Nothing is said while nothing was
/// restored.
#[test]
fn restored_login_leaves_a_notice() {
    let (test_user, watcher, text) = watched(0);
    let notice =
        || test_user.read(&format!("{STATE}/notice")).map(|line| String::from_utf8(line).expect("text"));
    watcher.process().wait_until_idle();
    assert_eq!(notice(), None);
    Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
    wait_until_restored(&test_user, 0, &text);
    watcher.process().wait_until_idle();
    let line = notice().expect("a notice");
    assert!(line.contains("restored"), "{line}");
}

/// A login that is written in place and overwritten at once was never readable; a moment is enough.
#[test]
fn login_written_in_place_is_backed_up() {
    let (test_user, watcher, _) = watched(0);
    let writer = Writer::new(&test_user);
    for number in 1..=10 {
        let text = login_number(number);
        writer.write(WriteMethod::InPlace, &text);
        watcher.process().wait_until_idle();
        writer.write(WriteMethod::InPlace, &cleared_login(&text));
        wait_until_restored(&test_user, number, &text);
    }
}

#[test]
fn later_of_two_consecutive_logins_is_restored() {
    let (test_user, watcher, _) = watched(0);
    let (first, second) = (login_number(1), login_number(2));
    Writer::new(&test_user).perform(vec![
        WriteStep::Write(WriteMethod::Rename, first),
        WriteStep::Write(WriteMethod::Rename, second.clone()),
        WriteStep::Write(WriteMethod::Rename, cleared_login(&second)),
    ]);
    wait_until_restored(&test_user, 2, &second);
    watcher.process().wait_until_idle();
    let history = test_user.read(&format!("{STATE}/history.json")).expect("a history");
    let history = String::from_utf8(history).expect("text");
    assert!(
        [1, 2].iter().all(|number| history.contains(&format!("refresh-of-number-{number}"))),
        "{history}"
    );
}

#[test]
fn torn_login_file_is_restored() {
    let (test_user, _watcher, text) = watched(1);
    Writer::new(&test_user).write(WriteMethod::InPlace, text.get(..text.len() / 2).expect("half of it"));
    wait_for_login(&test_user, |found| found.contains("refresh-of-number-1") && found.ends_with('}'));
}

#[test]
fn file_that_is_being_written_in_place_is_not_changed() {
    let (test_user, watcher, _) = watched(1);
    let text = login_number(2);
    let half = text.get(..text.len() / 2).expect("half of it").to_owned();
    // Other processes open the file for writing and close it: the kernel sends the same event as
    // for a completed write.
    let writer = Writer::new(&test_user);
    writer.perform(vec![
        WriteStep::Write(WriteMethod::InPlace, half),
        WriteStep::Wait(Duration::from_millis(30)),
    ]);
    writer.write(WriteMethod::InPlace, &text);
    watcher.process().wait_until_idle();
    assert_eq!(login(&test_user), text);
    assert!(!test_user.journal().contains("RECOVERED"), "{}", test_user.journal());
}

/// Creates a ledger with a login that was restored this often within the last hour.
fn put_back(times: usize) -> TestUser {
    let test_user = TestUser::create();
    let expires_at_ms = now_ms() + 7 * HOUR_MS;
    let text = valid_login("number-1", expires_at_ms);
    test_user.put(LOGIN, &text);
    let entry = GenerationRecord {
        was_in_file: true,
        first_seen: Timestamp::from_millis(now_ms() - HOUR_MS),
        number: 0,
        was_fresh: true,
        owner: Owner::default(),
        is_account_unknown: false,
        origin: Origin::File,
        expires_at: Timestamp::from_millis(expires_at_ms),
        state: GenerationState::Restored,
        verified_at: None,
        restored_at: vec![Timestamp::from_millis(now_ms() - HOUR_MS / 2); times],
    };
    let generation = RefreshTokenId::from_bytes("sk-ant-ort01-refresh-of-number-1");
    let ledger = Ledger { generations: [(generation, entry)].into(), ..Ledger::default() };
    // A restored login is in the history, otherwise it could not have been restored.
    assert!(test_user.sync().status.success());
    test_user.put(&format!("{STATE}/ledger.json"), &serde_json::to_string(&ledger).expect("JSON"));
    test_user
}

#[test]
fn ninth_restore_within_an_hour_is_refused() {
    for (times, is_back) in [(7, true), (8, false)] {
        let test_user = put_back(times);
        let text = login(&test_user);
        let _watcher = Watcher::start(&test_user);
        Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
        if is_back {
            wait_until_restored(&test_user, 1, &text);
        } else {
            eventually("a warning", || test_user.journal().contains("user=alice WARN"));
            let journal = test_user.journal();
            assert!(journal.contains("find the process that keeps overwriting it"), "{journal}");
            assert_eq!(login(&test_user), cleared_login(&text));
        }
    }
}
