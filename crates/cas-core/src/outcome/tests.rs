use super::*;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::Owner;
use crate::time::timestamp::Timestamp;

fn outcome(status: Status, finding: Finding, notes: Vec<Detail>) -> Outcome {
    Outcome { notes, ..Outcome::new(status, finding) }
}

#[test]
fn the_exit_code_tells_who_has_to_act() {
    let login = LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let of = |verdict| Finding::Login { login: login.clone(), verdict: Some(verdict) };
    let spent = |is_certain| Finding::StaleCopy { login: login.clone(), is_certain };
    let refused = || Detail::Store(StoreError::Refused { reason: "403".into(), remedy: "ask".into() });
    let unset = || Detail::Store(StoreError::Misconfigured { reason: "x".into(), remedy: "y".into() });
    let away = || Detail::Store(StoreError::Unreachable { reason: "refused".into() });
    let rejected = || Verification::Rejected { account_level: false };
    let (ok, warn, fail) = (Status::Ok, Status::Warn, Status::Fail);
    let rows = [
        (ok, of(Verification::RateLimited), vec![], 0),
        (fail, of(rejected()), vec![refused()], 79),
        (fail, of(Verification::Rejected { account_level: true }), vec![], 1),
        (warn, of(Verification::Inconclusive("529".into())), vec![], 75),
        (warn, of(Verification::ClientUnusable("old".into())), vec![away()], 69),
        (fail, of(Verification::ClientUnusable("old".into())), vec![refused()], 77),
        (fail, of(Verification::Inconclusive("529".into())), vec![refused()], 77),
        (warn, of(Verification::Ok), vec![away()], 75),
        (fail, of(Verification::Ok), vec![refused()], 77),
        (fail, of(Verification::Ok), vec![unset()], 78),
        (fail, of(Verification::Inconclusive("529".into())), vec![unset()], 78),
        (fail, of(rejected()), vec![unset()], 79),
        (fail, spent(true), vec![], 79),
        (warn, spent(false), vec![], 75),
        (fail, Finding::Unrecoverable { state: String::new() }, vec![], 79),
        (fail, Finding::LoginUnusable { state: String::new() }, vec![refused()], 79),
        (fail, Finding::RequestRefused(String::new()), vec![], 1),
        (fail, Finding::Misconfigured(String::new()), vec![], 78),
    ];
    for (status, finding, notes, code) in rows {
        let outcome = outcome(status, finding, notes);
        assert_eq!(outcome.exit_code(), code, "{outcome}");
    }
}

/// A unit, or a script, that takes 1 for a failure must not fail for a month before anything does.
#[test]
fn a_date_that_comes_near_is_a_warning_and_no_failure() {
    let login = |end| LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: Some(Timestamp::from_millis(end)),
        owner: Owner::default(),
    };
    let now = Timestamp::from_millis(1_796_040_000_000);
    let lapse = Expiry::for_login(&login(now.millis() + 1)).expect("an end");
    let lapsing = ExpiryWarning::check(now, crate::credential::expiry::CredentialKind::Login, lapse);
    assert!(lapsing.is_some());
    let of = |verdict| Finding::Login { login: login(1), verdict };
    let away = || Detail::Store(StoreError::Unreachable { reason: "refused".into() });
    let rows = [
        (of(Some(Verification::Ok)), vec![], 0),
        (of(None), vec![Detail::BackedUp(BackupLocation::Store)], 0),
        (
            Finding::SetupToken {
                token: Fingerprint::from_bytes("t"),
                verdict: Some(Verification::RateLimited),
            },
            vec![],
            0,
        ),
        (of(Some(Verification::Ok)), vec![away()], 75),
        (of(Some(Verification::Ok)), vec![Detail::NotBackedUp("x".into())], 1),
        (of(Some(Verification::Inconclusive("529".into()))), vec![], 75),
        (of(Some(Verification::ClientUnusable("old".into()))), vec![], 69),
    ];
    for (finding, notes, code) in rows {
        let outcome = Outcome { lapse: Some(lapse), lapsing, ..outcome(Status::Warn, finding, notes) };
        assert_eq!(outcome.exit_code(), code, "{outcome}");
        assert!(outcome.to_string().contains("lapses on 30 Nov, within a day; "), "{outcome}");
    }
}

#[test]
fn what_is_wrong_is_said_first() {
    let verdict = Some(Verification::ClientUnusable("it is not installed".into()));
    let finding =
        Finding::SetupToken { token: crate::credential::fingerprint::Fingerprint::from_bytes("t"), verdict };
    let text = outcome(Status::Warn, finding, vec![]).to_string();
    assert_eq!(text, "claude cannot be used: it is not installed; setup-token in use, not verified");
}

#[test]
fn a_rejected_login_is_not_said_to_be_refreshed_soon() {
    let login = LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let verdict = Some(Verification::Rejected { account_level: false });
    let text = outcome(Status::Fail, Finding::Stale { login, verdict }, vec![]).to_string();
    assert!(text.contains("rejected by the server") && !text.contains("at its next start"), "{text}");
}
