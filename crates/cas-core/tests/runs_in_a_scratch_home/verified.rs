//! Runs that verify: what an answer of the server leads to. The answers are given here; that the real client gives them,
//! and that they are read rightly, is the matter of the suites with the real client.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::credential::verification::{Verification, Verifier};
use cas_core::ledger::GenerationState;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_protocol::secret::Secret;

use crate::home::{HOUR, Home, NOW, TOMBSTONE, file, login, login_of};

const REJECTED: Verification = Verification::Rejected { account_level: false };

/// Answers probes by token, and a refresh run by what it then does to the file.
struct Answers {
    probe: Box<dyn FnMut(&str) -> Verification>,
    refresh_run: Box<dyn FnMut() -> Verification>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Verifier for Answers {
    fn probe(&mut self, token: &Secret<String>) -> Verification {
        self.asked.borrow_mut().push(token.expose().clone());
        (self.probe)(token.expose())
    }

    fn refresh_in_place(&mut self) -> Verification {
        self.asked.borrow_mut().push("refresh".into());
        (self.refresh_run)()
    }
}

/// A sync with these answers; its outcome, and what was asked.
fn sync(
    home: &Home,
    now: u64,
    probe: impl FnMut(&str) -> Verification + 'static,
    refresh_run: impl FnMut() -> Verification + 'static,
) -> (Outcome, Vec<String>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let answers =
        Answers { probe: Box::new(probe), refresh_run: Box::new(refresh_run), asked: Rc::clone(&asked) };
    let outcome = home.verify(now, answers);
    let asked = asked.borrow().clone();
    (outcome, asked)
}

fn unexpected() -> Verification {
    panic!("no refresh run was called for")
}

fn credentials(home: &Home) -> PathBuf {
    home.paths().credentials_file
}

fn fate(home: &Home, refresh_token: &str) -> Option<GenerationState> {
    home.state().ledger().expect("a ledger").fate(RefreshTokenId::from_bytes(refresh_token))
}

#[test]
fn a_login_the_server_answers_is_verified_and_backed_up() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let (outcome, asked) = sync(&home, NOW, |_| Verification::Ok, unexpected);
    assert_eq!((outcome.status, asked), (Status::Ok, vec!["access-r1".into()]), "{outcome}");
    assert!(outcome.to_string().contains(", verified by inference; backed up"), "{outcome}");
    let (limited, _) = sync(&home, NOW, |_| Verification::RateLimited, unexpected);
    assert_eq!((limited.status, limited.exit_code()), (Status::Ok, 0), "{limited}");
    assert!(limited.to_string().contains("alive, its usage limit is reached"), "{limited}");
}

#[test]
fn what_says_nothing_about_a_login_writes_nothing() {
    for (verdict, code) in
        [(Verification::Inconclusive("529".into()), 75), (Verification::ClientUnusable("too old".into()), 69)]
    {
        let home = Home::new();
        home.put(&file(&login("r1", NOW + 8 * HOUR)));
        let answer = verdict.clone();
        let (outcome, _) = sync(&home, NOW, move |_| answer.clone(), unexpected);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Warn, code), "{outcome}");
        assert!(!home.state().path("history.json").exists());
        assert_eq!(fate(&home, "r1"), Some(GenerationState::Current), "only that it was seen");

        home.put(&file(&login("r1", NOW)));
        let (outcome, asked) = sync(&home, NOW, |_| Verification::Ok, move || verdict.clone());
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Warn, code), "{outcome}");
        assert_eq!(asked, ["refresh"]);
        assert!(!home.state().path("history.json").exists());
        assert_eq!(home.content(), file(&login("r1", NOW)));
    }
}

#[test]
fn a_refused_account_changes_nothing_and_says_whom_to_ask() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    sync(&home, NOW, |_| Verification::Ok, unexpected);
    let refused = |_: &str| Verification::Rejected { account_level: true };
    let (outcome, _) = sync(&home, NOW + HOUR, refused, unexpected);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 1), "{outcome}");
    assert!(outcome.to_string().contains("ask its administrator"), "{outcome}");
    assert_eq!(fate(&home, "r1"), Some(GenerationState::Current));

    home.put(TOMBSTONE);
    let (outcome, _) = sync(&home, NOW + HOUR, refused, unexpected);
    assert_eq!(outcome.status, Status::Fail, "{outcome}");
    assert!(home.content().contains("access-r1"), "a copy is good as soon as the account is");
}

