//! Many concurrent clients of one user, with every program of the product.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cas_tests::anthropic::{LoggedRequest, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, Invocation, Person, in_hours};
use serde_json::json;

use super::claude::{LIMIT, ask, bed, refresh_token, refreshes, sign_in_stale, watch};

const SESSIONS: usize = 16;

/// Between two runs of the same program.
const PAUSE: Duration = Duration::from_millis(100);

/// What runs over and over beside the sessions, and how often it came to its end.
struct Beside<'bed> {
    what: &'static str,
    invocation: Invocation<'bed>,
    runs: AtomicUsize,
}

impl<'bed> Beside<'bed> {
    fn new(what: &'static str, invocation: Invocation<'bed>) -> Self {
        Self { what, invocation, runs: AtomicUsize::new(0) }
    }

    /// Exit status 75 means that Claude Code is refreshing, or that the result is inconclusive:
    /// nothing was written then.
    fn run_until(&self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let said = self.invocation.run(LIMIT).unwrap_or_else(|error| panic!("{}: {error}", self.what));
            let is_calm = matches!(said.exit_code, Some(0 | 75)) && !said.stdout.contains("RECOVERED");
            assert!(is_calm, "{}: {said:?}{}", self.what, said.stdout);
            self.runs.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PAUSE); // for others to have a turn
        }
    }
}

/// Says that it is over, also where an assertion has failed: the others would go on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sixteen_sessions_with_an_expired_token_refresh_once() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let (mut watcher, _) = watch(&alice);
    let beside = [
        Beside::new("the sync", alice.sync()),
        Beside::new("what the watcher starts", alice.sync().arguments(&["run", "--no-verify"])),
        Beside::new("a login", alice.login()),
    ];
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&over);
        for beside in &beside {
            scope.spawn(|| beside.run_until(&over));
        }
        rotate(&bed, &alice);
    });
    for Beside { what, runs, .. } in &beside {
        assert!(runs.load(Ordering::Relaxed) > 2, "{what} ran {runs:?} times");
    }
    assert!(watcher.is_running().expect("it is ours to wait for"));

    // All clients are still logged in, and the last login is backed up.
    bed.anthropic().forget_requests();
    let said = alice.sync().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert!(said.exit_code == Some(0) && said.stdout.contains("verified by inference"), "{}", said.stdout);
    assert!(ask(&alice).answered());
    assert_eq!(refreshes(&bed), 0);
    let history = std::fs::read_to_string(alice.state_file("history.json")).expect("a history");
    assert!(history.contains(&refresh_token(&alice)));
}

/// One token request per rotation, from any client: no refresh token is presented twice.
fn rotate(bed: &ClaudeFixture, alice: &Person<'_>) {
    let login = sign_in_stale(bed, alice);
    assert_eq!(refresh_in_sixteen_sessions(bed, alice), [fingerprint(&login.refresh_token)]);

    // Once more by the clock of the client, which reads how long a token lasts in the file.
    let before = fingerprint(&refresh_token(alice));
    let mut file = alice.credentials().expect("a file of JSON");
    file["claudeAiOauth"]["expiresAt"] = json!(in_hours(-1));
    bed.anthropic().forget_requests();
    alice.write_credentials(&file).expect("written");
    assert_eq!(refresh_in_sixteen_sessions(bed, alice), [before]);

    // The server's log agrees. A client may refresh a login that another client has just refreshed,
    // if the former token is reported as expired; but that is another rotation.
    let before = fingerprint(&refresh_token(alice));
    bed.anthropic().forget_requests();
    assert!(bed.anthropic().expire(&login.family));
    let exchanged = refresh_in_sixteen_sessions(bed, alice);
    assert_eq!(exchanged.first(), Some(&before));
    let distinct: BTreeSet<_> = exchanged.iter().collect();
    assert_eq!(distinct.len(), exchanged.len(), "{exchanged:?}");
}

/// The refresh tokens that were presented while so many sessions asked one question each and all of
/// them had an answer.
fn refresh_in_sixteen_sessions(bed: &ClaudeFixture, alice: &Person<'_>) -> Vec<String> {
    let sessions: Vec<_> = (0..SESSIONS).map(|_| alice.claude().start().expect("started")).collect();
    for session in sessions {
        let said = session.end(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        assert!(said.answered(), "{said:?}");
    }
    let requests = bed.anthropic().requests();
    requests.into_iter().filter(LoggedRequest::is_refresh).filter_map(|request| request.token).collect()
}
