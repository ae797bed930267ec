//! `cas-sync restore`: what is restored, from which location, and what never is.

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_login::{cleared_login, new_login, valid_login};
use cas_tests::openbao::Policy;
use cas_tests::test_user::ENV_FILE;

use super::*;

/// Returns a user without the client whose login was backed up and then cleared, and that login.
fn emptied() -> (TestUser, String) {
    let test_user = TestUser::create();
    let file = new_login("first");
    test_user.put(LOGIN, &file);
    by_hand(&test_user, "backup").expect(0, &[]);
    test_user.put(LOGIN, &cleared_login(&file));
    (test_user, file)
}

#[test]
fn dry_run_names_the_restore_that_follows() {
    let (test_user, file) = emptied();
    let before = home(&test_user);
    let words = format!("Would restore generation {}, access token until 20", generation(&file));
    by_hand(&test_user, "restore --dry-run").expect(0, &[&words]);
    let report = by_hand(&test_user, "restore --dry-run --json").expect(0, &[]).json();
    assert_eq!(
        (&report["dry_run"], &report["restored"]["generation"]),
        (&json!(true), &json!(generation(&file)))
    );
    assert_eq!(home(&test_user), before, "nothing is written");

    let requests = test_user.request_file();
    by_hand(&test_user, "restore").expect(0, &["RECOVERED login restored from the local history"]);
    assert_eq!(login(&test_user), parsed(&file), "and everything else in the file");
    assert!(test_user.journal().contains("user=alice RECOVERED login restored"), "{}", test_user.journal());
    assert!(requests.take(), "the sync verifies it and reports the result");
}

#[test]
fn valid_login_is_not_restored() {
    let (test_user, file) = signed_in(20);
    by_hand(&test_user, "backup").expect(0, &[]);
    by_hand(&test_user, "restore --dry-run")
        .expect(0, &["Would restore nothing, unless the Anthropic API rejects"]);
    by_hand(&test_user, "restore").expect(0, &["verified by inference", "is valid and was not changed"]);
    by_hand(&test_user, "restore --no-verify").expect(0, &["not verified by inference", "was not changed"]);
    let chosen = format!("restore --generation {}", generation(&new_login("first")));
    by_hand(&test_user, &chosen)
        .expect(1, &["the login in the file is complete and stays", "it has no backup"]);
    assert_eq!(login(&test_user), parsed(&file));
    assert_eq!(refreshes(&test_user), 0);
}

#[test]
fn backup_is_restored_from_the_store_under_both_policies() {
    for policy in [Policy::Patch, Policy::Update] {
        let test_user = TestUser::create();
        let bao = test_user.bao();
        let vault_user = test_user.use_store(&bao, policy);
        let file = new_login("first");
        test_user.put(LOGIN, &file);
        by_hand(&test_user, "backup").expect(0, &[]);
        let document = vault_user.fields();
        test_user.remove(&format!("{STATE}/history.json"));
        test_user.put(LOGIN, &cleared_login(&file));
        by_hand(&test_user, "restore --from history")
            .expect(1, &["no backup in the local history can be restored", "without options restores"]);
        by_hand(&test_user, "restore --from store").expect(0, &["RECOVERED login restored from the store"]);
        assert_eq!(login(&test_user), parsed(&file));
        assert_eq!(vault_user.fields(), document, "nothing is written there");
    }
}

#[test]
fn backups_are_listed_with_their_state() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    test_user.use_store(&bao, Policy::Patch);
    by_hand(&test_user, "restore --list").expect(0, &["There are no backups."]);
    let (first, second) = (
        valid_login("first", now_ms() + 3 * HOUR_MS + 60_000),
        valid_login("second", now_ms() + 5 * HOUR_MS + 60_000),
    );
    for file in [&first, &second] {
        test_user.put(LOGIN, file);
        by_hand(&test_user, "backup").expect(0, &[]);
    }
    let before = home(&test_user);
    let output = by_hand(&test_user, "restore --list").expect(0, &[]);
    let lines: Vec<Vec<&str>> = output
        .out
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let cells = |row: usize, columns: [usize; 4]| columns.map(|column| lines[row][column].to_owned());
    assert_eq!(lines[0], ["GENERATION", "IN", "ACCESS TOKEN", "BACKED UP", "BY", "STATE"]);
    let columns = [0, 1, 2, 5];
    let (one, two) = (generation(&first), generation(&second));
    assert_eq!(cells(1, columns), [&two, "history", "5h left", "in use"].map(str::to_owned));
    assert_eq!(cells(2, columns), [&one, "history", "3h left", "superseded"].map(str::to_owned));
    assert_eq!(cells(3, columns), [&two, "store", "5h left", "in use"].map(str::to_owned));
    assert_eq!(lines.len(), 4, "{}", output.out);
    assert!(lines[1][3].ends_with("s ago"), "{}", output.out);
    assert!(output.out.is_ascii() && output.out.lines().all(|line| line.len() <= 80), "{}", output.out);

    let report = by_hand(&test_user, "restore --list --json --from store").expect(0, &[]).json();
    let row = &report["backups"][0];
    assert_eq!((&report["login"], report["backups"].as_array().map(Vec::len)), (&json!("valid"), Some(1)));
    assert_eq!(
        (&row["generation"], &row["state"], &row["restorable"]),
        (&json!(two), &json!("in use"), &json!(false))
    );
    let members: Vec<_> = row.as_object().expect("a row").keys().cloned().collect();
    let expected = [
        "access_token_expires_at_ms",
        "backed_up_at_ms",
        "generation",
        "location",
        "login_expires_at_ms",
        "machine",
        "reason",
        "restorable",
        "state",
    ];
    assert_eq!(members, expected);
    assert_eq!(home(&test_user), before, "nothing is written");

    drop(bao);
    let output = by_hand(&test_user, "restore --list").expect(75, &["store unreachable", &two, "superseded"]);
    assert_eq!(output.err, "");
}

