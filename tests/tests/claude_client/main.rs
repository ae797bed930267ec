//! Facts about the real client on which the design of this project depends:
//! `docs/design/claude-code.md` lists them, each with the name of its test here.

mod answers;
mod background;
mod documentation;
mod locks;
mod login;
mod refresh;
mod settings;
mod sign_in;
mod state_file;

use std::time::Duration;

use cas_tests::anthropic::{LoggedRequest, Login, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, ClientOutput, OLDER, in_hours};
use serde_json::{Value, json};

/// A timeout far above the duration of every run, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(120);

/// The output of the client when it knows that a login is rejected.
const SESSION_EXPIRED: &str = "Failed to authenticate: OAuth session expired and could not be refreshed";
const NOT_LOGGED_IN: &str = "Not logged in";

fn fixture() -> ClaudeFixture {
    ClaudeFixture::start().unwrap_or_else(|error| panic!("{error}"))
}

fn older_fixture() -> ClaudeFixture {
    ClaudeFixture::with_version(OLDER).unwrap_or_else(|error| panic!("{error}"))
}

/// Signs `user` in with an `expiresAt` in the past, so that the client refreshes first.
fn sign_in_with_expired_token(user: &ClaudeUser<'_>, fixture: &ClaudeFixture) -> Login {
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
    user.write_credentials(&document(&login, -1)).expect("the login is written");
    login
}

fn document(login: &Login, hours: i64) -> Value {
    json!({"claudeAiOauth": login.oauth_object(in_hours(hours))})
}

/// Returns the `claudeAiOauth` object of a user's file.
fn oauth(user: &ClaudeUser<'_>) -> Value {
    user.credentials().expect("a file of JSON")["claudeAiOauth"].take()
}

fn cleared_login() -> Value {
    json!({"accessToken": "", "refreshToken": "", "expiresAt": 0, "scopes": ["user:inference"]})
}

fn is_cleared_login(object: &Value) -> bool {
    object["accessToken"] == "" && object["refreshToken"] == "" && object["expiresAt"] == 0
}

fn run(user: &ClaudeUser<'_>) -> ClientOutput {
    user.claude().run(LIMIT).unwrap_or_else(|error| panic!("{error}"))
}

fn refreshes(fixture: &ClaudeFixture) -> usize {
    fixture.anthropic().requests().iter().filter(|request| request.is_refresh()).count()
}

/// Returns true if inference was requested with this token.
fn asked_with(token: &str) -> impl Fn(&LoggedRequest) -> bool {
    let token = fingerprint(token);
    move |request| request.is_message() && request.token.as_ref() == Some(&token)
}
