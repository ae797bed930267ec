//! Background sessions, which the supervisor of `claude --bg` starts: the credential that they use
//! after a repair.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::chown;
use std::time::Instant;

use cas_tests::wait_until;

use super::*;

/// A user with a directory that the client trusts; a session needs one.
struct Workplace<'fixture> {
    fixture: &'fixture ClaudeFixture,
    user: ClaudeUser<'fixture>,
}

impl<'fixture> Workplace<'fixture> {
    fn new(fixture: &'fixture ClaudeFixture) -> Self {
        let user = fixture.create_user("alice").expect("a user");
        let project = user.make_directory("project").expect("a project");
        let state = json!({
            "hasCompletedOnboarding": true,
            "projects": { project.display().to_string(): { "hasTrustDialogAccepted": true } },
        });
        let file = user.home().join(".claude.json");
        fs::write(&file, state.to_string()).expect("a state file");
        chown(&file, Some(user.uid()), Some(user.uid())).expect("an owner");
        let client = fixture.client().display().to_string();
        let there = "#!/bin/sh\ncd \"$HOME/project\" &&";
        fixture.install("in-project", &format!("{there} exec {client} \"$@\"\n")).expect("a script");
        let attach = format!("{there} exec script -qfc \"{client} attach $1\" /dev/null\n");
        fixture.install("attach", &attach).expect("a script");
        Self { fixture, user }
    }

    /// Runs the client in the project, with this setup token in its environment.
    fn run(&self, token: Option<&str>, arguments: &[&str]) -> ClientOutput {
        let client = self.user.claude().program("in-project").arguments(arguments);
        let client = token.iter().fold(client, |client, token| client.variable(TOKEN, token));
        client.run(LIMIT).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a session in the background, and waits for its first answer. Returns its id.
    fn start_session(&self, token: Option<&str>, question: &str, credential: &str) -> String {
        self.fixture.anthropic().forget_requests();
        let output = self.run(token, &["--bg", question, "--model", "haiku"]);
        let line = output.stdout.lines().next().unwrap_or_default();
        let id = line.rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(line.starts_with("backgrounded"), "{output:?}");
        wait_until("a message", || self.has_arrived(credential));
        wait_until("an idle session", || self.session(&id)["tempo"] == "idle");
        id
    }

    /// What the client has recorded of a session.
    fn session(&self, id: &str) -> Value {
        let file = self.user.home().join(".claude/jobs").join(id).join("state.json");
        serde_json::from_str(&fs::read_to_string(file).unwrap_or_default()).unwrap_or_default()
    }

    /// Opens a session in a terminal, and sends it messages until the condition holds: what is
    /// typed before the session has started is lost.
    fn send_messages_until(&self, id: &str, token: Option<&str>, what: &str, condition: impl Fn() -> bool) {
        self.fixture.anthropic().forget_requests();
        let client = self.user.claude().program("attach").arguments(&[id]).variable("TERM", "xterm");
        let client = token.iter().fold(client, |client, token| client.variable(TOKEN, token));
        let terminal = RefCell::new(client.start_with_input().expect("a terminal"));
        let typed = Cell::new(Instant::now());
        wait_until("a prompt", || terminal.borrow().stdout().contains('❯'));
        wait_until(what, || {
            if typed.get().elapsed() > Duration::from_secs(2) {
                terminal.borrow_mut().write_line("once more\r").expect("typed");
                typed.set(Instant::now());
            }
            condition()
        });
        terminal.into_inner().kill();
    }

    /// Returns true if this credential has arrived in a request for inference.
    fn has_arrived(&self, credential: &str) -> bool {
        let wanted = fingerprint(credential);
        let requests = self.fixture.anthropic().requests();
        requests.iter().any(|request| request.is_message() && request.token.as_ref() == Some(&wanted))
    }
}

impl Drop for Workplace<'_> {
    fn drop(&mut self) {
        self.run(None, &["daemon", "stop", "--any"]);
    }
}

const TOKEN: &str = "CLAUDE_CODE_OAUTH_TOKEN";

#[test]
fn background_session_uses_a_restored_login_at_its_next_message() {
    let fixture = fixture();
    let place = Workplace::new(&fixture);
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
    place.user.write_credentials(&document(&login, 8)).expect("a login");
    let id = place.start_session(None, "Reply with AUTH_OK.", &login.access_token);
    let log = place.user.home().join(".claude/daemon.log");
    let log = fs::read_to_string(log).expect("a log");
    assert!(log.contains("scheduling proactive refresh in 28"), "it refreshes by itself: {log}");

    place.user.write_credentials(&json!({"claudeAiOauth": cleared_login()})).expect("a cleared login");
    let is_blocked = || place.session(&id)["state"] == "blocked";
    place.send_messages_until(&id, None, "a session that waits", is_blocked);
    let needs = place.session(&id)["needs"].as_str().unwrap_or_default().to_owned();
    assert!(needs.contains("login required"), "{needs}");

    place.user.write_credentials(&document(&login, 8)).expect("a restored login");
    let output = place.run(None, &["respawn", "--all"]);
    assert!(output.stdout.contains(&format!("restarted {id}")), "{output:?}");
    assert!(is_blocked(), "a restart alone does not continue it");
    place.send_messages_until(&id, None, "a message", || place.has_arrived(&login.access_token));
    wait_until("a session that works", || place.session(&id)["state"] == "working");
}

#[test]
fn background_sessions_have_the_setup_token_of_their_supervisor() {
    let fixture = fixture();
    let place = Workplace::new(&fixture);
    let [old, new] = ["sk-ant-oat01-setup-A", "sk-ant-oat01-setup-B"];
    fixture.anthropic().accept_setup_token(old);
    fixture.anthropic().accept_setup_token(new);
    let id = place.start_session(Some(old), "Reply with AUTH_OK.", old);
    place.start_session(Some(new), "Reply with AUTH_OK again.", old);
    assert!(!place.has_arrived(new), "the new token is not used");

    let output = place.run(Some(new), &["daemon", "stop", "--any"]);
    assert!(output.stdout.starts_with("stopped"), "{output:?}");
    place.send_messages_until(&id, Some(new), "a message with the new token", || place.has_arrived(new));
}