#[test]
fn a_stale_login_is_refreshed_by_claude_itself_and_the_new_one_backed_up() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, file(&login("r2", NOW + 8 * HOUR))).expect("written");
        Verification::Ok
    };
    let (outcome, asked) = sync(&home, NOW, |_| REJECTED, refresh);
    assert_eq!((outcome.status, asked), (Status::Ok, vec!["refresh".into()]), "{outcome}");
    assert_eq!(
        (fate(&home, "r1"), fate(&home, "r2")),
        (Some(GenerationState::Superseded), Some(GenerationState::Current))
    );
    home.put(TOMBSTONE);
    home.run(Mode::Login, NOW);
    assert!(home.content().contains("access-r2"));
}

#[test]
fn a_token_that_ended_early_is_refreshed_too() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, file(&login("r2", NOW + 9 * HOUR))).expect("written");
        Verification::Ok
    };
    let (outcome, asked) = sync(&home, NOW, |_| REJECTED, refresh);
    assert_eq!(
        (outcome.status, asked),
        (Status::Ok, vec!["access-r1".into(), "refresh".into()]),
        "{outcome}"
    );
    assert!(matches!(&outcome.finding, Finding::Login { verdict: Some(Verification::Ok), .. }), "{outcome}");
}

#[test]
fn a_stale_copy_that_claude_then_refreshes_is_a_repair() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    home.run(Mode::Sync, NOW - 2 * HOUR);
    home.put(TOMBSTONE);
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, file(&login("r2", NOW + 8 * HOUR))).expect("written");
        Verification::Ok
    };
    let (outcome, asked) = sync(&home, NOW, |_| REJECTED, refresh);
    assert_eq!((outcome.status, asked), (Status::Recovered, vec!["refresh".into()]), "{outcome}");
    assert_eq!(outcome.login().map(|login| login.generation), Some(RefreshTokenId::from_bytes("r2")));
}

#[test]
fn what_a_refresh_showed_says_nothing_of_somebody_who_signed_in_meanwhile() {
    let home = Home::new();
    home.put(&file(&login_of("r1", NOW, "one")));
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, file(&login_of("r2", NOW + 8 * HOUR, "another"))).expect("written");
        Verification::Ok
    };
    let (outcome, asked) = sync(&home, NOW, |_| Verification::RateLimited, refresh);
    assert_eq!(asked, ["refresh", "access-r2"], "it is asked about itself");
    assert!(outcome.to_string().contains("its usage limit is reached"), "{outcome}");
}

#[test]
fn a_token_that_was_exchanged_while_it_was_probed_was_not_rejected() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let path = credentials(&home);
    let (outcome, asked) = sync(
        &home,
        NOW,
        move |token| match token {
            "access-r1" => {
                fs::write(&path, file(&login("r2", NOW + 9 * HOUR))).expect("a session refreshes");
                REJECTED
            }
            _ => Verification::Ok,
        },
        unexpected,
    );
    assert_eq!(asked, ["access-r1", "access-r2"]);
    assert_eq!(outcome.status, Status::Ok, "{outcome}");
    assert_eq!(fate(&home, "r1"), Some(GenerationState::Superseded), "and nothing worse");
}

#[test]
fn a_refused_refresh_leaves_it_to_the_person() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    home.run(Mode::Login, NOW);
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, TOMBSTONE).expect("written");
        Verification::Ok // the server took the old access token once more
    };
    let (outcome, asked) = sync(&home, NOW, |_| REJECTED, refresh);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
    assert_eq!((asked, fate(&home, "r1")), (vec!["refresh".into()], Some(GenerationState::Rejected)));
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.exit_code(), asked, home.content()), (79, vec![], TOMBSTONE.to_owned()));
}

/// The history has a copy whose access token looks good and is not.
fn spent_copy() -> Home {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home
}

