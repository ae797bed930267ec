//! `cas-sync run` with the real client: the result of each answer of the servers, what is written,
//! and what is not.

mod client_state;
mod encrypted_home;
mod expiry_warning;
mod full_disk;
mod inconclusive;
mod installations;
mod interrupted;
mod leaks;
mod moved_login;
mod notice;
mod notify_command;
mod pasted_setup_token;
mod rejected;
mod slow;
mod unusable_client;
mod valid;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use cas_tests::anthropic::{Login, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, ClientOutput, NEWEST, in_hours};
use serde_json::{Value, json};

/// A timeout far above the duration of every run, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(200);

/// Another member of the file.
const SIBLING: &str = "mcp-secret-of-somebody-else";

/// Exit codes of `cas-sync run`.
const OK_MESSAGE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const CLAUDE_UNUSABLE: Option<i32> = Some(69);
const TRY_LATER: Option<i32> = Some(75);
const SIGN_IN: Option<i32> = Some(79);

fn fixture() -> ClaudeFixture {
    fixture_with(NEWEST)
}

fn fixture_with(version: &str) -> ClaudeFixture {
    ClaudeFixture::with_sync(version).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns a user who has just signed in, with a login that a first sync has verified and backed
/// up.
fn signed_in<'fixture>(fixture: &'fixture ClaudeFixture, name: &str) -> (ClaudeUser<'fixture>, Login) {
    let user = fixture.create_user(name).expect("a user");
    let login = sign_in(fixture, &user, 8);
    let output = sync(&user);
    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert!(
        output.stdout.starts_with("OK ") && output.stdout.contains("verified by inference"),
        "{}",
        output.stdout
    );
    fixture.anthropic().forget_requests();
    (user, login)
}

/// Writes a new family of tokens to the user's file, with another member; `hours` is the remaining
/// lifetime that the client sees.
fn sign_in(fixture: &ClaudeFixture, user: &ClaudeUser<'_>, hours: i64) -> Login {
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
    user.write_credentials(&document(&login, hours)).expect("a login");
    login
}

fn document(login: &Login, hours: i64) -> Value {
    let others = json!({"tracker|0123": {"serverName": "tracker", "accessToken": SIBLING}});
    json!({"claudeAiOauth": login.oauth_object(in_hours(hours)), "mcpOAuth": others})
}

fn sync(user: &ClaudeUser<'_>) -> ClientOutput {
    user.sync().run(LIMIT).unwrap_or_else(|error| panic!("{error}"))
}

/// Asserts that an inconclusive run writes nothing, and reports the reason.
#[track_caller]
fn assert_nothing_written(user: &ClaudeUser<'_>, exit_code: Option<i32>, says: &str) -> ClientOutput {
    assert_unchanged(user, "WARN ", exit_code, says)
}

/// Asserts that an obstacle is a failure with a remedy, and that nothing is written.
#[track_caller]
fn assert_obstructed(user: &ClaudeUser<'_>, remedy: &str) -> ClientOutput {
    let output = assert_unchanged(user, "FAIL ", FAILED, remedy);
    assert!(!output.stdout.contains("later"), "{}", output.stdout);
    output
}

#[track_caller]
fn assert_unchanged(user: &ClaudeUser<'_>, status: &str, exit_code: Option<i32>, says: &str) -> ClientOutput {
    let before = file_states(user);
    let output = sync(user);
    let after = file_states(user);
    assert_eq!(output.exit_code, exit_code, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with(status) && output.stdout.contains(says), "{says:?}: {}", output.stdout);
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    assert_eq!(before, after, "{}", output.stdout);
    output
}

/// The state of a file: inode, time of the last write, and content.
type Written = (u64, i64, i64, Vec<u8>);

/// Returns everything that a verification may change, without the reports `state.json` and
/// `sync.log`.
fn file_states(user: &ClaudeUser<'_>) -> BTreeMap<PathBuf, Option<Written>> {
    let env_file = user.home().join(".config/claude-auth-sync/claude-oauth.env");
    let state =
        ["history.json", "ledger.json", "replaced-credentials.json"].map(|name| user.state_file(name));
    let paths = state.into_iter().chain([user.credentials_file(), env_file]);
    paths.map(|path| (path.clone(), written(&path))).collect()
}

fn written(path: &PathBuf) -> Option<Written> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), fs::read(path).ok()?))
}

/// Returns the `claudeAiOauth` object of a user's file.
fn oauth(user: &ClaudeUser<'_>) -> Value {
    user.credentials().expect("a file of JSON")["claudeAiOauth"].take()
}

fn has_sibling(user: &ClaudeUser<'_>) -> bool {
    user.credentials_text().expect("a file").contains(SIBLING)
}

/// Returns the refresh tokens in the local history, newest last.
fn backed_up(user: &ClaudeUser<'_>) -> Vec<String> {
    let text = fs::read_to_string(user.state_file("history.json")).expect("a history");
    let mut tokens: Vec<(usize, String)> = Vec::new();
    let mut start = 0;
    while let Some(found) = text[start..].find("sk-ant-ort01-") {
        let token: String = text[start + found..]
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter))
            .collect();
        start += found + token.len();
        if !tokens.iter().any(|(_, known)| *known == token) {
            tokens.push((start, token));
        }
    }
    tokens.into_iter().map(|(_, token)| token).collect()
}

/// Returns the states in the ledger, by generation.
fn generation_states(user: &ClaudeUser<'_>) -> BTreeMap<String, String> {
    let text = fs::read_to_string(user.state_file("ledger.json")).expect("a ledger");
    let ledger: Value = serde_json::from_str(&text).expect("JSON");
    let generations = ledger["generations"].as_object().cloned().unwrap_or_default();
    generations
        .into_iter()
        .map(|(name, entry)| (name, entry["state"].as_str().unwrap_or("?").to_owned()))
        .collect()
}

fn generation_state(user: &ClaudeUser<'_>, login: &Login) -> String {
    generation_states(user).remove(&fingerprint(&login.refresh_token)).unwrap_or_default()
}

fn refreshes(fixture: &ClaudeFixture) -> usize {
    fixture.anthropic().requests().iter().filter(|request| request.is_refresh()).count()
}

/// Returns the number of requests for inference with this token.
fn asked_with(fixture: &ClaudeFixture, token: &str) -> usize {
    let token = fingerprint(token);
    let with_it = |request: &&cas_tests::anthropic::LoggedRequest| {
        request.is_message() && request.token.as_ref() == Some(&token)
    };
    fixture.anthropic().requests().iter().filter(with_it).count()
}
