//! Usage errors and missing prerequisites: one line with a remedy, the documented exit status, and
//! no file is changed.

use cas_tests::claude_login::new_login;

use super::*;

const COMMANDS: [&str; 6] =
    ["check", "verify", "backup", "restore", "restore --list", "restore --dry-run --json"];

#[test]
fn usage_error_names_the_valid_arguments() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("first"));
    let before = home(&test_user);
    for (words, says) in [
        ("check --min-remaining", "--min-remaining"),
        ("check --min-remaining 3", "write a whole number and a unit"),
        ("check --min-remaining -3d", "-3"),
        ("check --min-remaining 3days", "such as 90s, 15min, 2h or 3d"),
        ("check --verified-within soon", "--verified-within \"soon\": write a whole number"),
        ("check --quiet --json", "cannot be used with"),
        ("check alice", "unexpected argument"),
        ("verify --setup-token --login", "cannot be used with"),
        ("verify --force", "--force"),
        ("backup --from store", "--from"),
        ("restore --from vault", "history, store"),
        ("restore --generation newest", "not a fingerprint of 16 hexadecimal digits"),
        ("restore --generation 123456789012345g", "not a fingerprint"),
        ("restore --generation", "--generation"),
        ("restore --list --dry-run", "cannot be used with"),
        ("restore --dry-run --no-verify", "cannot be used with"),
        ("restore --force", "--force"),
    ] {
        let output = by_hand(&test_user, words);
        assert_eq!((output.code, output.out.as_str()), (Some(2), ""), "{words}: {}", output.err);
        assert!(output.err.contains(says), "{words}: {}", output.err);
    }
    assert_eq!(home(&test_user), before);
}

#[test]
fn user_command_as_root_is_refused_with_the_user_to_run_it() {
    let test_user = TestUser::create();
    for words in COMMANDS {
        let arguments: Vec<_> = words.split(' ').collect();
        let ended = test_user.output(test_user.command_of_root(&test_user.program("cas-sync"), &arguments));
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words}: {text}");
        assert!(text.starts_with("cas-sync: ") && text.contains("runuser -u NAME"), "{words}: {text}");
    }
}

#[test]
fn unusable_configuration_is_named() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("first"));
    test_user.configure("store = \"valt\"\n");
    let before = home(&test_user);
    for words in COMMANDS {
        let output = by_hand(&test_user, words);
        assert_eq!((output.code, output.out.as_str()), (Some(78), ""), "{words}: {}", output.err);
        assert!(
            output.err.contains("config.toml") && output.err.contains("\"local\" or \"vault\""),
            "{}",
            output.err
        );
    }
    assert_eq!(home(&test_user), before);
}

#[test]
fn missing_home_is_reported_as_temporary() {
    let test_user = TestUser::create();
    fs::rename(test_user.home(), test_user.folder().join("elsewhere")).expect("moved away");
    for words in COMMANDS {
        let output = by_hand(&test_user, words);
        assert_eq!((output.code, output.out.as_str()), (Some(75), ""), "{words}: {}", output.err);
        assert!(output.err.contains("is missing"), "{words}: {}", output.err);
        assert!(!test_user.home().exists(), "{words}");
    }
}

/// The configured server is invalid: commands that do not need it still work.
#[test]
fn misconfigured_store_fails_only_commands_that_need_it() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("first"));
    test_user.configure("store = \"vault\"\nverify = false\n");
    by_hand(&test_user, "check").expect(0, &[]);
    by_hand(&test_user, "restore").expect(0, &["was not changed"]);
    by_hand(&test_user, "backup").expect(78, &["vault.address is not set", "  history  added"]);
    by_hand(&test_user, "restore --list").expect(78, &["vault.address is not set", "history"]);
}

/// The reader of a pipe may have ended, and a disk may be full.
#[test]
fn output_that_cannot_be_written_is_no_panic() {
    let test_user = TestUser::create();
    let program = test_user.program("cas-sync").display().to_string();
    for arguments in [
        ["doctor"].as_slice(),
        &["doctor", "--json"],
        &["sessions", "--all"],
        &["status"],
        &["check"],
        &["restore", "--list"],
    ] {
        let script = [&["-c", "exec \"$@\" >/dev/full", "sh", &program], arguments].concat();
        let output = test_user.output(test_user.command(Path::new("/bin/sh"), &script));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && output.status.code() != Some(101), "{arguments:?}: {errors}");
    }
}
