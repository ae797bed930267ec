use super::*;
use crate::credential::fingerprint::{Fingerprint, Generation};
use crate::credential::login::Owner;
use crate::time::timestamp::Timestamp;

fn outcome(status: Status, finding: Finding, notes: Vec<Note>) -> Outcome {
    Outcome { notes, ..Outcome::new(status, finding) }
}

#[test]
fn the_exit_code_tells_who_has_to_act() {
    let login = LoginSummary {
        generation: Generation::of("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let of = |verdict| Finding::Login { login: login.clone(), verdict: Some(verdict) };
    let spent = |is_certain| Finding::Spent { login: login.clone(), is_certain };
    let refused = || Note::Store(Failure::Refused { reason: "403".into(), remedy: "ask".into() });
    let unset = || Note::Store(Failure::Misconfigured { reason: "x".into(), remedy: "y".into() });
    let away = || Note::Store(Failure::Unreachable { reason: "refused".into() });
    let rejected = || Verdict::Rejected { account_level: false };
    let (ok, warn, fail) = (Status::Ok, Status::Warn, Status::Fail);
    let rows = [
        (ok, of(Verdict::Limited), vec![], 0),
        (fail, of(rejected()), vec![refused()], 79),
        (fail, of(Verdict::Rejected { account_level: true }), vec![], 1),
        (warn, of(Verdict::Unknown("529".into())), vec![], 75),
        (warn, of(Verdict::Unusable("old".into())), vec![away()], 69),
        (fail, of(Verdict::Unusable("old".into())), vec![refused()], 77),
        (fail, of(Verdict::Unknown("529".into())), vec![refused()], 77),
        (warn, of(Verdict::Ok), vec![away()], 75),
        (fail, of(Verdict::Ok), vec![refused()], 77),
        (fail, of(Verdict::Ok), vec![unset()], 78),
        (fail, of(Verdict::Unknown("529".into())), vec![unset()], 78),
        (fail, of(rejected()), vec![unset()], 79),
        (fail, spent(true), vec![], 79),
        (warn, spent(false), vec![], 75),
        (fail, Finding::Beyond { state: String::new() }, vec![], 79),
        (fail, Finding::Broken { state: String::new() }, vec![refused()], 79),
        (fail, Finding::NotDone(String::new()), vec![], 1),
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
        generation: Generation::of("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: Some(Timestamp::from_millis(end)),
        owner: Owner::default(),
    };
    let now = Timestamp::from_millis(1_796_040_000_000);
    let lapse = Lapse::of_login(&login(now.millis() + 1)).expect("an end");
    let lapsing = Lapsing::at(now, crate::credential::expiry::Kind::Login, lapse);
    assert!(lapsing.is_some());
    let of = |verdict| Finding::Login { login: login(1), verdict };
    let away = || Note::Store(Failure::Unreachable { reason: "refused".into() });
    let rows = [
        (of(Some(Verdict::Ok)), vec![], 0),
        (of(None), vec![Note::BackedUp(Source::Store)], 0),
        (Finding::SetupToken { token: Fingerprint::of("t"), verdict: Some(Verdict::Limited) }, vec![], 0),
        (of(Some(Verdict::Ok)), vec![away()], 75),
        (of(Some(Verdict::Ok)), vec![Note::NotBackedUp("x".into())], 1),
        (of(Some(Verdict::Unknown("529".into()))), vec![], 75),
        (of(Some(Verdict::Unusable("old".into()))), vec![], 69),
    ];
    for (finding, notes, code) in rows {
        let outcome = Outcome { lapse: Some(lapse), lapsing, ..outcome(Status::Warn, finding, notes) };
        assert_eq!(outcome.exit_code(), code, "{outcome}");
        assert!(outcome.to_string().contains("lapses on 30 Nov, within a day; "), "{outcome}");
    }
}

#[test]
fn what_is_wrong_is_said_first() {
    let verdict = Some(Verdict::Unusable("it is not installed".into()));
    let finding =
        Finding::SetupToken { token: crate::credential::fingerprint::Fingerprint::of("t"), verdict };
    let text = outcome(Status::Warn, finding, vec![]).to_string();
    assert_eq!(text, "claude cannot be used: it is not installed; setup-token in use, not verified");
}

#[test]
fn a_rejected_login_is_not_said_to_be_refreshed_soon() {
    let login = LoginSummary {
        generation: Generation::of("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    };
    let verdict = Some(Verdict::Rejected { account_level: false });
    let text = outcome(Status::Fail, Finding::Stale { login, verdict }, vec![]).to_string();
    assert!(text.contains("rejected by the server") && !text.contains("at its next start"), "{text}");
}
