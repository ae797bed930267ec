use cas_core::config::Config;
use cas_core::credential::expiry::Dates;
use cas_core::credential::fingerprint::{Fingerprint, Generation};
use cas_core::credential::login::Owner;
use cas_core::credential::verification::Verdict;
use cas_core::ledger::Ledger;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::{Contact, DocumentFact, Done, EnvFileFact, Errand, Mode, Settings, Which};

use super::*;

const NOW: u64 = 1_790_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

fn days_from_now(days: i64) -> Timestamp {
    Timestamp::from_millis(NOW.checked_add_signed(days * DAY.cast_signed()).expect("in range"))
}

fn login(ends_in_days: Option<i64>) -> LoginSummary {
    LoginSummary {
        generation: Generation::of("r"),
        expires_at: Timestamp::from_millis(NOW + DAY / 4),
        login_expires_at: ends_in_days.map(days_from_now),
        owner: Owner::default(),
    }
}

fn facts(login: LocalLogin<LoginSummary>) -> Facts {
    Facts {
        now: Timestamp::from_millis(NOW),
        login,
        refreshing: false,
        ledger: Ledger::default(),
        history: Vec::new(),
        document: DocumentFact::NotRead,
        env_file: EnvFileFact::Absent,
        contact: Contact::default(),
        place: cas_core::credential::login_file::LoginPlace::File,
        asked_lately: false,
        settings: Settings {
            login_refresh_after: Duration::ZERO,
            ..Settings::from_config(&Config::default(), Mode::Hand(Errand::Verify(Which::InForce)))
        },
        done: Done::default(),
    }
}

fn days(days: u64) -> Demand {
    Demand { min_remaining: Duration::from_secs(days * 24 * 60 * 60), verified_within: None }
}

fn answer(facts: &Facts, demand: &Demand) -> Answer {
    judge(facts, None, demand).answer
}

#[test]
fn a_login_lasts_until_its_person_has_to_sign_in_and_not_until_its_access_token_ends() {
    for (ends, demanded, expected) in [
        (Some(5), 3, Answer::Lasts),
        (Some(3), 3, Answer::Lasts),
        (Some(2), 3, Answer::PersonMustAct),
        (Some(2), 0, Answer::Lasts),
        (Some(0), 0, Answer::PersonMustAct),
        (Some(-1), 0, Answer::PersonMustAct),
        (None, 0, Answer::CannotTell),
    ] {
        let found = facts(LocalLogin::Healthy(login(ends)));
        assert_eq!(answer(&found, &days(demanded)), expected, "{ends:?} {demanded}");
        let stale = facts(LocalLogin::Stale(login(ends)));
        assert_eq!(answer(&stale, &days(demanded)), expected, "stale {ends:?} {demanded}");
    }
}

#[test]
fn what_cannot_be_refreshed_lasts_as_long_as_its_access_token() {
    let old = login(Some(20));
    let mut found = facts(LocalLogin::Healthy(old.clone()));
    found.ledger.observe_file(&old, found.now);
    let later = LoginSummary { generation: Generation::of("s"), expires_at: days_from_now(1), ..old.clone() };
    found.ledger.observe_file(&later, found.now);
    assert_eq!(answer(&found, &days(0)), Answer::Lasts, "six hours");
    assert_eq!(answer(&found, &days(1)), Answer::PersonMustAct);

    let mut found = facts(LocalLogin::Healthy(old.clone()));
    found.ledger.observe_file(&old, found.now);
    found.ledger.observe_verdict(old.generation, &Verdict::Rejected { account_level: false });
    assert_eq!(answer(&found, &days(0)), Answer::PersonMustAct, "rejected");
}

