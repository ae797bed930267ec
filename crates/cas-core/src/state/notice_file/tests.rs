use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::unistd::Uid;

use super::*;
use crate::credential::expiry::{CredentialKind, Expiry};
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::verification::Verification;
use crate::outcome::{BackupLocation, Finding, Status};
use crate::planner::{BackupFilter, Command};

/// Runs a sync whose outcome is about this setup token.
fn run(state: &StateDirectory, token: &str, verdict: Option<Verification>) {
    let rejected = matches!(verdict, Some(Verification::Rejected { .. }));
    let status = if rejected { Status::Fail } else { Status::Ok };
    let finding = Finding::SetupToken { token: Fingerprint::from_bytes(token), verdict };
    let outcome = Outcome::new(status, finding);
    let before = state.load::<Option<StateReport>>(state_report::FILE_NAME).expect("readable");
    let after = StateReport::from_outcome(&outcome, "alice", Timestamp::from_millis(1), before.as_ref());
    update(&outcome, Mode::Sync, state).expect("updated");
    state.save(state_report::FILE_NAME, &after).expect("saved");
}

fn shown(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[test]
fn notice_stays_until_the_credential_is_valid_or_replaced() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let state = StateDirectory::new(scratch.path().join("state"), Uid::effective().as_raw());
    let path = state.path(FILE_NAME);
    let rejected = || Some(Verification::Rejected { account_level: false });
    run(&state, "old", None);
    assert_eq!(shown(&path), None);
    run(&state, "old", rejected());
    let notice = shown(&path).expect("shown");
    assert!(notice.ends_with("store it with `cas-sync token set`\n"), "{notice}");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);

    run(&state, "old", Some(Verification::Inconclusive("529".into())));
    run(&state, "old", None);
    assert_eq!(shown(&path), Some(notice), "it is not verified as valid again");
    run(&state, "old", Some(Verification::Ok));
    assert_eq!(shown(&path), None);

    run(&state, "old", rejected());
    run(&state, "old", Some(Verification::Inconclusive("529".into())));
    run(&state, "new", None);
    assert_eq!(shown(&path), None, "the user has acted");
}

#[test]
fn record_of_version_0_1_0_is_converted() {
    let former =
        r#"{"cause":"login-lapsed","about":"b","is_of_an_end":true,"is_daily":true,"shown_at_ms":7}"#;
    let expected = NoticeRecord {
        reason: "login-expired".into(),
        about: "b".into(),
        is_expiry_warning: true,
        is_daily: true,
        shown_at_ms: Some(Timestamp::from_millis(7)),
    };
    assert_eq!(serde_json::from_str::<NoticeRecord>(former).expect("readable"), expected);
    assert_eq!(serde_json::from_str::<NoticeRecord>("{}").expect("readable"), NoticeRecord::default());
}

#[test]
fn unchanged_notice_is_not_rewritten() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
    let path = state.path(FILE_NAME);
    let identity = || fs::metadata(&path).and_then(|found| found.modified()).expect("there");
    run(&state, "t", Some(Verification::Rejected { account_level: true }));
    let first = identity();
    run(&state, "t", Some(Verification::Rejected { account_level: true }));
    assert_eq!(identity(), first);

    let target = scratch.path().join("target");
    fs::rename(&path, &target).and_then(|()| std::os::unix::fs::symlink(&target, &path)).expect("a link");
    let finding = Finding::Unrecoverable { state: "lost".into() };
    let outcome = Outcome::new(Status::Fail, finding);
    assert!(update(&outcome, Mode::Sync, &state).is_err());
    assert!(shown(&target).is_some_and(|text| text.contains("administrator")), "the target is unchanged");
}

const EXPIRES_IN_3_DAYS: Option<&str> = Some("login-expires-in-3-days");
const HOUR: u64 = 60 * 60 * 1000;
const NOW: u64 = 1_796_040_000_000;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_millis(NOW + hours * HOUR)
}

