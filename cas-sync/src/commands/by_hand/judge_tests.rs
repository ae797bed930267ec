use cas_core::config::Config;
use cas_core::credential::expiry::SetupTokenDates;
use cas_core::credential::fingerprint::{Fingerprint, RefreshTokenId};
use cas_core::credential::login::Owner;
use cas_core::credential::verification::Verification;
use cas_core::ledger::Ledger;
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::{Command, DocumentFact, EnvFileFact, Mode, Progress, Settings, StoreContact, Target};

use super::*;

const NOW: u64 = 1_790_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

fn days_from_now(days: i64) -> Timestamp {
    Timestamp::from_millis(NOW.checked_add_signed(days * DAY.cast_signed()).expect("in range"))
}

fn login(ends_in_days: Option<i64>) -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(NOW + DAY / 4),
        login_expires_at: ends_in_days.map(days_from_now),
        owner: Owner::default(),
    }
}

fn facts(login: LoginFileState<LoginSummary>) -> Facts {
    Facts {
        now: Timestamp::from_millis(NOW),
        login,
        remnant: None,
        refreshing: false,
        ledger: Ledger::default(),
        history: Vec::new(),
        document: DocumentFact::NotRead,
        env_file: EnvFileFact::Absent,
        contact: StoreContact::default(),
        asked_lately: false,
        settings: Settings {
            login_refresh_after: Duration::ZERO,
            ..Settings::from_config(&Config::default(), Mode::Command(Command::Verify(Target::Active)))
        },
        done: Progress::default(),
    }
}

fn days(days: u64) -> CheckRequirements {
    CheckRequirements { min_remaining: Duration::from_secs(days * 24 * 60 * 60), verified_within: None }
}

fn answer(facts: &Facts, demand: &CheckRequirements) -> Answer {
    judge(facts, None, demand).answer
}

#[test]
fn a_login_lasts_until_its_person_has_to_sign_in_and_not_until_its_access_token_ends() {
    for (ends, demanded, expected) in [
        (Some(5), 3, Answer::Ok),
        (Some(3), 3, Answer::Ok),
        (Some(2), 3, Answer::ActionRequired),
        (Some(2), 0, Answer::Ok),
        (Some(0), 0, Answer::ActionRequired),
        (Some(-1), 0, Answer::ActionRequired),
        (None, 0, Answer::Unknown),
    ] {
        let found = facts(LoginFileState::Valid(login(ends)));
        assert_eq!(answer(&found, &days(demanded)), expected, "{ends:?} {demanded}");
        let stale = facts(LoginFileState::AccessTokenExpired(login(ends)));
        assert_eq!(answer(&stale, &days(demanded)), expected, "stale {ends:?} {demanded}");
    }
}

#[test]
fn what_cannot_be_refreshed_lasts_as_long_as_its_access_token() {
    let old = login(Some(20));
    let mut found = facts(LoginFileState::Valid(old.clone()));
    found.ledger.record_login(&old, found.now);
    let later = LoginSummary {
        generation: RefreshTokenId::from_bytes("s"),
        expires_at: days_from_now(1),
        ..old.clone()
    };
    found.ledger.record_login(&later, found.now);
    assert_eq!(answer(&found, &days(0)), Answer::Ok, "six hours");
    assert_eq!(answer(&found, &days(1)), Answer::ActionRequired);

    let mut found = facts(LoginFileState::Valid(old.clone()));
    found.ledger.record_login(&old, found.now);
    found.ledger.record_verification(old.generation, &Verification::Rejected { account_level: false });
    assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "rejected");
}

