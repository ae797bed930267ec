//! The administrator's notify command runs once per change, as the user, without a secret, and its
//! result changes nothing.

use std::os::unix::fs::PermissionsExt;

use cas_tests::anthropic::MessageAnswer::Overloaded;

use super::*;

/// Installs a program with this text as the notify command.
fn tell(bed: &ClaudeFixture, person: &Person<'_>, script: &str) {
    let program = person.home().join("program");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    bed.configure_also(&format!("[notify]\ncommand = [{program:?}, \"an argument\"]\n")).expect("configured");
}

fn take(person: &Person<'_>, name: &str) -> String {
    let file = person.home().join(name);
    let text = fs::read_to_string(&file).unwrap_or_default();
    drop(fs::remove_file(file));
    text
}

#[test]
fn notify_runs_once_per_change_as_the_user_without_secrets() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    tell(
        &bed,
        &alice,
        "env >>$HOME/environment
         echo \"$1: $CLAUDE_AUTH_STATE_BEFORE, $CLAUDE_AUTH_STATE, $CLAUDE_AUTH_CAUSE, $CLAUDE_AUTH_USER, $(id -u)\" >>$HOME/told
         cat >>$HOME/told",
    );
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(take(&alice, "told"), "", "nothing has changed");

    assert!(bed.anthropic().revoke(&login.family), "it was signed in a moment ago");
    for _ in 0..2 {
        assert_eq!(sync(&alice).exit_code, SIGN_IN);
    }
    let told = take(&alice, "told");
    let (facts, text) = told.split_once('\n').expect("two lines");
    assert_eq!(facts, format!("an argument: none, action-required, login-lost, alice, {}", alice.uid()));
    assert_eq!(
        text,
        fs::read_to_string(alice.state_file("notice")).expect("a notice"),
        "once, and the same words"
    );

    let next = sign_in(&bed, &alice, 8);
    bed.anthropic().answer_messages(&next.access_token, Some(Overloaded));
    assert_eq!(alice.login().run(LIMIT).expect("an end").exit_code, OK_MESSAGE);
    assert_eq!(take(&alice, "told"), "", "a login tells nobody");
    assert_eq!(sync(&alice).exit_code, TRY_LATER);
    let told = take(&alice, "told");
    assert!(told.starts_with("an argument: action-required, none, , alice, "), "{told}");
    assert!(told.ends_with("there is nothing left for you to do\n"), "{told}");

    let environment = take(&alice, "environment");
    assert!(environment.contains("CLAUDE_AUTH_STATUS=FAIL\n"), "{environment}");
    for secret in [&login.access_token, &login.refresh_token, &next.access_token, &next.refresh_token] {
        assert!(!environment.contains(secret.as_str()) && !told.contains(secret.as_str()), "{environment}");
    }
    assert!(!environment.contains("NODE_EXTRA_CA_CERTS") && !environment.contains("VAULT"), "{environment}");
}

#[test]
fn failing_notify_command_is_logged() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    tell(&bed, &alice, "exit 3");
    assert!(bed.anthropic().revoke(&login.family), "it was signed in a moment ago");
    let said = sync(&alice);
    assert_eq!(said.exit_code, SIGN_IN, "{}", said.stdout);
    assert_eq!(said.stdout.lines().count(), 1, "{}", said.stdout);
    assert!(
        said.stderr.starts_with("cas-sync: notify.command: ") && said.stderr.contains("exit status: 3"),
        "{}",
        said.stderr
    );
    assert!(
        fs::read_to_string(alice.state_file("notice")).is_ok_and(|text| text.contains("your login is lost"))
    );
    let log = fs::read_to_string(alice.state_file("sync.log")).expect("a log");
    let last: Vec<_> = log.lines().rev().take(2).collect();
    assert!(last[0].contains(" WARN notify.command: ") && last[1].contains(" FAIL "), "{last:?}");
    assert!(sync(&alice).stderr.is_empty(), "nor is it tried again");
}