fn login(name: &str, login_expires_at: Timestamp) -> LoginSummary {
    let expires_at = Timestamp::from_millis(NOW + 8 * HOUR);
    let generation = Fingerprint::from_bytes(name);
    LoginSummary { generation, expires_at, login_expires_at: Some(login_expires_at), owner: Owner::default() }
}

/// Returns the outcome of a run at `now` with this login.
fn found(login: &LoginSummary, now: Timestamp, verdict: Option<Verification>) -> Outcome {
    let expiry = Expiry::for_login(login);
    let is_rejected = verdict.as_ref().is_some_and(Verification::is_rejected);
    let expiry_warning = expiry
        .filter(|_| !is_rejected)
        .and_then(|expiry| ExpiryWarning::check(now, CredentialKind::Login, expiry));
    let status = if is_rejected { Status::Fail } else { Status::Ok };
    let finding = Finding::Login { login: login.clone(), verdict };
    Outcome { expiry, expiry_warning, ..Outcome::new(status, finding) }
}

/// Updates the notice after a sync or a login.
fn finish(state: &StateDirectory, outcome: &Outcome, mode: Mode) -> Option<String> {
    let cause = update(outcome, mode, state).expect("updated");
    if mode == Mode::Sync {
        let before = state.load::<Option<StateReport>>(state_report::FILE_NAME).expect("readable");
        let after = StateReport::from_outcome(outcome, "alice", at(0), before.as_ref());
        state.save(state_report::FILE_NAME, &after).expect("saved");
    }
    cause
}

fn scratch() -> (tempfile::TempDir, StateDirectory, u32) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let owner = Uid::effective().as_raw();
    let state = StateDirectory::new(scratch.path().join("state"), owner);
    (scratch, state, owner)
}

#[test]
fn notice_is_shown_once_a_day_and_a_new_reason_at_once() {
    let (_scratch, state, owner) = scratch();
    let shows = |hours| take_due_line(&state, owner, at(hours)).is_some();
    assert!(!shows(0), "no notice");
    run(&state, "one", Some(Verification::Rejected { account_level: false }));
    let shown: Vec<_> = [0, 0, 1, 9, 15, 16, 17, 24, 40].map(shows).to_vec();
    assert_eq!(shown, [true, false, false, false, false, true, false, false, true]);
    run(&state, "one", Some(Verification::Rejected { account_level: false }));
    assert!(!shows(41), "the next sync has the same result");
    run(&state, "two", Some(Verification::Rejected { account_level: false }));
    assert!(shows(41) && !shows(42), "another rejected token is a new reason");
    run(&state, "two", Some(Verification::Rejected { account_level: true }));
    assert!(shows(42), "another reason");
    run(&state, "two", Some(Verification::Ok));
    assert!(!shows(100) && !state.path(RECORD).exists(), "the notice is removed");
    run(&state, "two", Some(Verification::Rejected { account_level: true }));
    assert!(shows(100), "the notice is new");
    assert!(shows(20), "a clock that was set back hides nothing");
}

#[test]
fn login_expiry_is_shown_once_per_stage_then_daily() {
    let (_scratch, state, owner) = scratch();
    let login = login("g", at(7 * 24));
    let mut shown = Vec::new();
    for hours in (0..10 * 24).step_by(6) {
        finish(&state, &found(&login, at(hours), Some(Verification::Ok)), Mode::Sync);
        if take_due_line(&state, owner, at(hours)).is_some() {
            shown.push(hours);
        }
    }
    // With a check every six hours, an interval of 16 hours becomes 18.
    assert_eq!(shown, [0, 4 * 24, 6 * 24, 7 * 24, 7 * 24 + 18, 7 * 24 + 36, 7 * 24 + 54]);
}

