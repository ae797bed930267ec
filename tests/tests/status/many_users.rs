//! Very many users. `docs/design/performance.md` has the duration for ten thousand; here system
//! calls are counted for a thousand, so that the cost cannot grow unnoticed.

use std::fs;

use cas_tests::many_users::ManyUsers;
use cas_tests::programs::release;

/// Calls to open, examine, read and close the file with the user id; to examine a directory, to
/// open, examine and read a file in it, and to close that; to allocate memory for the content; and
/// to get the own user id.
const CALLS_FOR_EACH: u64 = 13;
/// Calls to start, to list the directories, and to write.
const CALLS_FOR_ALL: u64 = 1_000;

#[test]
fn status_needs_constant_system_calls_per_user() {
    const USERS: u64 = 1_000;
    let many_users = ManyUsers::create(1_000).expect("a crowd");
    let program = release("cas-sync").display().to_string();
    let figures = many_users.scratch().join("figures.prom").display().to_string();
    for arguments in [&["status"][..], &["metrics", "--output", &figures]] {
        let trace = many_users.scratch().join("calls").display().to_string();
        let strace = [&["-f", "-c", "-o", &trace, &program], arguments].concat();
        let output = many_users.run("/usr/bin/strace".into(), &strace).expect("strace");
        let counted = fs::read_to_string(&trace).expect("counts");
        let total = counted.lines().rev().find(|line| line.ends_with("total")).expect("a sum");
        let calls: u64 =
            total.split_whitespace().nth(3).and_then(|text| text.parse().ok()).expect("a number");
        assert!(
            (USERS..=USERS * CALLS_FOR_EACH + CALLS_FOR_ALL).contains(&calls),
            "{arguments:?}: {calls}\n{counted}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn status_lists_all_of_ten_thousand_users() {
    let many_users = ManyUsers::create(10_000).expect("a crowd");
    let figures = many_users.scratch().join("figures.prom");
    let output = &["metrics", "--output", &figures.display().to_string()];
    many_users.run(release("cas-sync"), output).expect("metrics");
    let figures = fs::read_to_string(figures).expect("figures");
    for (line, count) in [
        ("claude_auth_users{state=\"failed\"}", 100),
        ("claude_auth_users{state=\"warning\"}", 900),
        ("claude_auth_users{state=\"ok\"}", 9_000),
    ] {
        assert!(figures.lines().any(|found| found == format!("{line} {count}")), "{line}");
    }
    let table = many_users.run(release("cas-sync"), &["status"]).expect("status");
    let table = String::from_utf8(table.stdout).expect("text");
    assert_eq!(table.lines().count(), 10_002);
    assert!(table.lines().nth(1).is_some_and(|line| line.starts_with("person00000  FAIL ")), "{table:.500}");
    assert!(table.ends_with("10000 enrolled, 1000 not ok\n"));
}
