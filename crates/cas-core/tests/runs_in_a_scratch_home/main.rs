//! Runs of the engine in a scratch home with the local store, and the resulting files.

mod accounts;
mod expiry;
mod home;
mod no_backups;
mod obstructed;
mod verified;

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use cas_core::config::StoreKind;
use cas_core::outcome::{BackupLocation, Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::state::directory::StateLock;
use cas_core::store::StoreError;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use home::{CLEARED, HOUR, Home, NOW, file, login};

fn is_restored(outcome: &Outcome) -> bool {
    outcome.status == Status::Recovered
        && matches!(outcome.finding, Finding::Restored { source: BackupLocation::LocalHistory, .. })
}

#[test]
fn cleared_login_is_restored_and_other_members_stay() {
    let home = Home::new();
    let good = login("r1", NOW + 8 * HOUR);
    home.put(&file(&good));
    let first = home.run(Mode::Sync, NOW);
    assert_eq!(first.status, Status::Ok, "{first}");
    assert!(
        first.to_string().contains("backed up to the local history")
            && first.to_string().contains("not verified"),
        "{first}"
    );

    home.put(CLEARED);
    let outcome = home.run(Mode::Login, NOW);
    assert!(is_restored(&outcome) && outcome.wants_sync, "{outcome}");
    let emptied = r#"{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}"#;
    assert_eq!(home.content(), CLEARED.replace(emptied, &good));
    let again = home.run(Mode::Login, NOW);
    assert_eq!((again.status, again.should_log()), (Status::Ok, false), "{again}");
}

/// The documented way to log out for good.
#[test]
fn logout_with_removed_state_is_final() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    fs::remove_file(home.paths().credentials_file).expect("logged out");
    fs::remove_dir_all(home.paths().state_directory).expect("removed");
    for mode in [Mode::Login, Mode::Sync] {
        let outcome = home.run(mode, NOW);
        assert_eq!((outcome.status, outcome.finding), (Status::Ok, Finding::NoLogin));
    }
    assert!(!home.paths().credentials_file.exists());
}

#[test]
fn sync_without_changes_writes_nothing() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    let all = || {
        let entries = fs::read_dir(home.paths().state_directory).expect("listed");
        let mut files: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| (path.clone(), fs::metadata(&path).expect("there").modified().expect("known")))
            .collect();
        files.sort();
        files
    };
    let before = all();
    home.run(Mode::Sync, NOW + 1000);
    home.run(Mode::Login, NOW + 2000);
    assert_eq!(all(), before);
}

#[test]
fn usable_login_file_is_never_written() {
    let home = Home::new();
    home.put(&file(&login("newest", NOW + 9 * HOUR)));
    home.run(Mode::Sync, NOW);
    let partial = r#"{"accessToken":"a","refreshToken":"","expiresAt":5,"scopes":["user:inference"]}"#;
    for content in [login("older", NOW + 8 * HOUR), login("stale", NOW - HOUR), partial.to_owned()] {
        home.put(&file(&content));
        for mode in [Mode::Login, Mode::Sync] {
            home.run(mode, NOW);
            assert_eq!(home.content(), file(&content));
        }
    }
}

#[test]
fn backup_with_an_expired_access_token_is_restored_once() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    let later = NOW + 9 * HOUR;
    assert!(is_restored(&home.run(Mode::Login, later)));
    home.put(CLEARED);
    let outcome = home.run(Mode::Login, later);
    assert_eq!(outcome.status, Status::Fail, "{outcome}");
    assert!(outcome.to_string().contains("cas-sync login"), "{outcome}");
    assert_eq!(home.content(), CLEARED);
    assert_eq!(home.run(Mode::Sync, later).exit_code(), 79);
}

#[test]
fn older_generation_is_not_restored_after_a_newer_one() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(&file(&login("r2", NOW + 9 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    home.run(Mode::Login, NOW);
    assert!(home.content().contains(r#""refreshToken":"r2""#));
}

#[test]
fn concurrent_logins_restore_once() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..20).map(|_| scope.spawn(|| home.run(Mode::Login, NOW))).collect();
        logins.into_iter().map(|login| login.join().expect("no panic")).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| is_restored(outcome)).count(), 1);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome.status, Status::Ok | Status::Recovered)),
        "{outcomes:?}"
    );
    let ledger = home.state().ledger().expect("readable");
    assert_eq!(ledger.generations.values().map(|entry| entry.restored_at.len()).sum::<usize>(), 1);
}