#[test]
fn expiry_notice_stays_until_a_new_sign_in() {
    let (_scratch, state, _) = scratch();
    let text = || shown(&state.path(FILE_NAME));
    let (first, next) = (login("one", at(50)), login("two", at(50)));
    let with_email = Outcome {
        sign_in_as: crate::claude_files::email::Email::parse("alice@example.org"),
        ..found(&first, at(0), Some(Verification::Ok))
    };
    assert_eq!(finish(&state, &with_email, Mode::Sync).as_deref(), EXPIRES_IN_3_DAYS);
    let notice = text().expect("shown");
    assert!(
        notice.contains("login expires on 2 Dec, in 2 days; ")
            && notice.contains("--email alice@example.org"),
        "{notice}"
    );

    finish(&state, &found(&next, at(1), None), Mode::Login);
    assert_eq!(
        text(),
        Some(notice),
        "a refreshed login expires on the same day, and a login does not know the email"
    );
    finish(&state, &found(&next, at(30), None), Mode::Login);
    assert!(
        text().is_some_and(|text| text.contains("within a day")),
        "a login updates the days: {:?}",
        text()
    );
    finish(&state, &found(&login("three", at(700)), at(30), None), Mode::Login);
    assert_eq!(text(), None);
}

#[test]
fn outage_keeps_the_notice_of_a_rejected_login() {
    let (_scratch, state, _) = scratch();
    let login = login("one", at(50));
    let causes = [
        Some(Verification::Rejected { account_level: false }),
        Some(Verification::Inconclusive("529".into())),
        None,
        Some(Verification::Ok),
    ]
    .map(|verdict| finish(&state, &found(&login, at(0), verdict), Mode::Sync));
    let causes: Vec<_> = causes.iter().map(Option::as_deref).collect();
    let (rejected, expires) = (Some("login-rejected"), EXPIRES_IN_3_DAYS);
    assert_eq!(causes, [rejected, rejected, rejected, expires]);
}

