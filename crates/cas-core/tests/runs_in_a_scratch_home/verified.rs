//! Runs with verification, and what each result leads to. The results are given here; other suites
//! obtain them from the real client.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::credential::verification::{Verification, Verifier};
use cas_core::fs::obstacle::Obstacle;
use cas_core::ledger::GenerationState;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_protocol::secret::Secret;

use crate::home::{CLEARED, HOUR, Home, NOW, file, login, login_with_account};

const REJECTED: Verification = Verification::Rejected { account_level: false };

/// Returns the given results, and records what was verified.
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

    fn refresh_in_place(&mut self) -> Result<Verification, Obstacle> {
        self.asked.borrow_mut().push("refresh".into());
        Ok((self.refresh_run)())
    }
}

/// Runs a sync with these results. Returns its outcome and what was verified.
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
    panic!("no refresh was expected")
}

fn credentials(home: &Home) -> PathBuf {
    home.paths().credentials_file
}

fn state(home: &Home, refresh_token: &str) -> Option<GenerationState> {
    home.state().ledger().expect("a ledger").generation_state(RefreshTokenId::from_bytes(refresh_token))
}

#[test]
fn valid_login_is_verified_and_backed_up() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    let (outcome, asked) = sync(&home, NOW, |_| Verification::Ok, unexpected);
    assert_eq!((outcome.status, asked), (Status::Ok, vec!["access-r1".into()]), "{outcome}");
    assert!(outcome.to_string().contains(", verified by inference; backed up"), "{outcome}");
    let (limited, _) = sync(&home, NOW, |_| Verification::RateLimited, unexpected);
    assert_eq!((limited.status, limited.exit_code()), (Status::Ok, 0), "{limited}");
    assert!(limited.to_string().contains("valid, usage limit reached"), "{limited}");
}

#[test]
fn inconclusive_verification_writes_nothing() {
    for (verdict, code) in
        [(Verification::Inconclusive("529".into()), 75), (Verification::ClientUnusable("too old".into()), 69)]
    {
        let home = Home::new();
        home.put(&file(&login("r1", NOW + 8 * HOUR)));
        let answer = verdict.clone();
        let (outcome, _) = sync(&home, NOW, move |_| answer.clone(), unexpected);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Warn, code), "{outcome}");
        assert!(!home.state().path("history.json").exists());
        assert_eq!(state(&home, "r1"), Some(GenerationState::Current), "only its sight is recorded");

        home.put(&file(&login("r1", NOW)));
        let (outcome, asked) = sync(&home, NOW, |_| Verification::Ok, move || verdict.clone());
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Warn, code), "{outcome}");
        assert_eq!(asked, ["refresh"]);
        assert!(!home.state().path("history.json").exists());
        assert_eq!(home.content(), file(&login("r1", NOW)));
    }
}

#[test]
fn refused_account_names_the_administrator() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    sync(&home, NOW, |_| Verification::Ok, unexpected);
    let refused = |_: &str| Verification::Rejected { account_level: true };
    let (outcome, _) = sync(&home, NOW + HOUR, refused, unexpected);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 1), "{outcome}");
    assert!(outcome.to_string().contains("ask its administrator"), "{outcome}");
    assert_eq!(state(&home, "r1"), Some(GenerationState::Current));

    home.put(CLEARED);
    let (outcome, _) = sync(&home, NOW + HOUR, refused, unexpected);
    assert_eq!(outcome.status, Status::Fail, "{outcome}");
    assert!(home.content().contains("access-r1"), "a backup is restored");
}

#[test]
fn expired_login_is_refreshed_and_backed_up() {
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
        (state(&home, "r1"), state(&home, "r2")),
        (Some(GenerationState::Superseded), Some(GenerationState::Current))
    );
    home.put(CLEARED);
    home.run(Mode::Login, NOW);
    assert!(home.content().contains("access-r2"));
}

#[test]
fn access_token_rejected_early_is_refreshed() {
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
fn restored_expired_login_is_refreshed() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    home.run(Mode::Sync, NOW - 2 * HOUR);
    home.put(CLEARED);
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
fn refresh_result_is_not_attributed_to_a_new_sign_in() {
    let home = Home::new();
    home.put(&file(&login_with_account("r1", NOW, "one")));
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, file(&login_with_account("r2", NOW + 8 * HOUR, "another"))).expect("written");
        Verification::Ok
    };
    let (outcome, asked) = sync(&home, NOW, |_| Verification::RateLimited, refresh);
    assert_eq!(asked, ["refresh", "access-r2"], "the new login is verified itself");
    assert!(outcome.to_string().contains("usage limit reached"), "{outcome}");
}

