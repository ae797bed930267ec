//! Programs under a file size limit (`ulimit -f`): a write that is too long is an error like on a
//! full disk. It never kills the program, leaves no temporary file, and changes no file in part.
//! Programs that they start have the default disposition again.

use std::process::Output;

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::test_user::{LOGIN, NAME, STATE, TestUser};

/// Blocks of 512 bytes: nothing at all, and less than a login file.
const LIMITS: [&str; 2] = ["0", "1"];

/// Runs a program of the product below a shell that runs this first.
fn run_under(test_user: &TestUser, first: &str, program: &str, arguments: &[&str]) -> Output {
    let program = test_user.program(program);
    let script = format!("{first}; exec \"$0\" \"$@\"");
    let words = [&["-c", script.as_str(), program.to_str().expect("UTF-8")], arguments].concat();
    test_user.output(test_user.command(std::path::Path::new("/bin/sh"), &words))
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

/// Asserts that it ended without a signal, and left only complete files.
#[track_caller]
fn assert_harmless(test_user: &TestUser, what: &str, output: &Output) {
    let code = output.status.code();
    assert!(code.is_some_and(|code| code < 100), "{what} ended with {:?}: {}", output.status, text(output));
    let files = test_user.all_files();
    let left: Vec<_> = files.keys().filter(|name| name.contains(".cas-")).collect();
    assert_eq!(left, [""; 0], "{what}");
    for (name, (_, content)) in files.iter().filter(|(name, _)| name.ends_with(".json")) {
        assert!(serde_json::from_slice::<serde_json::Value>(content).is_ok(), "{what}: {name} is truncated");
    }
}

fn login(test_user: &TestUser, limit: &str) -> Output {
    let arguments =
        ["login", "--reply=1", "--deadline-ms=2000", "--minimum-uid=1000", &format!("--user={NAME}")];
    run_under(test_user, limit, "cas-session", &arguments)
}

#[test]
fn sync_under_a_size_limit_reports_it_and_tears_no_file() {
    for limit in LIMITS {
        let (test_user, limit) = (TestUser::create(), format!("ulimit -f {limit}"));
        let file = new_login("alice");
        test_user.put(LOGIN, &file);
        let ended = run_under(&test_user, &limit, "cas-sync", &["run"]);
        assert_harmless(&test_user, &limit, &ended);
        assert!(text(&ended).contains("; raise it (ulimit -f)"), "{}", text(&ended));
        assert_ne!(ended.status.code(), Some(0), "{}", text(&ended));
        assert_eq!(test_user.sync().status.code(), Some(0), "without the limit");
    }
}

#[test]
fn restore_under_a_size_limit_does_not_change_the_file() {
    for limit in LIMITS {
        let (test_user, limit) = (TestUser::create(), format!("ulimit -f {limit}"));
        let file = new_login("alice");
        test_user.put(LOGIN, &file);
        assert_eq!(test_user.sync().status.code(), Some(0), "a backup is stored");
        let lost = cleared_login(&file);
        test_user.put(LOGIN, &lost);
        for program in ["cas-sync", "cas-session"] {
            let ended = match program {
                "cas-sync" => run_under(&test_user, &limit, program, &["restore"]),
                _ => login(&test_user, &limit),
            };
            assert_harmless(&test_user, &format!("{program} {limit}"), &ended);
            assert_eq!(test_user.read(LOGIN).as_deref(), Some(lost.as_bytes()), "{program} {limit}");
        }
        assert_eq!(login(&test_user, "true").stdout, b"CAS1\n", "without the limit");
        assert_ne!(test_user.read(LOGIN).as_deref(), Some(lost.as_bytes()), "repaired without the limit");
    }
}

#[test]
fn commands_under_a_size_limit_end_without_a_signal() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("alice"));
    assert_eq!(test_user.sync().status.code(), Some(0));
    test_user.put(&format!("{STATE}/ledger.json"), "{}");
    for limit in LIMITS.map(|limit| format!("ulimit -f {limit}")) {
        for words in
            ["run", "run --no-verify", "backup", "restore", "check", "status", "doctor", "token clear"]
        {
            let arguments: Vec<_> = words.split(' ').collect();
            let ended = run_under(&test_user, &limit, "cas-sync", &arguments);
            assert_harmless(&test_user, &format!("cas-sync {words}, {limit}"), &ended);
        }
        for words in ["environment", "notice", "exec -- true"] {
            let arguments: Vec<_> = words.split(' ').collect();
            let ended = run_under(&test_user, &limit, "cas-session", &arguments);
            assert_harmless(&test_user, &format!("cas-session {words}, {limit}"), &ended);
        }
        assert_harmless(&test_user, &limit, &login(&test_user, &limit));
    }
}

#[test]
fn launched_program_has_the_disposition_of_the_caller() {
    let test_user = TestUser::create();
    let ignored = |first: &str| {
        let ended = run_under(&test_user, first, "cas-session", &["exec", "--", "cat", "/proc/self/status"]);
        let status = text(&ended);
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask").trim();
        u64::from_str_radix(mask, 16).expect("hexadecimal") & 1 << 24 != 0
    };
    assert!(!ignored("true"));
    assert!(ignored("trap '' XFSZ"));
}