#[test]
fn a_setup_token_goes_before_the_login_and_lasts_as_long_as_is_known() {
    let token = Fingerprint::from_bytes("t");
    let mut found = facts(LoginFileState::Valid(login(Some(-1))));
    found.env_file = EnvFileFact::Token(token);
    assert_eq!(answer(&found, &days(0)), Answer::Retry, "nobody has looked at it");
    let dates = SetupTokenDates { minted_at: None, expires_at: Some(days_from_now(10)) };
    found.ledger.setup_tokens.record_from_store(token, dates, found.now);
    assert_eq!(answer(&found, &days(10)), Answer::Ok);
    assert_eq!(answer(&found, &days(11)), Answer::ActionRequired);

    let rejected = Some(Verification::Rejected { account_level: false });
    let outcome = Outcome::new(Status::Fail, Finding::SetupToken { token, verdict: rejected });
    let known = StateReport::from_outcome(&outcome, "alice", found.now, None);
    assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::ActionRequired);
    found.env_file = EnvFileFact::Token(Fingerprint::from_bytes("another"));
    assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::Retry, "it was of another one");
}

#[test]
fn a_date_that_is_only_reckoned_is_said_to_be() {
    let token = Fingerprint::from_bytes("t");
    let mut found = facts(LoginFileState::Missing);
    found.env_file = EnvFileFact::Token(token);
    found.ledger.setup_tokens.record(token, found.now);
    let judgement = judge(&found, None, &days(3));
    assert_eq!(judgement.answer, Answer::Ok);
    assert!(judgement.text.contains("364 d") || judgement.text.contains("365 d"), "{}", judgement.text);
    assert!(judgement.text.contains("at the latest"), "{}", judgement.text);
    assert!(judgement.credential.is_some_and(|credential| credential.expiry_is_estimated));
}

#[test]
fn where_there_is_no_login_it_counts_whether_one_may_come_back() {
    let good = login(Some(20));
    for broken in [LoginFileState::ClearedByClient, LoginFileState::Invalid("torn"), LoginFileState::Missing]
    {
        let mut found = facts(broken);
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired);
        found.history.push(good.clone());
        assert_eq!(answer(&found, &days(0)), Answer::Retry, "a copy is here");
        found.ledger.record_login(&good, found.now);
        found.ledger.record_verification(good.generation, &Verification::Rejected { account_level: false });
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "it is a dead one");
        found.settings.store = StoreKind::Vault;
        assert_eq!(answer(&found, &days(0)), Answer::Retry, "the store may have another");
        found.settings.oauth_backup = false;
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "nothing is put back here");
        found.settings.oauth_backup = true;
        let beyond = Outcome::new(Status::Fail, Finding::Unrecoverable { state: String::new() });
        let known = StateReport::from_outcome(&beyond, "alice", found.now, None);
        assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::ActionRequired, "it had none");
    }
    assert_eq!(answer(&facts(LoginFileState::NotRefreshable("no refresh token")), &days(0)), Answer::Unknown);
    assert_eq!(answer(&facts(LoginFileState::Unreadable("a FIFO".into())), &days(0)), Answer::Unknown);
}

#[test]
fn how_long_ago_it_was_verified_is_asked_of_what_lasts() {
    let found = facts(LoginFileState::Valid(login(Some(20))));
    let demand = CheckRequirements { verified_within: Some(Duration::from_secs(3600)), ..days(3) };
    assert_eq!(answer(&found, &demand), Answer::Retry, "never");
    for (minutes, expected) in [(59, Answer::Ok), (61, Answer::Retry)] {
        let finding = Finding::Login { login: login(Some(20)), verdict: Some(Verification::Ok) };
        let at = Timestamp::from_millis(NOW - minutes * 60_000);
        let known = StateReport::from_outcome(&Outcome::new(Status::Ok, finding), "alice", at, None);
        let judgement = judge(&found, Some(&known), &demand);
        assert_eq!((judgement.answer, judgement.verified_at), (expected, Some(at)), "{minutes}");
    }
    let lapsed = facts(LoginFileState::Valid(login(Some(-1))));
    assert_eq!(answer(&lapsed, &demand), Answer::ActionRequired, "that comes first");
}
