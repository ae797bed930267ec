//! The administrator's notify command runs once per change, as the user, without a secret, and its
//! result changes nothing.

use std::os::unix::fs::PermissionsExt;

use cas_tests::anthropic::MessageAnswer::Overloaded;

use super::*;

/// Installs a program with this text as the notify command.
fn configure_notify(fixture: &ClaudeFixture, user: &ClaudeUser<'_>, script: &str) {
    let program = user.home().join("program");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    fixture
        .configure_also(&format!("[notify]\ncommand = [{program:?}, \"an argument\"]\n"))
        .expect("configured");
}

fn take(user: &ClaudeUser<'_>, name: &str) -> String {
    let file = user.home().join(name);
    let text = fs::read_to_string(&file).unwrap_or_default();
    drop(fs::remove_file(file));
    text
}

#[test]
fn notify_runs_once_per_change_as_the_user_without_secrets() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    configure_notify(
        &fixture,
        &alice,
        "env >>$HOME/environment
         echo \"$1: $CLAUDE_AUTH_STATE_BEFORE, $CLAUDE_AUTH_STATE, $CLAUDE_AUTH_REASON, $CLAUDE_AUTH_USER, $(id -u)\" >>$HOME/told
         cat >>$HOME/told",
    );
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(take(&alice, "told"), "", "nothing has changed");

    assert!(fixture.anthropic().revoke(&login.family), "it was signed in a moment ago");
    for _ in 0..2 {
        assert_eq!(sync(&alice).exit_code, SIGN_IN);
    }
    let report = take(&alice, "told");
    let (facts, text) = report.split_once('\n').expect("two lines");
    assert_eq!(facts, format!("an argument: none, action-required, login-lost, alice, {}", alice.uid()));
    assert_eq!(
        text,
        fs::read_to_string(alice.state_file("notice")).expect("a notice"),
        "once, and the same words"
    );

    let next = sign_in(&fixture, &alice, 8);
    fixture.anthropic().answer_messages(&next.access_token, Some(Overloaded));
    assert_eq!(alice.login().run(LIMIT).expect("an end").exit_code, OK_MESSAGE);
    assert_eq!(take(&alice, "told"), "", "a login does not notify");
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    let report = take(&alice, "told");
    assert!(report.starts_with("an argument: action-required, none, , alice, "), "{report}");
    assert!(report.ends_with("there is nothing left for you to do\n"), "{report}");

    let environment = take(&alice, "environment");
    assert!(environment.contains("CLAUDE_AUTH_STATUS=FAIL\n"), "{environment}");
    for secret in [&login.access_token, &login.refresh_token, &next.access_token, &next.refresh_token] {
        assert!(!environment.contains(secret.as_str()) && !report.contains(secret.as_str()), "{environment}");
    }
    assert!(!environment.contains("NODE_EXTRA_CA_CERTS") && !environment.contains("VAULT"), "{environment}");
}

#[test]
fn failing_notify_command_is_logged() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    configure_notify(&fixture, &alice, "exit 3");
    assert!(fixture.anthropic().revoke(&login.family), "it was signed in a moment ago");
    let output = sync(&alice);
    assert_eq!(output.exit_code, SIGN_IN, "{}", output.stdout);
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    assert!(
        output.stderr.starts_with("cas-sync: notify.command: ") && output.stderr.contains("exit status: 3"),
        "{}",
        output.stderr
    );
    assert!(
        fs::read_to_string(alice.state_file("notice")).is_ok_and(|text| text.contains("your login is lost"))
    );
    let log = fs::read_to_string(alice.state_file("sync.log")).expect("a log");
    let last: Vec<_> = log.lines().rev().take(2).collect();
    assert!(last[0].contains(" WARN notify.command: ") && last[1].contains(" FAIL "), "{last:?}");
    assert!(sync(&alice).stderr.is_empty(), "nor is it tried again");
}