#[test]
fn damaged_ledger_or_history_stops_restores() {
    for name in ["ledger.json", "history.json"] {
        let home = Home::new();
        home.put(&file(&login("r1", NOW + 8 * HOUR)));
        home.run(Mode::Sync, NOW);
        home.put(CLEARED);
        fs::write(home.state().path(name), "{torn").expect("damaged");
        for mode in [Mode::Login, Mode::Sync] {
            let outcome = home.run(mode, NOW);
            assert!(matches!(outcome.status, Status::Warn | Status::Fail), "{outcome}");
            assert!(
                outcome.to_string().contains(name) && outcome.to_string().contains("move it away"),
                "{outcome}"
            );
        }
        assert_eq!(home.content(), CLEARED);
        assert_eq!(fs::read_to_string(home.state().path(name)).expect("there"), "{torn", "nothing is lost");
    }
}

#[test]
fn restore_waits_for_claude_codes_refresh_lock() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    // The clock of the runs is before the creation of the lock, so the lock never becomes stale.
    fs::create_dir(home.path().join(".claude/.oauth_refresh.lock")).expect("a lock");
    let account_deadline = Duration::from_millis(300);
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| home.run(Mode::Login, NOW));
        std::thread::sleep(account_deadline);
        assert_eq!(home.content(), CLEARED);
        fs::remove_dir(home.path().join(".claude/.oauth_refresh.lock")).expect("released");
        run.join().expect("no panic")
    });
    assert!(is_restored(&outcome), "it waits for the lock and then continues: {outcome}");
}

#[test]
fn active_setup_token_leaves_the_login_file_unchanged() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    let env_file = home.paths().env_file;
    fs::create_dir_all(env_file.parent().expect("a directory")).expect("made");
    fs::write(&env_file, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n").expect("written");
    for mode in [Mode::Login, Mode::Sync] {
        let outcome = home.run(mode, NOW);
        assert!(matches!(outcome.finding, Finding::SetupToken { verdict: None, .. }));
    }
    assert_eq!(home.content(), CLEARED);
    assert!(env_file.exists(), "the local store does not specify a token");
}

#[test]
fn unusable_store_is_reported_and_local_backup_restored() {
    let home = Home::new();
    let refused =
        |_| Err(StoreError::Refused { reason: "no address".into(), remedy: "set vault.address".into() });
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let outcome = home.run_with(Mode::Sync, NOW, StoreKind::Vault, None, refused);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 77), "{outcome}");
    assert!(outcome.to_string().contains("set vault.address"), "{outcome}");
    home.put(CLEARED);
    let outcome = home.run_with(Mode::Login, NOW + 1000, StoreKind::Vault, None, refused);
    assert!(is_restored(&outcome), "{outcome}");
}

#[test]
fn missing_home_is_not_created() {
    let home = Home::new();
    fs::remove_dir_all(home.path()).expect("gone");
    let outcome = home.run(Mode::Login, NOW);
    assert!(outcome.to_string().contains("is missing"), "{outcome}");
    assert!(!home.path().exists());
}

#[test]
fn new_user_without_a_login_gets_no_log_line() {
    let home = Home::new();
    let outcome = home.run(Mode::Login, NOW);
    assert_eq!((outcome.finding.clone(), outcome.should_log()), (Finding::NoLogin, false), "{outcome}");
    assert!(!home.paths().state_directory.exists(), "nothing is created in the home");
    assert!(home.state().lock(StateLock::Sync, &Deadline::after(Duration::ZERO)).is_ok());
}

#[test]
fn failed_restore_can_be_repeated() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + HOUR)));
    home.run(Mode::Sync, NOW);
    fs::remove_file(home.paths().credentials_file).expect("deleted");
    // The replaced content cannot be saved, so nothing is replaced.
    let obstacle = home.state().path("replaced-credentials.json");
    fs::create_dir(&obstacle).expect("in the way");
    let stale = NOW + 9 * HOUR;
    let outcome = home.run(Mode::Login, stale);
    assert_eq!(outcome.status, Status::Warn, "{outcome}");
    assert!(outcome.to_string().contains("replaced-credentials.json"), "{outcome}");
    assert!(!home.paths().credentials_file.exists());
    fs::remove_dir(&obstacle).expect("out of the way");
    assert!(is_restored(&home.run(Mode::Login, stale)), "a failed attempt does not count");
}