#[test]
fn a_setup_token_goes_before_the_login_and_lasts_as_long_as_is_known() {
    let token = Fingerprint::of("t");
    let mut found = facts(LocalLogin::Healthy(login(Some(-1))));
    found.env_file = EnvFileFact::Token(token);
    assert_eq!(answer(&found, &days(0)), Answer::AskLater, "nobody has looked at it");
    let dates = Dates { minted_at: None, expires_at: Some(days_from_now(10)) };
    found.ledger.setup_tokens.observe_stored(token, dates, found.now);
    assert_eq!(answer(&found, &days(10)), Answer::Lasts);
    assert_eq!(answer(&found, &days(11)), Answer::PersonMustAct);

    let rejected = Some(Verdict::Rejected { account_level: false });
    let outcome = Outcome::new(Status::Fail, Finding::SetupToken { token, verdict: rejected });
    let known = State::after(&outcome, "alice", found.now, None);
    assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::PersonMustAct);
    found.env_file = EnvFileFact::Token(Fingerprint::of("another"));
    assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::AskLater, "it was of another one");
}

#[test]
fn a_date_that_is_only_reckoned_is_said_to_be() {
    let token = Fingerprint::of("t");
    let mut found = facts(LocalLogin::Absent);
    found.env_file = EnvFileFact::Token(token);
    found.ledger.setup_tokens.observe(token, found.now);
    let judgement = judge(&found, None, &days(3));
    assert_eq!(judgement.answer, Answer::Lasts);
    assert!(judgement.text.contains("364 d") || judgement.text.contains("365 d"), "{}", judgement.text);
    assert!(judgement.text.contains("at the latest"), "{}", judgement.text);
    assert!(judgement.credential.is_some_and(|credential| credential.lapse_is_estimated));
}

#[test]
fn where_there_is_no_login_it_counts_whether_one_may_come_back() {
    let good = login(Some(20));
    for broken in [LocalLogin::Tombstone, LocalLogin::Damaged("torn"), LocalLogin::Absent] {
        let mut found = facts(broken);
        assert_eq!(answer(&found, &days(0)), Answer::PersonMustAct);
        found.history.push(good.clone());
        assert_eq!(answer(&found, &days(0)), Answer::AskLater, "a copy is here");
        found.ledger.observe_file(&good, found.now);
        found.ledger.observe_verdict(good.generation, &Verdict::Rejected { account_level: false });
        assert_eq!(answer(&found, &days(0)), Answer::PersonMustAct, "it is a dead one");
        found.settings.store = StoreKind::Vault;
        assert_eq!(answer(&found, &days(0)), Answer::AskLater, "the store may have another");
        found.settings.oauth_backup = false;
        assert_eq!(answer(&found, &days(0)), Answer::PersonMustAct, "nothing is put back here");
        found.settings.oauth_backup = true;
        let beyond = Outcome::new(Status::Fail, Finding::Beyond { state: String::new() });
        let known = State::after(&beyond, "alice", found.now, None);
        assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::PersonMustAct, "it had none");
    }
    assert_eq!(answer(&facts(LocalLogin::Partial("no refresh token")), &days(0)), Answer::CannotTell);
    assert_eq!(answer(&facts(LocalLogin::Unreadable("a FIFO".into())), &days(0)), Answer::CannotTell);
}

#[test]
fn how_long_ago_it_was_verified_is_asked_of_what_lasts() {
    let found = facts(LocalLogin::Healthy(login(Some(20))));
    let demand = Demand { verified_within: Some(Duration::from_secs(3600)), ..days(3) };
    assert_eq!(answer(&found, &demand), Answer::AskLater, "never");
    for (minutes, expected) in [(59, Answer::Lasts), (61, Answer::AskLater)] {
        let finding = Finding::Login { login: login(Some(20)), verdict: Some(Verdict::Ok) };
        let at = Timestamp::from_millis(NOW - minutes * 60_000);
        let known = State::after(&Outcome::new(Status::Ok, finding), "alice", at, None);
        let judgement = judge(&found, Some(&known), &demand);
        assert_eq!((judgement.answer, judgement.verified_at), (expected, Some(at)), "{minutes}");
    }
    let lapsed = facts(LocalLogin::Healthy(login(Some(-1))));
    assert_eq!(answer(&lapsed, &demand), Answer::PersonMustAct, "that comes first");
}
