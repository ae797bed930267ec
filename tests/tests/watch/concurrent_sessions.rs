//! Many concurrent clients of one user, with every program of the product.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cas_tests::anthropic::{LoggedRequest, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, Invocation, in_hours};
use cas_tests::size::sized;
use serde_json::json;

use super::claude::{LIMIT, ask, fixture, refresh_token, refreshes, sign_in_with_expired_token, watch};

/// The interval between two runs of the same program.
const PAUSE: Duration = Duration::from_millis(100);

/// A command that runs repeatedly during the sessions, and the number of its completed runs.
struct BackgroundCommand<'fixture> {
    what: &'static str,
    invocation: Invocation<'fixture>,
    runs: AtomicUsize,
}

impl<'fixture> BackgroundCommand<'fixture> {
    fn new(what: &'static str, invocation: Invocation<'fixture>) -> Self {
        Self { what, invocation, runs: AtomicUsize::new(0) }
    }

    /// Runs until the end of the test. Exit status 75 means that Claude Code is refreshing, or that
    /// the result is inconclusive: nothing was written then.
    fn run_until(&self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let output = self.invocation.run(LIMIT).unwrap_or_else(|error| panic!("{}: {error}", self.what));
            let is_calm = matches!(output.exit_code, Some(0 | 75)) && !output.stdout.contains("RECOVERED");
            assert!(is_calm, "{}: {output:?}{}", self.what, output.stdout);
            self.runs.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PAUSE); // for others to have a turn
        }
    }
}

/// Signals the end, also after a failed assertion; otherwise the others would never end.
struct EndSignal<'a>(&'a AtomicBool);

impl Drop for EndSignal<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn concurrent_sessions_with_an_expired_token_refresh_once() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let (mut watcher, _) = watch(&alice);
    let beside = [
        BackgroundCommand::new("the sync", alice.sync()),
        BackgroundCommand::new("what the watcher starts", alice.sync().arguments(&["run", "--no-verify"])),
        BackgroundCommand::new("a login", alice.login()),
    ];
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = EndSignal(&over);
        for beside in &beside {
            scope.spawn(|| beside.run_until(&over));
        }
        rotate(&fixture, &alice);
    });
    for BackgroundCommand { what, runs, .. } in &beside {
        assert!(runs.load(Ordering::Relaxed) > 2, "{what} ran {runs:?} times");
    }
    assert!(watcher.is_running().expect("the child can be waited for"));

    // All clients are still logged in, and the last login is backed up.
    fixture.anthropic().forget_requests();
    let output = alice.sync().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        output.exit_code == Some(0) && output.stdout.contains("verified by inference"),
        "{}",
        output.stdout
    );
    assert!(ask(&alice).answered());
    assert_eq!(refreshes(&fixture), 0);
    let history = std::fs::read_to_string(alice.state_file("history.json")).expect("a history");
    assert!(history.contains(&refresh_token(&alice)));
}

/// One token request per rotation, from any client: no refresh token is presented twice.
fn rotate(fixture: &ClaudeFixture, alice: &ClaudeUser<'_>) {
    let login = sign_in_with_expired_token(fixture, alice);
    assert_eq!(refresh_in_all_sessions(fixture, alice), [fingerprint(&login.refresh_token)]);

    // Again by the clock of the client, which reads the expiry of a token in the file.
    let before = fingerprint(&refresh_token(alice));
    let mut file = alice.credentials().expect("a file of JSON");
    file["claudeAiOauth"]["expiresAt"] = json!(in_hours(-1));
    fixture.anthropic().forget_requests();
    alice.write_credentials(&file).expect("written");
    assert_eq!(refresh_in_all_sessions(fixture, alice), [before]);

    // The server's log agrees. A client may refresh a login that another client has just refreshed,
    // if the former token is reported as expired; but that is another rotation.
    let before = fingerprint(&refresh_token(alice));
    fixture.anthropic().forget_requests();
    assert!(fixture.anthropic().expire(&login.family));
    let exchanged = refresh_in_all_sessions(fixture, alice);
    assert_eq!(exchanged.first(), Some(&before));
    let distinct: BTreeSet<_> = exchanged.iter().collect();
    assert_eq!(distinct.len(), exchanged.len(), "{exchanged:?}");
}

/// Returns the refresh tokens that were presented while all sessions sent one question each, and
/// got an answer.
fn refresh_in_all_sessions(fixture: &ClaudeFixture, alice: &ClaudeUser<'_>) -> Vec<String> {
    let sessions: Vec<_> = (0..sized(16, 8)).map(|_| alice.claude().start().expect("started")).collect();
    for session in sessions {
        let output = session.end(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        assert!(output.answered(), "{output:?}");
    }
    let requests = fixture.anthropic().requests();
    requests.into_iter().filter(LoggedRequest::is_refresh).filter_map(|request| request.token).collect()
}