#[test]
fn notice_is_shown_if_its_record_cannot_be_written() {
    let (_scratch, state, owner) = scratch();
    let shows = || take_due_line(&state, owner, at(0)).is_some();
    run(&state, "t", Some(Verification::Rejected { account_level: false }));
    let record = state.path(RECORD);
    let obstacles: [&dyn Fn(); 4] = [
        &|| fs::write(&record, "{torn").expect("damaged"),
        &|| nix::unistd::mkfifo(&record, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO"),
        &|| std::os::unix::fs::symlink("/dev/zero", &record).expect("a link"),
        &|| fs::create_dir(&record).expect("a directory"),
    ];
    for obstacle in obstacles {
        drop(fs::remove_file(&record));
        obstacle();
        assert!(shows() && shows());
    }
    fs::remove_dir(&record).expect("removed");
    let held = state.lock(StateLock::State, &Deadline::after(LOCK_TIMEOUT)).expect("free");
    assert!(shows() && shows(), "another process keeps the lock");
    drop(held);
    assert!(shows() && !shows(), "without a record it is shown and recorded");
}

#[test]
fn notice_is_shown_by_one_of_several_concurrent_shells() {
    let (_scratch, state, owner) = scratch();
    run(&state, "t", Some(Verification::Rejected { account_level: false }));
    let shells = || {
        std::thread::scope(|scope| {
            let shell = || take_due_line(&state, owner, at(0)).is_some();
            let shells: Vec<_> = (0..6).map(|_| scope.spawn(shell)).collect();
            shells.into_iter().map(|shell| shell.join().expect("no panic")).filter(|shown| *shown).count()
        })
    };
    assert_eq!(shells(), 1);
}

#[test]
fn notice_with_control_characters_is_sanitized() {
    let (_scratch, state, owner) = scratch();
    fs::create_dir(state.path("")).expect("a directory");
    let shows = |content: &[u8]| {
        drop(fs::remove_file(state.path(RECORD)));
        fs::write(state.path(FILE_NAME), content).expect("written");
        take_due_line(&state, owner, at(0))
    };
    assert_eq!(shows(b"a\x1b[2Jb\r\x9b31mc\x07\xc3\xa4\nd\n").as_deref(), Some("a[2Jb31mcd"));
    assert_eq!(shows(&b"x".repeat(5000)).map(|text| text.len()), Some(MAX_LEN));
    assert_eq!(shows(&b"x".repeat(LIMIT + 1)), None);
    assert_eq!(shows(b"\n\x1b"), None);
}

/// Returns the outcome of a run at `now` that restored this login and did not verify it.
fn restored(login: &LoginSummary, now: Timestamp) -> Outcome {
    let source = BackupLocation::LocalHistory;
    let finding = Finding::Restored { login: login.clone(), is_fresh: true, source, verdict: None };
    Outcome { status: Status::Recovered, finding, ..found(login, now, None) }
}

#[test]
fn restore_is_shown_once_and_requires_no_action() {
    let (_scratch, state, owner) = scratch();
    let shows = |hours| take_due_line(&state, owner, at(hours));
    let login = login("one", at(30 * 24));
    let restored = restored(&login, at(0));
    let verified = found(&login, at(0), Some(Verification::Ok));

    assert_eq!(finish(&state, &restored, Mode::Login), None, "the user does not have to act");
    assert_eq!(finish(&state, &verified, Mode::Sync), None);
    let line = shows(0).expect("shown although a sync has verified it");
    assert!(line.contains("restored from the local history"), "{line}");
    assert_eq!(shows(24), None);
    assert_eq!(finish(&state, &verified, Mode::Sync), None);
    assert!(!state.path(FILE_NAME).exists());

    let command = Mode::Command(Command::Restore(BackupFilter::default()));
    finish(&state, &restored, command);
    assert_eq!(shows(0), None, "the command has printed it");

    finish(&state, &restored, Mode::Watch);
    let rejected = found(&login, at(0), Some(Verification::Rejected { account_level: false }));
    assert_eq!(finish(&state, &rejected, Mode::Sync).as_deref(), Some("login-rejected"));
    assert!(shows(0).is_some_and(|line| line.contains("rejected")));
}

#[test]
fn restore_of_an_expiring_login_keeps_its_warning() {
    let login = login("one", at(50));
    let verified = || found(&login, at(0), Some(Verification::Ok));
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let (_scratch, state, owner) = scratch();
        let shows =
            || take_due_line(&state, owner, at(0)).is_some_and(|line| line.contains("login expires on"));
        assert_eq!(finish(&state, &verified(), Mode::Sync).as_deref(), EXPIRES_IN_3_DAYS);
        assert!(shows(), "{mode:?}");
        assert_eq!(finish(&state, &restored(&login, at(0)), mode).as_deref(), EXPIRES_IN_3_DAYS, "{mode:?}");
        assert_eq!(finish(&state, &verified(), Mode::Sync).as_deref(), EXPIRES_IN_3_DAYS, "{mode:?}");
        assert!(
            shown(&state.path(FILE_NAME)).is_some_and(|line| line.contains("login expires on")),
            "{mode:?}"
        );
        assert!(!shows(), "{mode:?}: it was shown today");
    }
}

#[test]
fn expiry_warning_replaces_a_restore_not_shown_yet() {
    let (_scratch, state, owner) = scratch();
    let login = login("one", at(4 * 24));
    let undated = LoginSummary { login_expires_at: None, ..login.clone() };
    assert_eq!(finish(&state, &restored(&undated, at(0)), Mode::Login), None);
    for verdict in [None, Some(Verification::Ok)] {
        let outcome = found(&login, at(2 * 24), verdict);
        assert_eq!(finish(&state, &outcome, Mode::Sync).as_deref(), EXPIRES_IN_3_DAYS);
    }
    assert!(take_due_line(&state, owner, at(2 * 24)).is_some_and(|line| line.contains("login expires on")));
}

#[test]
fn unverified_restore_keeps_a_required_action() {
    let (_scratch, state, _) = scratch();
    let login = login("one", at(30 * 24));
    let verdict = Some(Verification::Rejected { account_level: true });
    let refused = Outcome { status: Status::Fail, ..found(&login, at(0), verdict) };
    assert_eq!(finish(&state, &refused, Mode::Sync).as_deref(), Some("account-refused"));
    let notice = shown(&state.path(FILE_NAME)).expect("shown");
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        assert_eq!(finish(&state, &restored(&login, at(0)), mode).as_deref(), Some("account-refused"));
        assert_eq!(shown(&state.path(FILE_NAME)).as_ref(), Some(&notice), "{mode:?}");
    }
}
