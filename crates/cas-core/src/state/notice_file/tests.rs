use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::unistd::Uid;

use super::*;
use crate::credential::expiry::{CredentialKind, Expiry};
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::verification::Verification;
use crate::outcome::{Finding, Status};

/// A run about this setup-token, told as a sync tells it.
fn run(state: &StateDirectory, token: &str, verdict: Option<Verification>) {
    let rejected = matches!(verdict, Some(Verification::Rejected { .. }));
    let status = if rejected { Status::Fail } else { Status::Ok };
    let finding = Finding::SetupToken { token: Fingerprint::from_bytes(token), verdict };
    let outcome = Outcome::new(status, finding);
    let before = state.load::<Option<StateReport>>(state_report::FILE_NAME).expect("readable");
    let after = StateReport::from_outcome(&outcome, "alice", Timestamp::from_millis(1), before.as_ref());
    update(&outcome, Mode::Sync, state).expect("followed");
    state.save(state_report::FILE_NAME, &after).expect("saved");
}

fn shown(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[test]
fn it_stays_until_the_credential_works_or_is_another() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let state = StateDirectory::new(scratch.path().join("state"), Uid::effective().as_raw());
    let path = state.path(FILE_NAME);
    let rejected = || Some(Verification::Rejected { account_level: false });
    run(&state, "old", None);
    assert_eq!(shown(&path), None);
    run(&state, "old", rejected());
    let notice = shown(&path).expect("shown");
    assert!(notice.ends_with("hand it in with `cas-sync token set`\n"), "{notice}");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);

    run(&state, "old", Some(Verification::Inconclusive("529".into())));
    run(&state, "old", None);
    assert_eq!(shown(&path), Some(notice), "nobody has shown that it works again");
    run(&state, "old", Some(Verification::Ok));
    assert_eq!(shown(&path), None);

    run(&state, "old", rejected());
    run(&state, "old", Some(Verification::Inconclusive("529".into())));
    run(&state, "new", None);
    assert_eq!(shown(&path), None, "the person has acted");
}

#[test]
fn an_unchanged_notice_is_not_written_again_and_a_link_is_left_alone() {
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
    assert!(shown(&target).is_some_and(|text| text.contains("administrator")), "the target is as it was");
}

const HOUR: u64 = 60 * 60 * 1000;
const NOW: u64 = 1_796_040_000_000;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_millis(NOW + hours * HOUR)
}

fn login(name: &str, lapses_at: Timestamp) -> LoginSummary {
    let expires_at = Timestamp::from_millis(NOW + 8 * HOUR);
    let generation = Fingerprint::from_bytes(name);
    LoginSummary { generation, expires_at, login_expires_at: Some(lapses_at), owner: Owner::default() }
}

/// How a run ends at `now` that finds this login.
fn found(login: &LoginSummary, now: Timestamp, verdict: Option<Verification>) -> Outcome {
    let lapse = Expiry::for_login(login);
    let is_rejected = verdict.as_ref().is_some_and(Verification::is_rejected);
    let lapsing = lapse
        .filter(|_| !is_rejected)
        .and_then(|lapse| ExpiryWarning::check(now, CredentialKind::Login, lapse));
    let status = if is_rejected { Status::Fail } else { Status::Ok };
    let finding = Finding::Login { login: login.clone(), verdict };
    Outcome { lapse, lapsing, ..Outcome::new(status, finding) }
}

