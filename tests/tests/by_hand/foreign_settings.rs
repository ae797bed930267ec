//! Project settings that belong to another user: they never make the answer weaker, and no command
//! tells the user to change them.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::test_user::UID;

use super::*;

const BOB: u32 = UID + 1;

const KEY: &str = r#"{"env":{"ANTHROPIC_API_KEY":"sk-of-bob"}}"#;

/// Adds bob and creates a directory in which every user can create files, as `/tmp`.
fn shared_directory(test_user: &TestUser) -> PathBuf {
    let accounts = fs::OpenOptions::new().append(true).open(test_user.folder().join("etc/passwd"));
    writeln!(accounts.expect("the accounts"), "bob:x:{BOB}:{BOB}::/nonexistent:/bin/false").expect("written");
    let shared = test_user.folder().join("shared");
    fs::create_dir(&shared).expect("a directory");
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).expect("a mode");
    shared
}

/// Creates a file of bob's, with its directory.
fn put_of_bob(path: &Path, content: &str) {
    let directory = path.parent().expect("a directory");
    fs::create_dir_all(directory).expect("a directory");
    fs::write(path, content).expect("a file");
    for path in [directory, path] {
        chown(path, Some(BOB), Some(BOB)).expect("given");
    }
}

/// Runs `cas-sync` in this directory as the user.
fn in_directory(test_user: &TestUser, directory: &Path, words: &str) -> CommandOutput {
    let arguments: Vec<_> = words.split_whitespace().collect();
    let mut command = test_user.command(&test_user.program("cas-sync"), &arguments);
    command.current_dir(directory);
    let ended = test_user.output(command);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    CommandOutput { code: ended.status.code(), out: text(&ended.stdout), err: text(&ended.stderr) }
}

/// Loses the login, so that every command requires a sign-in.
fn lose_login(test_user: &TestUser) {
    test_user.put(LOGIN, &cleared_login(&new_login("first")));
    test_user.sync();
}

/// Returns the directories in which a file of bob's counts: his `.claude` beside it, that above it
/// where he has a repository, a link in his directory to a file of the user's, and a directory that
/// every user can write.
fn directories(test_user: &TestUser) -> Vec<(PathBuf, &'static str)> {
    let shared = shared_directory(test_user);
    put_of_bob(&shared.join("a/.claude/settings.json"), KEY);
    put_of_bob(&shared.join("b/.git/HEAD"), "");
    put_of_bob(&shared.join("b/.claude/settings.local.json"), KEY);
    fs::create_dir(shared.join("b/own")).expect("a directory");
    test_user.put("key.json", KEY);
    put_of_bob(&shared.join("c/.claude/other.json"), KEY);
    symlink(test_user.path("key.json"), shared.join("c/.claude/settings.json")).expect("a link");
    let open = shared.join("d/.claude/settings.json");
    put_of_bob(&open, KEY);
    for path in [shared.join("b/own"), open.parent().expect("a directory").into(), open] {
        chown(path, Some(UID), Some(UID)).expect("given");
    }
    fs::set_permissions(shared.join("d"), Permissions::from_mode(0o777)).expect("a mode");
    vec![
        (shared.join("a"), "/.claude belongs to bob"),
        (shared.join("b/own"), "/.claude belongs to bob"),
        (shared.join("c"), "/.claude belongs to bob"),
        (shared.join("d"), "every user can write to "),
    ]
}

#[test]
fn settings_of_another_user_keep_a_required_sign_in() {
    let test_user = TestUser::create();
    lose_login(&test_user);
    for (directory, owner) in directories(&test_user) {
        for word in ["check", "verify", "status"] {
            let found = in_directory(&test_user, &directory, word);
            let text = format!("{}{}", found.out, found.err);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(found.code, Some(79), "{word} in {}: {text}", directory.display());
            for part in
                ["ANTHROPIC_API_KEY in .claude/settings.", owner, "start `claude` in another directory"]
            {
                assert!(text.contains(part), "{word} in {}, {part}: {text}", directory.display());
            }
        }
    }
}

#[test]
fn no_command_changes_settings_of_another_user() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("first"));
    test_user.sync();
    for (directory, owner) in directories(&test_user) {
        let text = in_directory(&test_user, &directory, "doctor").out;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["ANTHROPIC_API_KEY is set in", owner, "start `claude` in another directory"] {
            assert!(text.contains(part), "{}, {part}: {text}", directory.display());
        }
        assert!(!text.contains("sed "), "{}: {text}", directory.display());
        in_directory(&test_user, &directory, "check").expect(1, &[owner, "another directory"]);
    }
    // The user's own file has a command.
    let own = test_user.folder().join("shared/e/.claude/settings.json");
    put_of_bob(&own, KEY);
    for path in own.ancestors().take(3) {
        chown(path, Some(UID), Some(UID)).expect("given");
    }
    let directory = test_user.folder().join("shared/e");
    assert!(in_directory(&test_user, &directory, "doctor").out.contains("sed "));
    in_directory(&test_user, &directory, "check").expect(1, &["run `cas-sync doctor`"]);
}

#[test]
fn login_is_verified_beside_settings_of_another_user() {
    let (test_user, file) = signed_in(20);
    test_user.sync();
    let directory = shared_directory(&test_user);
    put_of_bob(&directory.join(".claude/settings.json"), KEY);
    in_directory(&test_user, &directory, "verify").expect(
        1,
        &["verified by inference", "/.claude belongs to bob; start `claude` in another directory"],
    );
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    in_directory(&test_user, &directory, "verify").expect(79, &["rejected", "belongs to bob"]);
    in_directory(&test_user, &directory, "check").expect(79, &["rejected", "belongs to bob"]);
}
