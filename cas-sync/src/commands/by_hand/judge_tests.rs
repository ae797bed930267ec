use cas_core::config::Config;
use cas_core::credential::expiry::SetupTokenDates;
use cas_core::credential::fingerprint::{Fingerprint, RefreshTokenId};
use cas_core::credential::login::Owner;
use cas_core::credential::login_file::LoginPlace;
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

fn login(expires_in_days: Option<i64>) -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(NOW + DAY / 4),
        login_expires_at: expires_in_days.map(days_from_now),
        owner: Owner::default(),
    }
}

fn facts(login: LoginFileState<LoginSummary>) -> Facts {
    Facts {
        now: Timestamp::from_millis(NOW),
        login,
        sign_out: None,
        client_state: None,
        remnant: None,
        refreshing: false,
        ledger: Ledger::default(),
        history: Vec::new(),
        local_token: None,
        document: DocumentFact::NotRead,
        env_file: EnvFileFact::Absent,
        contact: StoreContact::default(),
        place: LoginPlace::File,
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

fn answer(facts: &Facts, requirements: &CheckRequirements) -> Answer {
    judge(facts, None, requirements).answer
}

#[test]
fn login_is_valid_until_the_user_must_sign_in() {
    for (expires, required, expected) in [
        (Some(5), 3, Answer::Ok),
        (Some(3), 3, Answer::Ok),
        (Some(2), 3, Answer::ActionRequired),
        (Some(2), 0, Answer::Ok),
        (Some(0), 0, Answer::ActionRequired),
        (Some(-1), 0, Answer::ActionRequired),
        (None, 0, Answer::Unknown),
    ] {
        let found = facts(LoginFileState::Valid(login(expires)));
        assert_eq!(answer(&found, &days(required)), expected, "{expires:?} {required}");
        let stale = facts(LoginFileState::AccessTokenExpired(login(expires)));
        assert_eq!(answer(&stale, &days(required)), expected, "stale {expires:?} {required}");
    }
}

#[test]
fn superseded_login_is_valid_as_long_as_its_access_token() {
    let old = login(Some(20));
    let mut found = facts(LoginFileState::Valid(old.clone()));
    found.ledger.record_login(&old, LoginPlace::File, found.now);
    let later = LoginSummary {
        generation: RefreshTokenId::from_bytes("s"),
        expires_at: days_from_now(1),
        ..old.clone()
    };
    found.ledger.record_login(&later, LoginPlace::File, found.now);
    assert_eq!(answer(&found, &days(0)), Answer::Ok, "six hours");
    assert_eq!(answer(&found, &days(1)), Answer::ActionRequired);

    let mut found = facts(LoginFileState::Valid(old.clone()));
    found.ledger.record_login(&old, LoginPlace::File, found.now);
    found.ledger.record_verification(
        old.generation,
        &Verification::Rejected { account_level: false },
        found.now,
    );
    assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "rejected");
}

#[test]
fn setup_token_is_checked_before_the_login() {
    let token = Fingerprint::from_bytes("t");
    let mut found = facts(LoginFileState::Valid(login(Some(-1))));
    found.env_file = EnvFileFact::Token(token);
    assert_eq!(answer(&found, &days(0)), Answer::Retry, "it was never synced");
    let dates = SetupTokenDates { minted_at: None, expires_at: Some(days_from_now(10)) };
    found.ledger.setup_tokens.record_from_store(token, dates, found.settings.store_id, found.now);
    assert_eq!(answer(&found, &days(10)), Answer::Ok);
    assert_eq!(answer(&found, &days(11)), Answer::ActionRequired);

    let rejected = Some(Verification::Rejected { account_level: false });
    let outcome = Outcome::new(Status::Fail, Finding::SetupToken { token, verdict: rejected });
    let known = StateReport::from_outcome(&outcome, "alice", found.now, None);
    assert_eq!(judge(&found, Some(&known), &days(0)).answer, Answer::ActionRequired);
    found.env_file = EnvFileFact::Token(Fingerprint::from_bytes("another"));
    assert_eq!(
        judge(&found, Some(&known), &days(0)).answer,
        Answer::Retry,
        "the report is about another token"
    );
}

#[test]
fn estimated_expiry_is_reported_as_estimated() {
    let token = Fingerprint::from_bytes("t");
    let mut found = facts(LoginFileState::Missing);
    found.env_file = EnvFileFact::Token(token);
    found.ledger.setup_tokens.record(token, found.now);
    let result = judge(&found, None, &days(3));
    assert_eq!(result.answer, Answer::Ok);
    assert!(result.text.contains("364 d") || result.text.contains("365 d"), "{}", result.text);
    assert!(result.text.contains("at the latest"), "{}", result.text);
    assert!(result.credential.is_some_and(|credential| credential.expiry_is_estimated));
}

#[test]
fn missing_login_is_a_retry_if_a_backup_may_exist() {
    let good = login(Some(20));
    for broken in [LoginFileState::ClearedByClient, LoginFileState::Invalid("torn"), LoginFileState::Missing]
    {
        let mut found = facts(broken);
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired);
        found.history.push(good.clone());
        assert_eq!(answer(&found, &days(0)), Answer::Retry, "there is a backup");
        found.ledger.record_login(&good, LoginPlace::File, found.now);
        found.ledger.record_verification(
            good.generation,
            &Verification::Rejected { account_level: false },
            found.now,
        );
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "the backup was rejected");
        found.settings.store = StoreKind::Vault;
        assert_eq!(answer(&found, &days(0)), Answer::Retry, "the store may have another");
        found.settings.oauth_backup = false;
        assert_eq!(answer(&found, &days(0)), Answer::ActionRequired, "backups are disabled");
        found.settings.oauth_backup = true;
        let unrecoverable = Outcome::new(Status::Fail, Finding::Unrecoverable { state: String::new() });
        let known = StateReport::from_outcome(&unrecoverable, "alice", found.now, None);
        assert_eq!(
            judge(&found, Some(&known), &days(0)).answer,
            Answer::ActionRequired,
            "the store had none"
        );
    }
    assert_eq!(
        answer(&facts(LoginFileState::NotRefreshable(NotRefreshable::without_token("not UTF-8"))), &days(0)),
        Answer::Unknown
    );
    assert_eq!(answer(&facts(LoginFileState::Unreadable("a FIFO".into())), &days(0)), Answer::Unknown);
}

#[test]
fn verification_age_is_checked_for_valid_credentials() {
    let found = facts(LoginFileState::Valid(login(Some(20))));
    let requirements = CheckRequirements { verified_within: Some(Duration::from_secs(3600)), ..days(3) };
    assert_eq!(answer(&found, &requirements), Answer::Retry, "never");
    for (minutes, expected) in [(59, Answer::Ok), (61, Answer::Retry)] {
        let finding = Finding::Login { login: login(Some(20)), verdict: Some(Verification::Ok) };
        let at = Timestamp::from_millis(NOW - minutes * 60_000);
        let known = StateReport::from_outcome(&Outcome::new(Status::Ok, finding), "alice", at, None);
        let result = judge(&found, Some(&known), &requirements);
        assert_eq!((result.answer, result.verified_at), (expected, Some(at)), "{minutes}");
    }
    let expired = facts(LoginFileState::Valid(login(Some(-1))));
    assert_eq!(answer(&expired, &requirements), Answer::ActionRequired, "the expiry comes first");
}
