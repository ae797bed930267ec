//! The locks of a refresh: directories that every writer of the file must acquire and release in
//! time.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::LoggedRequest;
use cas_tests::claude_client::{ClaudeFixture, NEWEST, OLDER};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::json;

use super::{LIMIT, asked_with, fixture, oauth, refreshes, run, sign_in_with_expired_token};

const REFRESH_LOCK: &str = ".claude/.oauth_refresh.lock";
const HOME_LOCK: &str = ".claude.lock";
const WRITE_LOCK: &str = ".claude/.storage-write.lock";
const STATE_FILE_LOCK: &str = ".claude.json.lock";

#[test]
fn refresh_takes_its_locks_in_order_and_renames_under_them() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_expired_token(&alice, &fixture);
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).expect("inotify");
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
    for directory in [alice.home().to_owned(), alice.home().join(".claude")] {
        watch.add_watch(&directory, flags).expect("a watch");
    }
    assert!(run(&alice).answered());

    let mut steps = Vec::new();
    while let Ok(events) = watch.read_events() {
        for event in events {
            let name = event.name.unwrap_or_default().to_string_lossy().into_owned();
            let verb = if event.mask.contains(AddWatchFlags::IN_DELETE) { "-" } else { "+" };
            if name.ends_with(".lock") && name != ".claude.json.lock" || name.starts_with(".credentials.json")
            {
                let stem = name.find(".tmp.").map_or(name.as_str(), |end| &name[..end + 4]);
                steps.push(format!("{verb}{stem}"));
            }
        }
    }
    let expected = [
        "+.oauth_refresh.lock",
        "+.claude.lock",
        "+.storage-write.lock",
        "+.credentials.json.tmp",
        "+.credentials.json",
        "-.storage-write.lock",
        "-.claude.lock",
        "-.oauth_refresh.lock",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn login_restored_under_a_lock_is_used_by_a_waiting_client() {
    for lock in [REFRESH_LOCK, HOME_LOCK] {
        let fixture = fixture();
        let alice = fixture.create_user("alice").expect("alice");
        sign_in_with_expired_token(&alice, &fixture);
        let held = alice.make_directory(lock).expect("the lock");
        let mut running = alice.claude().start().expect("started");
        // Long enough for a run that does not wait: a refresh takes half a second.
        let request_log =
            fixture.anthropic().wait_for(&Deadline::after(Duration::from_secs(3)), LoggedRequest::is_refresh);
        assert!(!request_log && running.is_running().expect("waitpid"), "{lock} was not respected");
        let good = alice.sign_in().expect("a restored login");
        fs::remove_dir(held).expect("released");
        let output = running.end(LIMIT).expect("an end");
        assert!(output.answered(), "{lock}: {output:?}");
        assert!(fixture.anthropic().requests().iter().any(asked_with(&good.access_token)), "{lock}");
        assert_eq!(
            (refreshes(&fixture), &oauth(&alice)["refreshToken"]),
            (0, &json!(good.refresh_token)),
            "{lock}"
        );
    }
}

#[test]
fn lock_that_is_not_released_prevents_the_request() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    alice.make_directory(REFRESH_LOCK).expect("the lock");
    let begin = Instant::now();
    let output = run(&alice);
    assert!(begin.elapsed() > Duration::from_secs(8), "{:?}", begin.elapsed());
    assert!(
        output.text().starts_with("Failed to refresh OAuth token: another Claude Code process"),
        "{output:?}"
    );
    assert_eq!(fixture.anthropic().essential_requests(), []);
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
}

#[test]
fn untouched_refresh_lock_is_replaced_after_a_minute() {
    for lock in [REFRESH_LOCK, HOME_LOCK] {
        let seconds = age_when_replaced(&fixture(), lock, 57);
        assert!((59.5..70.0).contains(&seconds), "{lock}: {seconds}");
    }
}

#[test]
fn older_client_replaces_a_refresh_lock_after_ten_seconds() {
    for lock in [REFRESH_LOCK, HOME_LOCK] {
        let fixture = ClaudeFixture::with_version(OLDER).unwrap_or_else(|error| panic!("{error}"));
        let seconds = age_when_replaced(&fixture, lock, 5);
        assert!((9.5..20.0).contains(&seconds), "{lock}: {seconds}");
    }
}

#[test]
fn write_lock_is_replaced_after_fifteen_seconds() {
    let seconds = age_when_replaced(&fixture(), WRITE_LOCK, 11);
    assert!((14.5..25.0).contains(&seconds), "{seconds}");
}

#[test]
fn lock_of_the_state_file_is_replaced_after_ten_seconds() {
    for version in [OLDER, NEWEST] {
        let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        for (name, age, is_replaced) in [("alice", 5, false), ("bob", 11, true)] {
            let user = fixture.create_user(name).expect("a user");
            let held = user.make_directory(STATE_FILE_LOCK).expect("the lock");
            set_age(&held, Duration::from_secs(age));
            let run = user.claude().arguments(&["auth", "status"]).run(LIMIT);
            run.unwrap_or_else(|error| panic!("{version}, {age}: {error}"));
            // A client that does not get the lock writes without it, after at most two seconds.
            assert!(user.home().join(".claude.json").exists(), "{version}, {age}");
            assert_eq!(!held.exists(), is_replaced, "{version}, {age}");
        }
    }
}

#[test]
fn write_lock_held_too_long_loses_the_login() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    let held = alice.make_directory(WRITE_LOCK).expect("the lock");
    let mut running = alice.claude().start().expect("started");
    let deadline = Deadline::after(LIMIT);
    while running.is_running().expect("waitpid") && !deadline.is_expired() {
        set_age(&held, Duration::ZERO);
        thread::sleep(Duration::from_secs(1));
    }
    let output = running.end(LIMIT).expect("an end");
    // The server has issued a new pair, and the client has discarded it.
    assert!(!output.answered() && refreshes(&fixture) > 0, "{output:?}");
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
}

/// Leaves a lock that was last touched `age` seconds ago and lets the client refresh. Returns the
/// age in seconds at which the client removed the lock.
fn age_when_replaced(fixture: &ClaudeFixture, lock: &str, age: u64) -> f64 {
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_expired_token(&alice, fixture);
    let held = alice.make_directory(lock).expect("the lock");
    let age = Duration::from_secs(age);
    set_age(&held, age);
    let touched = fs::metadata(&held).and_then(|held| held.modified()).expect("a time");
    let begin = Instant::now();
    let running = alice.claude().start().expect("started");
    let deadline = Deadline::after(Duration::from_secs(30));
    while fs::metadata(&held).and_then(|held| held.modified()).is_ok_and(|time| time == touched) {
        assert!(!deadline.is_expired(), "{lock} was not taken over");
        thread::sleep(Duration::from_millis(5));
    }
    let taken = age + begin.elapsed();
    let output = running.end(LIMIT).expect("an end");
    assert!(output.answered(), "{output:?}");
    taken.as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "the client compares a lock's time with the wall clock")]
fn set_age(lock: &Path, age: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::now() - age);
    File::open(lock).and_then(|lock| lock.set_times(times)).expect("the time of the lock is set");
}