#[test]
fn token_exchanged_during_verification_is_not_rejected() {
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
    assert_eq!(state(&home, "r1"), Some(GenerationState::Superseded), "not rejected");
}

#[test]
fn rejected_refresh_requires_a_sign_in() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    home.run(Mode::Login, NOW);
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, CLEARED).expect("written");
        Verification::Ok // the old access token was accepted once more
    };
    let (outcome, asked) = sync(&home, NOW, |_| REJECTED, refresh);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
    assert_eq!((asked, state(&home, "r1")), (vec!["refresh".into()], Some(GenerationState::Rejected)));
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.exit_code(), asked, home.content()), (79, vec![], CLEARED.to_owned()));
}

/// Creates a home whose history has a backup that the verification rejects.
fn rejected_backup() -> Home {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home
}

#[test]
fn roll_back_keeps_members_written_meanwhile() {
    let cases = [
        (Some(CLEARED), r#","mcpOAuth":{"server":{"n":1.50}},"x":[1,  2],"new":true}"#),
        (Some("{torn"), r#"{"new":true}"#),
        (Some(r#"{"x":1}"#), r#"{"x":1,"new":true}"#),
        (None, r#"{"new":true}"#),
    ];
    for (broken, left) in cases {
        let home = rejected_backup();
        match broken {
            Some(content) => home.put(content),
            None => fs::remove_file(credentials(&home)).expect("deleted"),
        }
        let path = credentials(&home);
        let reject = move |_: &str| {
            let content = fs::read_to_string(&path).expect("restored");
            let with_a_key =
                format!("{},\"new\":true}}", content.trim_end().strip_suffix('}').expect("an object"));
            fs::write(&path, with_a_key).expect("a session writes a key of its own");
            REJECTED
        };
        let (outcome, asked) = sync(&home, NOW + HOUR, reject, unexpected);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
        assert!(outcome.to_string().contains("rejected by the Anthropic API"), "{outcome}");
        assert!(outcome.to_string().contains("restore rolled back"), "{outcome}");
        assert_eq!(asked, ["access-r1"]);
        assert!(home.content().ends_with(left), "{broken:?}: {}", home.content());
        assert!(!home.content().contains("access-r1"), "{broken:?}");
        let before = home.content();
        let (outcome, asked) = sync(&home, NOW + 2 * HOUR, |_| REJECTED, unexpected);
        assert_eq!((outcome.exit_code(), asked.len(), home.content()), (79, 0, before), "{outcome}");
    }
}

#[test]
fn roll_back_removes_a_file_that_did_not_exist() {
    let home = rejected_backup();
    fs::remove_file(credentials(&home)).expect("deleted");
    let (outcome, _) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
    assert!(!credentials(&home).exists());
}

#[test]
fn sync_rolls_back_a_rejected_restore_of_a_login() {
    let home = rejected_backup();
    home.put(CLEARED);
    assert_eq!(home.run(Mode::Login, NOW + HOUR).status, Status::Recovered);
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
    assert_eq!((asked, home.content()), (vec!["access-r1".into()], CLEARED.to_owned()));
    assert_eq!(home.run(Mode::Login, NOW + HOUR).status, Status::Fail, "no login restores it again");
    assert_eq!(home.content(), CLEARED);
}

#[test]
fn verified_restore_is_not_rolled_back() {
    let home = rejected_backup();
    home.put(CLEARED);
    home.run(Mode::Login, NOW + HOUR);
    sync(&home, NOW + HOUR, |_| Verification::Ok, unexpected);
    let path = credentials(&home);
    let refresh = move || {
        fs::write(&path, CLEARED).expect("written");
        REJECTED
    };
    let (outcome, asked) = sync(&home, NOW + 2 * HOUR, |_| REJECTED, refresh);
    assert_eq!(asked, ["access-r1", "refresh"], "Claude Code refreshes it");
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
}

#[test]
fn consumed_refresh_token_is_never_reused() {
    let home = Home::new();
    let old = file(&login("r1", NOW));
    home.put(&old);
    home.run(Mode::Login, NOW - HOUR);
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    home.run(Mode::Login, NOW);
    home.put(&old);
    let (outcome, asked) = sync(&home, NOW + HOUR, |_| REJECTED, unexpected);
    assert_eq!((outcome.exit_code(), asked.len()), (79, 0), "{outcome}");
    assert!(outcome.to_string().contains("an outdated login"), "{outcome}");
    assert_eq!(home.content(), old);
}

#[test]
fn sync_waits_for_a_refresh_in_progress() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW)));
    let lock = home.path().join(".claude/.oauth_refresh.lock");
    fs::create_dir(&lock).expect("a session is refreshing");
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
