use super::*;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::Owner;
use crate::fs::obstacle::{Obstacle, ObstacleKind};
use crate::time::timestamp::Timestamp;

fn outcome(status: Status, finding: Finding, notes: Vec<Detail>) -> Outcome {
    Outcome { notes, ..Outcome::new(status, finding) }
}

#[test]
fn outcome_maps_to_its_exit_status() {
    let login = LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let login_with = |verdict| Finding::Login { login: login.clone(), verdict: Some(verdict) };
    let stale_copy = |is_certain| Finding::StaleCopy { login: login.clone(), is_certain };
    let refused = || Detail::Store(StoreError::Refused { reason: "403".into(), remedy: "ask".into() });
    let unset = || Detail::Store(StoreError::Misconfigured { reason: "x".into(), remedy: "y".into() });
    let away = || Detail::Store(StoreError::Unreachable { reason: "refused".into() });
    let rejected = || Verification::Rejected { account_level: false };
    let obstructed = || Finding::Obstructed {
        state: String::new(),
        obstacle: Obstacle { kind: ObstacleKind::NoSpace, path: "/x".into() },
    };
    let (ok, warn, fail) = (Status::Ok, Status::Warn, Status::Fail);
    let rows = [
        (ok, login_with(Verification::RateLimited), vec![], 0),
        (fail, login_with(rejected()), vec![refused()], 79),
        (fail, login_with(Verification::Rejected { account_level: true }), vec![], 1),
        (warn, login_with(Verification::Inconclusive("529".into())), vec![], 75),
        (warn, login_with(Verification::ClientUnusable("old".into())), vec![away()], 69),
        (fail, login_with(Verification::ClientUnusable("old".into())), vec![refused()], 77),
        (fail, login_with(Verification::Inconclusive("529".into())), vec![refused()], 77),
        (warn, login_with(Verification::Ok), vec![away()], 75),
        (fail, login_with(Verification::Ok), vec![refused()], 77),
        (fail, login_with(Verification::Ok), vec![unset()], 78),
        (fail, login_with(Verification::Inconclusive("529".into())), vec![unset()], 78),
        (fail, login_with(rejected()), vec![unset()], 79),
        (fail, stale_copy(true), vec![], 79),
        (warn, stale_copy(false), vec![], 75),
        (fail, Finding::Unrecoverable { state: String::new() }, vec![], 79),
        (fail, Finding::LoginUnusable { state: String::new() }, vec![refused()], 79),
        (fail, Finding::RequestRefused(String::new()), vec![], 1),
        (warn, Finding::RestoreFailed { state: String::new(), why: String::new() }, vec![], 75),
        (fail, Finding::RestoreFailed { state: String::new(), why: String::new() }, vec![], 1),
        (fail, obstructed(), vec![], 1),
        (Status::Skip, obstructed(), vec![], 0),
        (fail, Finding::Misconfigured(String::new()), vec![], 78),
    ];
    for (status, finding, notes, code) in rows {
        let outcome = outcome(status, finding, notes);
        assert_eq!(outcome.exit_code(), code, "{outcome}");
    }
}

/// A script that treats status 1 as a failure must not fail for a month before the credential
/// expires.
#[test]
fn expiry_warning_alone_exits_with_status_0() {
    let login = |end| LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: Some(Timestamp::from_millis(end)),
        owner: Owner::default(),
    };
    let now = Timestamp::from_millis(1_796_040_000_000);
    let expiry = Expiry::for_login(&login(now.millis() + 1)).expect("an expiry");
    let expiry_warning = ExpiryWarning::check(now, crate::credential::expiry::CredentialKind::Login, expiry);
    assert!(expiry_warning.is_some());
    let login_with = |verdict| Finding::Login { login: login(1), verdict };
    let away = || Detail::Store(StoreError::Unreachable { reason: "refused".into() });
    let rows = [
        (login_with(Some(Verification::Ok)), vec![], 0),
        (login_with(None), vec![Detail::BackedUp(BackupLocation::Store)], 0),
        (
            Finding::SetupToken {
                token: Fingerprint::from_bytes("t"),
                verdict: Some(Verification::RateLimited),
            },
            vec![],
            0,
        ),
        (login_with(Some(Verification::Ok)), vec![away()], 75),
        (login_with(Some(Verification::Ok)), vec![Detail::NotBackedUp("x".into())], 1),
        (login_with(Some(Verification::Inconclusive("529".into()))), vec![], 75),
        (login_with(Some(Verification::ClientUnusable("old".into()))), vec![], 69),
    ];
    for (finding, notes, code) in rows {
        let outcome =
            Outcome { expiry: Some(expiry), expiry_warning, ..outcome(Status::Warn, finding, notes) };
        assert_eq!(outcome.exit_code(), code, "{outcome}");
        assert!(outcome.to_string().contains("expires on 30 Nov, within a day; "), "{outcome}");
    }
}

#[test]
fn problem_comes_first_in_the_text() {
    let verdict = Some(Verification::ClientUnusable("it is not installed".into()));
    let finding =
        Finding::SetupToken { token: crate::credential::fingerprint::Fingerprint::from_bytes("t"), verdict };
    let text = outcome(Status::Warn, finding, vec![]).to_string();
    assert_eq!(text, "claude cannot be used: it is not installed; setup-token in use, not verified");
}

#[test]
fn rejected_login_text_does_not_mention_a_refresh() {
    let login = LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let verdict = Some(Verification::Rejected { account_level: false });
    let text = outcome(Status::Fail, Finding::Stale { login, verdict }, vec![]).to_string();
    assert!(text.contains("rejected by the Anthropic API") && !text.contains("at its next start"), "{text}");
}
