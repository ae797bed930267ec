//! The result of a real client for a credential file.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use cas_tests::anthropic::fingerprint;
use cas_tests::claude_client::{ClaudeFixture, NEWEST, OLDER, now_in_milliseconds};
use cas_tests::credential_corpus::{Case, Values};

/// Far more than any of these runs takes, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(120);
/// The number of concurrent clients.
const WORKERS: usize = 2;

/// It authenticates with the access token of the file.
pub(crate) const USES_ACCESS_TOKEN: &str = "uses the access token";
/// It exchanges the refresh token of the file first.
pub(crate) const REFRESHES: &str = "refreshes";
/// It reports that there is no login, without a request.
pub(crate) const NOT_LOGGED_IN: &str = "not logged in";
/// It reports that the login has ended, without a request.
pub(crate) const SESSION_EXPIRED: &str = "session expired";
/// It does not start.
pub(crate) const CANNOT_START: &str = "cannot start";
/// It sends something else as the refresh token.
pub(crate) const REFRESHES_ANOTHER_TOKEN: &str = "refreshes with another token";
/// It sends something else as the access token.
pub(crate) const USES_ANOTHER_TOKEN: &str = "uses another token";

/// Returns the answer of the client of `version` to each case, in the order of the cases.
pub(crate) fn answers(version: &str, cases: &[Case]) -> Vec<String> {
    let next = Mutex::new(0..cases.len());
    let found = Mutex::new(vec![String::new(); cases.len()]);
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(cases.len()) {
            scope.spawn(|| {
                let fixture = ClaudeFixture::with_version(NEWEST).unwrap_or_else(|error| panic!("{error}"));
                while let Some(index) = { next.lock().expect("no worker panics").next() } {
                    let answer = answer(&fixture, version, &cases[index], index);
                    found.lock().expect("no worker panics")[index] = answer;
                }
            });
        }
    });
    found.into_inner().expect("no worker panics")
}

fn answer(fixture: &ClaudeFixture, version: &str, case: &Case, index: usize) -> String {
    let user = fixture.create_user(&format!("user{index}")).expect("a user");
    let login = fixture.anthropic().sign_in(&format!("user{index}"), Duration::from_secs(8 * 3600));
    let now = now_in_milliseconds();
    let values = Values { access_token: &login.access_token, refresh_token: &login.refresh_token, now };
    user.write_credentials_bytes(&case.content(&values)).expect("written");
    fixture.anthropic().forget_requests();
    let client = if version == OLDER { user.older_claude() } else { user.claude() };
    let output = client.run(LIMIT).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let requests = fixture.anthropic().essential_requests();
    match requests.first() {
        Some(first) if first.is_refresh() && first.token == Some(fingerprint(&login.refresh_token)) => {
            REFRESHES.to_owned()
        }
        Some(first) if first.is_refresh() => REFRESHES_ANOTHER_TOKEN.to_owned(),
        Some(first) if first.token == Some(fingerprint(&login.access_token)) => USES_ACCESS_TOKEN.to_owned(),
        Some(first) if first.is_message() => USES_ANOTHER_TOKEN.to_owned(),
        Some(first) => format!("asks for {}", first.path),
        None => without_request(output.text(), &output.stderr),
    }
}

fn without_request(text: &str, stderr: &str) -> String {
    if text.starts_with("Not logged in") {
        return NOT_LOGGED_IN.to_owned();
    }
    if text.contains("OAuth session expired") {
        return SESSION_EXPIRED.to_owned();
    }
    // The older client prints nothing.
    if stderr.starts_with("Claude Code could not start") || (text.is_empty() && stderr.is_empty()) {
        return CANNOT_START.to_owned();
    }
    format!("says: {} {}", text.lines().next().unwrap_or_default(), stderr.lines().next().unwrap_or_default())
}
