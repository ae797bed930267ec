//! The real client together with the watcher.

use std::thread;
use std::time::Duration;

use cas_tests::anthropic::{Login, Reuse};
use cas_tests::claude_client::{BackgroundRun, ClaudeFixture, ClaudeUser, ClientOutput, NEWEST, in_hours};
use cas_tests::watcher::{Process, eventually};
use serde_json::{Value, json};

/// A timeout far above the duration of every run, so that a slow machine does not fail.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

pub(super) const LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// The number of logouts. Before a restore was an exchange, about one in four was undone.
const LOGOUTS: usize = 12;

pub(super) fn fixture() -> ClaudeFixture {
    ClaudeFixture::with_sync(NEWEST).unwrap_or_else(|error| panic!("{error}"))
}

/// Signs in with an `expiresAt` that the client takes for past, so that it refreshes first.
pub(super) fn sign_in_with_expired_token(fixture: &ClaudeFixture, user: &ClaudeUser<'_>) -> Login {
    let login = fixture.anthropic().sign_in("alice", LIFETIME);
    user.write_credentials(&document(&login)).expect("written");
    login
}

fn document(login: &Login) -> Value {
    json!({"claudeAiOauth": login.oauth_object(in_hours(-1)), "mcpOAuth": {"tracker": {"accessToken": "theirs"}}})
}

/// Starts the watcher, and waits until it watches.
pub(super) fn watch(user: &ClaudeUser<'_>) -> (BackgroundRun, Process) {
    let watcher = user.watch().start().expect("it starts");
    let process = Process::from_pid(watcher.pid());
    process.wait_until_watching(&user.home().join(".claude"));
    (watcher, process)
}

pub(super) fn ask(user: &ClaudeUser<'_>) -> ClientOutput {
    user.claude().run(LIMIT).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn refresh_token(user: &ClaudeUser<'_>) -> String {
    let file = user.credentials().expect("a file of JSON");
    file["claudeAiOauth"]["refreshToken"].as_str().expect("a refresh token").to_owned()
}

/// Returns the same file as a client clears it after its refresh token was rejected.
fn emptied(file: &Value) -> Value {
    let mut file = file.clone();
    for (name, value) in [("accessToken", json!("")), ("refreshToken", json!("")), ("expiresAt", json!(0))] {
        file["claudeAiOauth"][name] = value;
    }
    file
}

pub(super) fn refreshes(fixture: &ClaudeFixture) -> usize {
    fixture.anthropic().requests().iter().filter(|request| request.is_refresh()).count()
}

#[test]
fn login_cleared_by_an_older_client_is_restored_at_once() {
    let fixture = fixture();
    fixture.anthropic().on_reuse(Reuse::IsRefused);
    let alice = fixture.create_user("alice").expect("alice");
    let spent = sign_in_with_expired_token(&fixture, &alice);
    let (_watcher, process) = watch(&alice);
    assert!(ask(&alice).answered());
    let newest = alice.credentials().expect("a file");
    assert_ne!(refresh_token(&alice), spent.refresh_token);
    process.wait_until_idle();

    // An old copy is written again, and the older client finds that its token is consumed.
    alice.write_credentials(&document(&spent)).expect("written");
    let output = alice.older_claude().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(refreshes(&fixture), 2, "{output:?}");
    eventually("the newest login", || alice.credentials().is_ok_and(|found| found == newest));
    let output = ask(&alice);
    assert!(output.answered(), "{output:?}");
    assert_eq!(refreshes(&fixture), 2, "nothing had to be refreshed");
}

#[test]
fn refreshed_login_cleared_at_once_is_kept() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let mut before = sign_in_with_expired_token(&fixture, &alice).refresh_token;
    let (_watcher, _) = watch(&alice);
    for round in 1..=3 {
        fixture.anthropic().forget_requests();
        let session = alice.claude().start().expect("started");
        // A program without locks writes as soon as there is a new login.
        eventually("a refresh", || refresh_token(&alice) != before);
        let good = alice.credentials().expect("a file");
        alice.write_credentials(&emptied(&good)).expect("written");
        eventually("the new login", || alice.credentials().is_ok_and(|found| found == good));
        // Whether this session reads the empty file is random.
        let output = session.end(LIMIT).expect("an end");
        assert_eq!(refreshes(&fixture), 1, "round {round}: {output:?}");
        let output = ask(&alice);
        assert!(output.answered(), "round {round}: {output:?}");
        assert_eq!(refreshes(&fixture), 1, "round {round}");
        before = refresh_token(&alice);
        assert_eq!(good["claudeAiOauth"]["refreshToken"], before);
        let mut stale = good;
        stale["claudeAiOauth"]["expiresAt"] = json!(in_hours(-1));
        alice.write_credentials(&stale).expect("written");
    }
}

#[test]
fn logout_is_not_undone() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    alice.sign_in().expect("signed in");
    let (_watcher, process) = watch(&alice);
    // The client clears the login first and removes the file some milliseconds later, during the
    // restore.
    for _ in 0..LOGOUTS {
        let output = alice.claude().arguments(&["auth", "logout"]).run(LIMIT).expect("an end");
        assert_eq!(output.exit_code, Some(0), "{output:?}");
        process.wait_until_idle();
        thread::sleep(Duration::from_millis(200));
        assert!(!alice.credentials_file().exists(), "{output:?}");
        // The next login is watched again.
        alice.sign_in().expect("signed in");
        process.wait_until_idle();
    }
    let good = alice.credentials().expect("a file");
    alice.write_credentials(&emptied(&good)).expect("written");
    eventually("the new login", || alice.credentials().is_ok_and(|found| found == good));
}
