//! The client in the directories of version managers, which the `PATH` of a service does not have.

use std::os::unix::fs::{chown, symlink};

use cas_tests::anthropic::MessageAnswer;

use super::*;

/// Links the client of the fixture into a directory of the user's home.
fn install(fixture: &ClaudeFixture, alice: &ClaudeUser<'_>, directory: &str) {
    let directory = alice.home().join(directory);
    fs::create_dir_all(&directory).expect("a directory");
    symlink(fixture.client(), directory.join("claude")).expect("a link");
}

#[test]
fn client_of_a_version_manager_verifies_the_login() {
    for directory in [
        ".nvm/versions/node/v22.11.0/bin",
        ".bun/bin",
        ".npm-global/bin",
        ".volta/tools/image/packages/@anthropic-ai/claude-code/bin",
        ".local/share/mise/installs/node/22.11.0/bin",
        ".asdf/installs/nodejs/22.11.0/bin",
    ] {
        let fixture = fixture();
        fixture.configure_without_program().expect("a configuration");
        let alice = fixture.create_user("alice").expect("alice");
        sign_in(&fixture, &alice, 8);
        assert_eq!(sync(&alice).exit_code, CLAUDE_UNUSABLE, "{directory}: no program is there");
        install(&fixture, &alice, directory);
        let output = sync(&alice);
        assert_eq!(output.exit_code, OK_MESSAGE, "{directory}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.contains("verified by inference"), "{directory}: {}", output.stdout);
    }
}

/// A program of another user would get the token.
#[test]
fn client_of_another_user_is_not_started() {
    let fixture = fixture();
    fixture.configure_without_program().expect("a configuration");
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in(&fixture, &alice, 8);
    fixture.anthropic().answer_messages(&login.access_token, Some(MessageAnswer::Ok));
    install(&fixture, &alice, ".bun/bin");
    let program = alice.home().join(".bun/bin/claude");
    fs::remove_file(&program).expect("the link");
    fs::copy(fixture.client(), &program).expect("a copy");
    chown(&program, Some(1), Some(1)).expect("another user's");
    let output = sync(&alice);
    assert_eq!(output.exit_code, CLAUDE_UNUSABLE, "{}", output.stdout);
    assert_eq!(asked_with(&fixture, &login.access_token), 0, "{}", output.stdout);
}