#[test]
fn superseded_backup_is_never_restored() {
    let test_user = TestUser::create();
    let (first, second) = (valid_login("first", now_ms() + 3 * HOUR_MS), new_login("second"));
    for file in [&first, &second] {
        test_user.put(LOGIN, file);
        by_hand(&test_user, "backup").expect(0, &[]);
    }
    test_user.put(LOGIN, &cleared_login(&second));
    let before = test_user.read(LOGIN);
    let chosen = format!("restore --generation {}", generation(&first));
    let best = format!("`cas-sync restore` without options restores {}", generation(&second));
    for words in [chosen.clone(), format!("{chosen} --dry-run")] {
        by_hand(&test_user, &words)
            .expect(1, &["reusing a consumed refresh token can revoke the login", &best]);
    }
    assert_eq!(test_user.read(LOGIN), before);
    assert_eq!(by_hand(&test_user, &format!("{chosen} --force")).code, Some(2));
    by_hand(&test_user, "restore").expect(0, &["RECOVERED"]);
    assert_eq!(login(&test_user), parsed(&second));
}

/// A backup whose access token has expired may be consumed, so it is tried once.
#[test]
fn backup_with_an_expired_token_is_restored_once() {
    let test_user = TestUser::create();
    let file = valid_login("first", now_ms() - HOUR_MS);
    test_user.put(LOGIN, &file);
    by_hand(&test_user, "backup").expect(0, &[]);
    test_user.put(LOGIN, &cleared_login(&file));
    by_hand(&test_user, "restore").expect(0, &["is refreshed by Claude Code at its next start"]);
    test_user.put(LOGIN, &cleared_login(&file));
    by_hand(&test_user, "restore").expect(79, &["there is no backup to restore", "cas-sync login"]);
    by_hand(&test_user, "restore --list").expect(0, &["restored once"]);
    let chosen = format!("restore --generation {}", generation(&file));
    by_hand(&test_user, &chosen).expect(79, &["its refresh token may be consumed"]);
    assert_eq!(login(&test_user), parsed(&cleared_login(&file)));
}

#[test]
fn rejected_restore_is_rolled_back_and_not_repeated() {
    let (test_user, file) = signed_in(20);
    by_hand(&test_user, "backup").expect(0, &[]);
    test_user.put(LOGIN, &cleared_login(&file));
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    let output = by_hand(&test_user, "restore");
    output.expect(79, &["rejected by the Anthropic API", "restore rolled back", "cas-sync login"]);
    assert_eq!(login(&test_user), parsed(&cleared_login(&file)));
    by_hand(&test_user, "restore --list").expect(0, &["rejected"]);
    by_hand(&test_user, &format!("restore --generation {}", generation(&file)))
        .expect(79, &["the Anthropic API rejected it"]);
    assert_eq!(login(&test_user), parsed(&cleared_login(&file)));
    assert_eq!(refreshes(&test_user), 0);
}

/// A login that looks valid and is rejected is replaced by a later backup.
#[test]
fn rejected_login_is_replaced_by_a_later_backup() {
    let (test_user, older) = signed_in(20);
    by_hand(&test_user, "backup").expect(0, &[]);
    let newer = test_user.sign_in_as("alice", 9);
    by_hand(&test_user, "backup").expect(0, &[]);
    test_user.put(LOGIN, &older);
    test_user.anthropic().answer_messages(&access_token(&older), Some(MessageAnswer::Revoked));
    by_hand(&test_user, "restore --no-verify").expect(0, &["was not changed"]);
    assert_eq!(login(&test_user), parsed(&older));
    by_hand(&test_user, "restore")
        .expect(0, &["RECOVERED login restored from the local history", "verified by inference"]);
    assert_eq!(login(&test_user)["claudeAiOauth"], parsed(&newer)["claudeAiOauth"]);
}

#[test]
fn restore_with_an_active_setup_token_is_refused() {
    let (test_user, file) = emptied();
    test_user.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-alices_setup-token\n");
    for words in ["restore", "restore --dry-run"] {
        by_hand(&test_user, words).expect(1, &["a setup-token is in use"]);
    }
    assert_eq!(login(&test_user), parsed(&cleared_login(&file)));
}

#[test]
fn restore_without_a_backup_requires_a_sign_in() {
    let test_user = TestUser::create();
    by_hand(&test_user, "restore")
        .expect(79, &["there is no login, and there is no backup to restore", "cas-sync login"]);
    test_user.put(LOGIN, &cleared_login(&new_login("first")));
    by_hand(&test_user, "restore").expect(79, &["there is no backup to restore"]);
    let bao = test_user.bao();
    test_user.use_store(&bao, Policy::Patch);
    drop(bao);
    by_hand(&test_user, "restore").expect(75, &["store unreachable", "the store did not answer"]);
}