#[test]
fn login_seen_only_at_a_login_can_be_restored() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + HOUR)));
    home.run(Mode::Sync, NOW);
    // Claude Code refreshed the login, and no sync ran before it was cleared.
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    home.run(Mode::Login, NOW);
    home.put(CLEARED);
    let outcome = home.run(Mode::Login, NOW + 2 * HOUR);
    assert!(is_restored(&outcome), "{outcome}");
    assert!(home.content().contains(r#""refreshToken":"r2""#), "not the superseded one");
}

#[test]
fn login_with_an_implausible_expiry_is_not_preferred() {
    let home = Home::new();
    home.put(&file(&login("wrong", 9_999_999_999_999)));
    let outcome = home.run(Mode::Sync, NOW);
    assert_eq!(outcome.status, Status::Warn, "{outcome}");
    home.put(&file(&login("right", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    home.run(Mode::Login, NOW);
    assert!(home.content().contains(r#""refreshToken":"right""#));
}

#[test]
fn damaged_login_file_is_saved_before_it_is_replaced() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    let torn = r#"{"mcpOAuth":{"server":{"token":"precious"#;
    home.put(torn);
    assert!(is_restored(&home.run(Mode::Login, NOW)));
    home.put(CLEARED);
    assert!(is_restored(&home.run(Mode::Login, NOW + 1)));
    let kept = fs::read_to_string(home.state().path("damaged-credentials.json")).expect("kept");
    assert_eq!(kept, torn);
}

#[test]
fn sync_with_a_refusing_store_fails_with_a_remedy() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let refused = |_| {
        Err(StoreError::Refused { reason: "this token is bob's".into(), remedy: "mint one for alice".into() })
    };
    let sync = home.run_with(Mode::Sync, NOW, StoreKind::Vault, None, refused);
    assert_eq!((sync.status, sync.exit_code()), (Status::Fail, 77), "{sync}");
    assert!(sync.to_string().contains("mint one for alice"), "{sync}");
    let login = home.run_with(Mode::Login, NOW + HOUR, StoreKind::Vault, None, refused);
    assert_eq!(login.status, Status::Warn, "a login only warns: {login}");
}

#[test]
fn permanent_failure_does_not_exit_with_status_75() {
    let home = Home::new();
    fs::create_dir(home.paths().credentials_file).expect("a folder where the file should be");
    assert_eq!(home.run(Mode::Sync, NOW).exit_code(), 1);
    let busy = |_| Err(StoreError::Busy { reason: "sealed".into(), retry_after: None });
    assert_eq!(home.run_with(Mode::Sync, NOW, StoreKind::Vault, None, busy).exit_code(), 75);
}

/// Six terminal windows that open at once must not start six syncs.
#[test]
fn login_requests_a_sync_again_after_a_minute_or_a_change() {
    let mut home = Home::new();
    home.put(&file(&login("r1", NOW - HOUR))); // stale: only Claude Code can refresh it
    home.run(Mode::Sync, NOW);
    let wants = |home: &mut Home, asked_at: Option<u64>, now| {
        home.asked_at = asked_at.map(Timestamp::from_millis);
        home.run(Mode::Login, now).wants_sync
    };
    let path = home.paths().credentials_file;
    let written = |at| {
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(UNIX_EPOCH + Duration::from_millis(at)).expect("dated");
    };
    written(NOW);
    assert!(wants(&mut home, None, NOW + 1000), "no request yet");
    assert!(!wants(&mut home, Some(NOW + 1000), NOW + 2000), "requested a second ago");
    assert!(!wants(&mut home, Some(NOW + 1000), NOW + 60_999), "requested less than a minute ago");
    assert!(wants(&mut home, Some(NOW + 1000), NOW + 61_000), "requested a minute ago");
    assert!(wants(&mut home, Some(NOW + 9000), NOW + 2000), "the clock was set back");
    written(NOW + 1500);
    assert!(wants(&mut home, Some(NOW + 1000), NOW + 2000), "the file was written after the request");
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    written(NOW);
    assert!(wants(&mut home, Some(NOW + 1000), NOW + 2000), "a login that this run has added to the history");
    assert!(!wants(&mut home, Some(NOW + 1000), NOW + 2000), "the next run adds nothing");
    home.put(CLEARED);
    written(NOW);
    assert!(wants(&mut home, Some(NOW + 1000), NOW + 2000), "a login that this run has restored");
}