#[test]
fn a_rejected_copy_makes_room_again_and_keys_written_meanwhile_stay() {
    let cases = [
        (Some(TOMBSTONE), r#","mcpOAuth":{"server":{"n":1.50}},"x":[1,  2],"new":true}"#),
        (Some("{torn"), r#"{"new":true}"#),
        (Some(r#"{"x":1}"#), r#"{"x":1,"new":true}"#),
        (None, r#"{"new":true}"#),
    ];
    for (broken, left) in cases {
        let home = spent_copy();
        match broken {
            Some(content) => home.put(content),
            None => fs::remove_file(credentials(&home)).expect("deleted"),
        }
        let path = credentials(&home);
        let reject = move |_: &str| {
            let content = fs::read_to_string(&path).expect("put back");
            let with_a_key =
                format!("{},\"new\":true}}", content.trim_end().strip_suffix('}').expect("an object"));
            fs::write(&path, with_a_key).expect("a session writes a key of its own");
            REJECTED
        };
        let (outcome, asked) = sync(&home, NOW + HOUR, reject, unexpected);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
        assert!(outcome.to_string().contains("rejected by the server"), "{outcome}");
        assert!(outcome.to_string().contains("what lay there before is back"), "{outcome}");
        assert_eq!(asked, ["access-r1"]);
        assert!(home.content().ends_with(left), "{broken:?}: {}", home.content());
        assert!(!home.content().contains("access-r1"), "{broken:?}");
        let before = home.content();
        let (outcome, asked) = sync(&home, NOW + 2 * HOUR, |_| REJECTED, unexpected);
        assert_eq!((outcome.exit_code(), asked.len(), home.content()), (79, 0, before), "{outcome}");
    }
}

#[test]
fn where_nothing_was_nothing_is_again() {
    let home = spent_copy();
    fs::remove_file(credentials(&home)).expect("deleted");
    let (outcome, _) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
    assert!(!credentials(&home).exists());
}

#[test]
fn what_a_login_put_back_is_taken_back_by_the_sync_that_finds_it_rejected() {
    let home = spent_copy();
    home.put(TOMBSTONE);
    assert_eq!(home.run(Mode::Login, NOW + HOUR).status, Status::Recovered);
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
    assert_eq!((asked, home.content()), (vec!["access-r1".into()], TOMBSTONE.to_owned()));
    assert_eq!(home.run(Mode::Login, NOW + HOUR).status, Status::Fail, "and no login tries it again");
    assert_eq!(home.content(), TOMBSTONE);
}

#[test]
fn what_was_shown_to_work_once_is_no_longer_taken_back() {
    let home = spent_copy();
    home.put(TOMBSTONE);
    home.run(Mode::Login, NOW + HOUR);
    sync(&home, NOW + HOUR, |_| Verification::Ok, unexpected);
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, TOMBSTONE).expect("written");
        REJECTED
    };
    let (outcome, asked) = sync(&home, NOW + 2 * HOUR, |_| REJECTED, refresh);
    assert_eq!(asked, ["access-r1", "refresh"], "Claude Code is asked, as the person would");
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
}

#[test]
fn a_spent_refresh_token_is_never_replayed_by_us() {
    let home = Home::new();
    let old = file(&login("r1", NOW));
    home.put(&old);
    home.run(Mode::Login, NOW - HOUR);
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    home.run(Mode::Login, NOW);
    home.put(&old);
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.exit_code(), asked.len()), (79, 0), "{outcome}");
    assert!(outcome.to_string().contains("an old copy again"), "{outcome}");
    assert_eq!(home.content(), old);
}

#[test]
fn a_refresh_that_is_under_way_is_waited_for_and_not_joined() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    let lock = home.path().join(".claude/.oauth_refresh.lock");
    fs::create_dir(&lock).expect("some session is refreshing");
    let made_at = UNIX_EPOCH + Duration::from_millis(NOW);
    fs::File::open(&lock).and_then(|lock| lock.set_modified(made_at)).expect("just now");
    let path = credentials(&home);
    let session = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        fs::write(&path, file(&login("r2", NOW + 8 * HOUR))).expect("written");
        fs::remove_dir(&lock).expect("released");
    });
    let (outcome, asked) = sync(&home, NOW, |_| Verification::Ok, unexpected);
    session.join().expect("no panic");
    assert_eq!((outcome.status, asked), (Status::Ok, vec!["access-r2".into()]), "{outcome}");
}