/// What a sync, or a login, leaves.
fn leave(state: &StateDirectory, outcome: &Outcome, mode: Mode) -> Option<String> {
    let cause = update(outcome, mode, state).expect("followed");
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
fn ten_shells_a_day_show_it_once_a_day_and_a_new_cause_at_once() {
    let (_scratch, state, owner) = scratch();
    let shows = |hours| take_due_line(&state, owner, at(hours)).is_some();
    assert!(!shows(0), "nothing to say");
    run(&state, "one", Some(Verification::Rejected { account_level: false }));
    let shown: Vec<_> = [0, 0, 1, 9, 15, 16, 17, 24, 40].map(shows).to_vec();
    assert_eq!(shown, [true, false, false, false, false, true, false, false, true]);
    run(&state, "one", Some(Verification::Rejected { account_level: false }));
    assert!(!shows(41), "the next sync says the same");
    run(&state, "two", Some(Verification::Rejected { account_level: false }));
    assert!(shows(41) && !shows(42), "another token that is rejected is news");
    run(&state, "two", Some(Verification::Rejected { account_level: true }));
    assert!(shows(42), "and so is another reason");
    run(&state, "two", Some(Verification::Ok));
    assert!(!shows(100) && !state.path(RECORD).exists(), "mended");
    run(&state, "two", Some(Verification::Rejected { account_level: true }));
    assert!(shows(100), "and broken again");
    assert!(shows(20), "a clock that was set back hides nothing");
}

#[test]
fn the_end_of_a_login_is_shown_at_each_stage_once_and_then_every_day() {
    let (_scratch, state, owner) = scratch();
    let login = login("g", at(7 * 24));
    let mut shown = Vec::new();
    for hours in (0..10 * 24).step_by(6) {
        leave(&state, &found(&login, at(hours), Some(Verification::Ok)), Mode::Sync);
        if take_due_line(&state, owner, at(hours)).is_some() {
            shown.push(hours);
        }
    }
    // Looked at every six hours, what is shown again after 16 is shown after 18.
    assert_eq!(shown, [0, 4 * 24, 6 * 24, 7 * 24, 7 * 24 + 18, 7 * 24 + 36, 7 * 24 + 54]);
}

#[test]
fn what_only_lapses_stays_while_it_is_refreshed_and_goes_once_somebody_signed_in_anew() {
    let (_scratch, state, _) = scratch();
    let text = || shown(&state.path(FILE_NAME));
    let (first, next) = (login("one", at(50)), login("two", at(50)));
    let with_address = Outcome {
        sign_in_as: crate::claude_files::email::Email::parse("alice@example.org"),
        ..found(&first, at(0), Some(Verification::Ok))
    };
    assert_eq!(leave(&state, &with_address, Mode::Sync).as_deref(), Some("login-lapses-in-3-days"));
    let said = text().expect("shown");
    assert!(
        said.contains("login lapses on 2 Dec, in 2 days; ") && said.contains("--email alice@example.org"),
        "{said}"
    );

    leave(&state, &found(&next, at(1), None), Mode::Login);
    assert_eq!(text(), Some(said), "a refreshed login ends on the same day, and a login knows no address");
    leave(&state, &found(&next, at(30), None), Mode::Login);
    assert!(text().is_some_and(|text| text.contains("within a day")), "but it can count days: {:?}", text());
    leave(&state, &found(&login("three", at(700)), at(30), None), Mode::Login);
    assert_eq!(text(), None);
}

#[test]
fn an_outage_does_not_turn_a_dead_login_into_one_that_only_lapses() {
    let (_scratch, state, _) = scratch();
    let login = login("one", at(50));
    let causes = [
        Some(Verification::Rejected { account_level: false }),
        Some(Verification::Inconclusive("529".into())),
        None,
        Some(Verification::Ok),
    ]
    .map(|verdict| leave(&state, &found(&login, at(0), verdict), Mode::Sync));
    let causes: Vec<_> = causes.iter().map(Option::as_deref).collect();
    let (dead, lapses) = (Some("login-rejected"), Some("login-lapses-in-3-days"));
    assert_eq!(causes, [dead, dead, dead, lapses]);
}

#[test]
fn where_it_cannot_be_noted_it_is_shown_and_nothing_is_waited_for() {
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
    let held = state.lock(StateLock::State, &Deadline::after(PATIENCE)).expect("free");
    assert!(shows() && shows(), "somebody holds the lock for ever");
    drop(held);
    assert!(shows() && !shows(), "nothing known of it: shown, and noted");
}

#[test]
fn of_shells_that_open_together_one_shows_it() {
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
fn only_what_can_be_printed_reaches_a_terminal() {
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
