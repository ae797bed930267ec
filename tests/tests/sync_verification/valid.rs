//! Valid credentials.

use std::fs;
use std::os::unix::fs::chown;

use cas_tests::anthropic::MessageAnswer::UsageLimited;
use cas_tests::anthropic::fingerprint;
use cas_tests::claude_client::{ClaudeUser, NEWEST, OLDER};

use super::*;

#[test]
fn valid_login_is_verified_and_backed_up_once() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in(&fixture, &alice, 8);
    let text = alice.credentials_text().expect("a file");

    let first = sync(&alice);
    assert_eq!(first.exit_code, OK_MESSAGE, "{}{}", first.stdout, first.stderr);
    assert!(
        first.stdout.contains("verified by inference; backed up to the local history"),
        "{}",
        first.stdout
    );
    assert_eq!(backed_up(&alice), std::slice::from_ref(&login.refresh_token));
    assert_eq!((asked_with(&fixture, &login.access_token), refreshes(&fixture)), (1, 0));

    let before = file_states(&alice);
    let second = sync(&alice);
    assert_eq!(second.exit_code, OK_MESSAGE);
    assert!(!second.stdout.contains("backed up"), "{}", second.stdout);
    assert_eq!(file_states(&alice), before, "nothing new is nothing to write");
    assert_eq!(alice.credentials_text().expect("a file"), text, "a probe by value changes no file");
    // The client's files are elsewhere: the home has only the user's files and those of the
    // product.
    assert_eq!(alice.list_directory(".claude").expect("a directory"), [".credentials.json"]);
    assert_eq!(alice.list_directory("").expect("a home"), [".claude", ".local", "tmp"]);
}

#[test]
fn expired_login_is_refreshed_by_the_client_and_backed_up() {
    for version in [NEWEST, OLDER] {
        let fixture = fixture_with(version);
        let alice = fixture.create_user("alice").expect("alice");
        let spent = sign_in(&fixture, &alice, -1);

        let output = sync(&alice);

        assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
        assert!(
            output.stdout.starts_with("OK ") && output.stdout.contains("verified by inference"),
            "{}",
            output.stdout
        );
        assert_eq!(refreshes(&fixture), 1, "{version}");
        let new = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
        assert_ne!(new, spent.refresh_token);
        assert!(backed_up(&alice).contains(&new) && has_sibling(&alice), "{version}");
        // No session, no settings, no lock is left. The client's own caches in a home are not
        // checked.
        for name in alice.list_directory(".claude").expect("a directory") {
            assert!(!name.ends_with(".lock") && name != "projects", "{version}: {name}");
        }
        assert!(output.stderr.is_empty(), "{}", output.stderr);

        fixture.anthropic().forget_requests();
        let again = sync(&alice);
        assert_eq!((again.exit_code, refreshes(&fixture)), (OK_MESSAGE, 0), "{}", again.stdout);
    }
}

#[test]
fn login_with_a_reached_limit_is_valid() {
    for version in [NEWEST, OLDER] {
        let fixture = fixture_with(version);
        let alice = fixture.create_user("alice").expect("alice");
        let login = sign_in(&fixture, &alice, 8);
        fixture.anthropic().answer_messages(&login.access_token, Some(UsageLimited));
        let output = sync(&alice);
        assert_eq!(output.exit_code, OK_MESSAGE, "{version}: {}", output.stdout);
        assert!(
            output.stdout.starts_with("OK ") && output.stdout.contains("limit"),
            "{version}: {}",
            output.stdout
        );
        assert_eq!(backed_up(&alice), [login.refresh_token], "{version}");
    }
}

#[test]
fn setup_token_is_verified_and_the_login_not_changed() {
    const TOKEN: &str = "sk-ant-oat01-alices_setup-token";
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in(&fixture, &alice, -1); // expired: a client that used it would refresh it
    keep_setup_token(&alice, TOKEN);
    fixture.anthropic().accept_setup_token(TOKEN);
    let before = file_states(&alice);

    let output = sync(&alice);

    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("OK setup-token in use, verified by inference"), "{}", output.stdout);
    let requests: Vec<_> =
        fixture.anthropic().essential_requests().into_iter().filter_map(|request| request.token).collect();
    assert_eq!(requests, [fingerprint(TOKEN)]);
    let after = file_states(&alice);
    assert_eq!(before[&alice.credentials_file()], after[&alice.credentials_file()]);
}

/// Writes a setup token to the env file of a user.
pub(super) fn keep_setup_token(user: &ClaudeUser<'_>, token: &str) {
    let directory = user.home().join(".config/claude-auth-sync");
    fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("claude-oauth.env");
    cas_tests::write_private(&file, &format!("CLAUDE_CODE_OAUTH_TOKEN={token}"));
    for path in [&user.home().join(".config"), &directory, &file] {
        chown(path, Some(user.uid()), Some(user.uid())).expect("owned by the user");
    }
}

#[test]
fn login_in_another_directory_is_refreshed_there() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in(&fixture, &alice, -1);
    let elsewhere = alice.make_directory("elsewhere").expect("a directory");
    let file = elsewhere.join(".credentials.json");
    fs::rename(alice.credentials_file(), &file).expect("moved");

    let invocation = alice.sync().variable("CLAUDE_CREDENTIALS_FILE", &file.display().to_string());
    let output = invocation.run(LIMIT).expect("an end");

    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert_eq!(refreshes(&fixture), 1);
    let text = fs::read_to_string(&file).expect("a login");
    assert!(text.contains("sk-ant-ort01-alice-1-2") && text.contains(SIBLING), "{text}");
    assert!(!alice.credentials_file().exists());
    assert_eq!(
        alice.list_directory(".claude").expect("a directory"),
        [""; 0],
        "the usual place is left alone"
    );
}
