//! A variable with which Claude Code uses a login that is not managed: each command reports it.

use std::os::unix::fs::chown;

use cas_tests::test_user::{TestUser, UID};
use serde_json::json;

/// Returns exit status and output of a command with this variable.
fn cas_sync(test_user: &TestUser, word: &str, variable: Option<(&str, &str)>) -> (Option<i32>, String) {
    let mut command = test_user.command(&test_user.program("cas-sync"), &[word]);
    command.envs(variable);
    let output = test_user.output(command);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn login_in_another_directory_is_reported_as_not_managed() {
    let test_user = TestUser::create_with_claude();
    test_user.sign_in();
    assert!(test_user.sync().status.success());
    let moved = test_user.path("moved").display().to_string();
    let file = format!("{moved}/.credentials.json");
    for variable in ["CLAUDE_CONFIG_DIR", "CLAUDE_SECURESTORAGE_CONFIG_DIR"] {
        for word in ["status", "check", "verify"] {
            let (code, text) = cas_sync(&test_user, word, Some((variable, &moved)));
            assert_eq!(code, Some(1), "{word} {variable}: {text}");
            let remedy = format!("unset {variable}");
            for part in [file.as_str(), "not managed", &remedy] {
                assert!(text.contains(part), "{word} {variable}, {part}: {text}");
            }
        }
        let (code, text) = cas_sync(&test_user, "doctor", Some((variable, &moved)));
        assert_eq!(code, Some(1), "{variable}: {text}");
        assert!(text.contains(&format!("unset {variable}")), "{variable}: {text}");

        test_user.put(".claude/settings.json", &json!({ "env": { variable: moved } }).to_string());
        chown(test_user.path(".claude/settings.json"), Some(UID), Some(UID)).expect("given");
        for word in ["status", "check", "verify"] {
            let (code, text) = cas_sync(&test_user, word, None);
            assert_eq!(code, Some(1), "{word} {variable}: {text}");
            for part in [file.as_str(), "not managed", ".claude/settings.json", "cas-sync doctor"] {
                assert!(text.contains(part), "{word} {variable}, {part}: {text}");
            }
        }
        let (code, text) = cas_sync(&test_user, "doctor", None);
        assert!(code == Some(1) && text.contains(variable) && text.contains("sed "), "{variable}: {text}");
        test_user.remove(".claude/settings.json");
    }
    assert_eq!(cas_sync(&test_user, "verify", None).0, Some(0));
}

/// The value can also come from the settings that an organization serves.
#[test]
fn name_of_a_moved_login_does_not_steer_the_terminal() {
    let test_user = TestUser::create();
    let value = "/srv/\u{1b}[2J\ncas-sync: OK\u{9b}1m";
    for file in [".claude/settings.json", ".claude/remote-settings.json"] {
        test_user.put(file, &json!({ "env": { "CLAUDE_CONFIG_DIR": value } }).to_string());
        for word in ["verify", "check", "status", "doctor"] {
            let output = test_user.output(test_user.command(&test_user.program("cas-sync"), &[word]));
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(!output.status.success() && text.contains("CLAUDE_CONFIG_DIR"), "{word} {file}: {text}");
            let is_clean = text.chars().all(|letter| letter == '\n' || !letter.is_control());
            assert!(
                is_clean && !text.lines().any(|line| line.starts_with("cas-sync: OK")),
                "{word}: {text:?}"
            );
        }
        test_user.remove(file);
    }
}
