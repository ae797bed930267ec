//! An invalid `~/.claude.json`: the sync and the commands name it with the command that corrects
//! it.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use cas_tests::claude_client::{NEWEST, OLDER};
use cas_tests::test_user::{LOGIN, TestUser, UID};

const FILE: &str = ".claude.json";

fn write(test_user: &TestUser, text: &str) {
    test_user.put(FILE, text);
    chown(test_user.path(FILE), Some(UID), Some(UID)).expect("given");
}

/// Returns exit status and output of a command.
fn cas_sync(test_user: &TestUser, words: &[&str]) -> (Option<i32>, String) {
    let output = test_user.output(test_user.command(&test_user.program("cas-sync"), words));
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Asserts that each of them names the file, and none says that all is well. Returns the command
/// that corrects it.
#[track_caller]
fn assert_named(test_user: &TestUser, cause: &str) -> String {
    let path = test_user.path(FILE).display().to_string();
    let mut remedy = String::new();
    for words in [&["run"][..], &["status"], &["check"], &["doctor"]] {
        let (code, text) = cas_sync(test_user, words);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.contains(&path) && line.contains(cause), "{words:?}: {text}");
        assert!(!line.contains("update claude-auth-sync") && !line.starts_with("OK"), "{words:?}: {text}");
        assert_ne!(code, Some(0), "{words:?}: {text}");
        if words == ["check"] {
            let (_, rest) = line.split_once("run `").unwrap_or_else(|| panic!("no command: {text}"));
            remedy = rest.split('`').next().unwrap_or_default().to_owned();
        }
    }
    remedy
}

#[test]
fn unusable_state_file_is_named_with_the_command_that_corrects_it() {
    let test_user = TestUser::create_with_claude_version(NEWEST);
    test_user.sign_in();
    for (content, cause) in [
        ("", "does not start"),
        ("{", "does not start"),
        ("\u{0}\u{fffd}stray", "does not start"),
        ("[]", "replaces it"),
    ] {
        write(&test_user, content);
        let remedy = assert_named(&test_user, cause);
        assert!(remedy.starts_with("mv "), "{remedy}");
        run(&test_user, &remedy);
        assert!(!test_user.path(FILE).exists());
        assert_eq!(cas_sync(&test_user, &["run"]).0, Some(0));
        assert!(!cas_sync(&test_user, &["check"]).1.contains(".claude.json"));
    }
    // With a copy of the client's own.
    let backups = test_user.path(".claude/backups");
    fs::create_dir_all(&backups).expect("a directory");
    fs::write(backups.join(".claude.json.backup.1796055786667"), "{\"numStartups\":3}").expect("written");
    chown(&backups, Some(UID), Some(UID)).expect("given");
    write(&test_user, "{");
    let remedy = assert_named(&test_user, "does not start");
    assert!(remedy.starts_with("cp -f "), "{remedy}");
    run(&test_user, &remedy);
    assert_eq!(test_user.read(FILE).as_deref(), Some(&b"{\"numStartups\":3}"[..]));
    assert_eq!(cas_sync(&test_user, &["run"]).0, Some(0));
    fs::remove_file(test_user.path(FILE)).expect("removed");
    fs::create_dir(test_user.path(FILE)).expect("a directory");
    chown(test_user.path(FILE), Some(UID), Some(UID)).expect("given");
    assert_named(&test_user, "not a regular file");
}

fn run(test_user: &TestUser, remedy: &str) {
    let shell: Command = test_user.command("/bin/sh".as_ref(), &["-c", remedy]);
    let output = test_user.output(shell);
    assert!(output.status.success(), "{remedy}: {output:?}");
}

/// 2.1.197 replaces the file, and the account in it is lost. So no client is started in the home.
#[test]
fn expired_login_beside_a_torn_state_file_is_not_refreshed() {
    for version in [NEWEST, OLDER] {
        let test_user = TestUser::create_with_claude_version(version);
        let content = test_user.sign_in_as("alice", -1);
        write(&test_user, "{torn");
        test_user.anthropic().forget_requests();
        let (code, text) = cas_sync(&test_user, &["run"]);
        assert_ne!(code, Some(0), "{version}: {text}");
        assert!(text.contains("does not start"), "{version}: {text}");
        assert_eq!(test_user.anthropic().essential_requests(), [], "{version}");
        assert_eq!(test_user.read(LOGIN), Some(content.into_bytes()), "{version}");
        assert_eq!(test_user.read(FILE).as_deref(), Some(&b"{torn"[..]), "{version}");
    }
}
