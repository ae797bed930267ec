//! `claude auth login` without a browser: its output, its input, and the files it writes.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{Account, RevokeAnswer};
use cas_tests::claude_client::{
    BackgroundRun, ClaudeFixture, ClaudeUser, Invocation, now_in_milliseconds, state_of_sign_in,
};
use cas_tests::claude_login::parsed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{LIMIT, fixture};

const CODE: &str = "the-code-of-the-browser";
const DAY_MS: i64 = 86_400_000;

/// Returns each client of this user, prepared to sign in with its own files in a directory, and the
/// directory.
fn clients<'fixture>(user: &ClaudeUser<'fixture>) -> Vec<(Invocation<'fixture>, PathBuf)> {
    let with_directory = |(client, name): (Invocation<'fixture>, &str)| {
        let directory = user.make_directory(name).expect("a directory");
        let arguments = ["auth", "login", "--claudeai", "--sso", "--email=alice@example.org"];
        let variable = directory.to_str().expect("text").to_owned();
        let client = client.arguments(&arguments).variable("CLAUDE_CONFIG_DIR", &variable);
        (client.variable("BROWSER", "/bin/true"), directory)
    };
    [(user.claude(), "newest"), (user.older_claude(), "older")].map(with_directory).into()
}

/// Waits until the output has the sign-in URL, in a line of its own.
#[track_caller]
fn sign_in_url(started: &BackgroundRun) -> String {
    let deadline = Deadline::after(LIMIT);
    loop {
        let output = started.stdout();
        if let Some(line) =
            output.split_inclusive('\n').find(|line| line.contains("https://") && line.ends_with('\n'))
        {
            return line[line.find("https://").expect("it is there")..].trim_end().to_owned();
        }
        assert!(!deadline.is_expired(), "no address: {output}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn state_in(address: &str) -> &str {
    state_of_sign_in(address).unwrap_or_else(|| panic!("no state: {address}"))
}

/// Signs in and returns the output.
fn signed_in(fixture: &ClaudeFixture, client: &Invocation<'_>) -> String {
    fixture.anthropic().show_code(CODE, Account::personal());
    let mut started = client.start_with_input().expect("started");
    let address = sign_in_url(&started);
    started.write_line(&format!("{CODE}#{}", state_in(&address))).expect("it listens");
    let output = started.end(LIMIT).expect("an end");
    assert_eq!(output.exit_code, Some(0), "{}{}", output.stdout, output.stderr);
    address
}

fn read(path: PathBuf) -> Value {
    parsed(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[test]
fn sign_in_prints_its_url_and_reads_the_code_from_a_pipe() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (client, directory) in clients(&alice) {
        let address = signed_in(&fixture, &client);
        assert!(!address.contains(' ') && address.contains("login_hint=alice%40example.org"), "{address}");
        assert!(address.contains("login_method=sso"), "{address}");
        let login = read(directory.join(".credentials.json"))["claudeAiOauth"].take();
        let account = Account::personal();
        let (names, lapses) =
            ([&login["accountUuid"], &login["organizationUuid"]], &login["refreshTokenExpiresAt"]);
        if directory.ends_with("older") {
            assert_eq!((names, lapses), ([&Value::Null; 2], &Value::Null), "{login}");
        } else {
            assert_eq!(names, [&json!(account.uuid), &json!(account.organization)]);
            let ahead = lapses.as_i64().expect("a time") - now_in_milliseconds();
            assert!((29 * DAY_MS..=30 * DAY_MS).contains(&ahead), "{login}");
        }
        let state = read(directory.join(".claude.json"));
        let signed_in = &state["oauthAccount"];
        assert_eq!(
            (&signed_in["accountUuid"], &signed_in["organizationUuid"]),
            (&json!(account.uuid), &json!(account.organization))
        );
        assert_eq!(state["oauthAccount"]["emailAddress"], json!(account.email));
        assert_eq!(state.get("hasCompletedOnboarding"), None, "{state}");
        assert!(!alice.home().join(".claude.json").exists() && !alice.credentials_file().exists());
    }
}

#[test]
fn refused_code_leaves_no_login() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (client, directory) in clients(&alice) {
        let mut started = client.start_with_input().expect("started");
        let address = sign_in_url(&started);
        started.write_line(&format!("nonsense#{}", state_in(&address))).expect("it listens");
        let output = started.end(LIMIT).expect("an end");
        assert_eq!(output.exit_code, Some(1), "{}", output.stdout);
        assert!(!output.stderr.trim().is_empty(), "{}", output.stdout);
        assert!(!directory.join(".credentials.json").exists());
    }
}

#[test]
fn sign_in_that_is_interrupted_exits_with_success() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (client, _) in clients(&alice) {
        let mut started = client.start_with_input().expect("started");
        sign_in_url(&started);
        thread::sleep(Duration::from_secs(1));
        assert!(started.is_running().expect("a child"));
        kill(Pid::from_raw(i32::try_from(started.pid()).expect("a pid")), Signal::SIGINT).expect("sent");
        assert_eq!(started.end(LIMIT).expect("an end").exit_code, Some(0));
    }
}

/// Only the debug output of the older client tells it.
#[test]
fn sign_out_that_is_not_confirmed_exits_with_success() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (client, directory) in clients(&alice) {
        for answer in [RevokeAnswer::Revoke, RevokeAnswer::InternalError, RevokeAnswer::Disconnect] {
            signed_in(&fixture, &client);
            fixture.anthropic().answer_revocations(answer);
            let logout = client.clone().arguments(&["--debug-to-stderr", "auth", "logout"]);
            let output = logout.run(LIMIT).expect("an end");
            let is_revoked = answer == RevokeAnswer::Revoke;
            let is_older = directory.ends_with("older");
            assert_eq!(output.exit_code, Some(0), "{answer:?}: {}", output.stdout);
            assert_eq!(
                output.stdout.contains("Successfully logged out"),
                is_revoked || is_older,
                "{}",
                output.stdout
            );
            assert_eq!(output.stderr.contains("OAuth token revoke failed"), !is_revoked, "{}", output.stderr);
            assert!(output.stderr.contains("[DEBUG]") && !directory.join(".credentials.json").exists());
        }
    }
}

#[test]
fn sign_out_revokes_the_login_at_the_server() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (client, directory) in clients(&alice) {
        signed_in(&fixture, &client);
        let token = read(directory.join(".credentials.json"))["claudeAiOauth"]["accessToken"].take();
        let with_token = alice.claude().variable("CLAUDE_CODE_OAUTH_TOKEN", token.as_str().expect("a token"));
        assert!(with_token.run(LIMIT).expect("an end").answered());
        let output = client.arguments(&["auth", "logout"]).run(LIMIT).expect("an end");
        assert_eq!(output.exit_code, Some(0), "{}{}", output.stdout, output.stderr);
        assert!(!directory.join(".credentials.json").exists());
        assert!(!with_token.run(LIMIT).expect("an end").answered(), "the server takes it no more");
    }
}
