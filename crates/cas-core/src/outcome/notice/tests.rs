//! Tests of the notice's text and of its changes.

use super::super::{BackupLocation, Detail};
use super::*;
use crate::credential::expiry::CredentialKind;
use crate::credential::expiry_warning::WarningStage;
use crate::credential::fingerprint::RefreshTokenId;
use crate::credential::login::{LoginSummary, Owner};
use crate::fs::obstacle::{Obstacle, ObstacleKind};
use crate::store::StoreError;
use crate::time::timestamp::Timestamp;

const REJECTED: Verification = Verification::Rejected { account_level: false };
const REFUSED: Verification = Verification::Rejected { account_level: true };

fn login() -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    }
}

fn after(status: Status, finding: Finding) -> UserAction {
    let outcome = Outcome::new(status, finding);
    let need = outcome.notice().action;
    let is_shown = matches!(need, UserAction::Required(_));
    assert!(is_shown || outcome.exit_code() != 79, "79 means that the user must sign in: {outcome}");
    need
}

#[test]
fn notice_is_shown_if_the_user_must_act_and_names_a_remedy() {
    let token = || Fingerprint::from_bytes("t");
    let (fail, restored) = (Status::Fail, |verdict| Finding::Restored {
        login: login(),
        is_fresh: true,
        source: BackupLocation::Store,
        verdict: Some(verdict),
    });
    let obstructed = |kind| Finding::Obstructed {
        state: "s".into(),
        obstacle: Obstacle { kind, path: format!("/{}", "x".repeat(300)).into() },
    };
    let lost = || Finding::Unrecoverable { state: "\u{1b}[31mä".repeat(300) };
    let rows = [
        (Finding::SetupToken { token: token(), verdict: Some(REJECTED) }, "claude setup-token"),
        (Finding::SetupToken { token: token(), verdict: Some(REFUSED) }, "administrator"),
        (Finding::Login { login: login(), verdict: Some(REJECTED) }, "cas-sync login"),
        (Finding::Login { login: login(), verdict: Some(REFUSED) }, "administrator"),
        (Finding::Stale { login: login(), verdict: Some(REJECTED) }, "cas-sync login"),
        (restored(REJECTED), "cas-sync login"),
        (lost(), "cas-sync login"),
        (Finding::StaleCopy { login: login(), is_certain: true }, "cas-sync login"),
        (Finding::RestoreFailed { state: "s".into(), why: "w".into() }, "cas-sync doctor"),
        (obstructed(ObstacleKind::NoTicket), "cas-sync doctor"),
        (obstructed(ObstacleKind::Immutable), "cas-sync doctor"),
    ];
    for (finding, remedy) in rows {
        let UserAction::Required(NoticeLine { text, .. }) = after(fail, finding.clone()) else {
            panic!("not shown: {finding}")
        };
        assert!(text.contains(remedy), "{text}");
        assert!(text.len() <= MAX_LEN && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    }
}

#[test]
fn notice_includes_the_email_if_it_fits() {
    for (email, is_named) in
        [("alice@example.org", true), (&*format!("{}@example.org", "a".repeat(90)), false)]
    {
        let finding = Finding::Unrecoverable { state: "x".into() };
        let sign_in_as = crate::claude_files::email::Email::parse(email);
        let outcome = Outcome { sign_in_as, ..Outcome::new(Status::Fail, finding) };
        let UserAction::Required(line) = outcome.notice().action else { panic!("not shown") };
        let command = format!("run `cas-sync login --email {email}`");
        assert_eq!(line.text.ends_with(&command), is_named, "{}", line.text);
        assert!(line.text.len() <= MAX_LEN && line.text.contains("cas-sync login"), "{}", line.text);
        assert!(outcome.to_string().contains(&command), "the log has room: {outcome}");
    }
}

#[test]
fn every_reason_has_its_urgency() {
    let kinds = [CredentialKind::Login, CredentialKind::SetupToken];
    let stages = [
        WarningStage::Within30Days,
        WarningStage::Within7Days,
        WarningStage::Within3Days,
        WarningStage::Within1Day,
        WarningStage::Expired,
    ];
    for reason in kinds.iter().flat_map(|kind| stages.map(|stage| NoticeReason::Expiring(*kind, stage))) {
        assert_eq!(Urgency::from_reason(Some(reason.as_str())), Urgency::ExpiresSoon, "{reason:?}");
    }
    use NoticeReason::{AccountRefused, LoginLost, LoginRejected, LoginSuperseded, SetupTokenRejected};
    for cause in [AccountRefused, LoginLost, LoginRejected, LoginSuperseded, SetupTokenRejected] {
        assert_eq!(Urgency::from_reason(Some(cause.as_str())), Urgency::ActionRequired, "{cause:?}");
    }
    assert_eq!(Urgency::from_reason(None), Urgency::None);
}

/// The longest texts: with a year, a bound and the longest command.
#[test]
fn expiry_notice_fits_in_its_length() {
    use crate::credential::expiry::{Expiry, ExpirySource, MIN_PLAUSIBLE_TIME};
    use crate::credential::expiry_warning::ExpiryWarning;
    let now = Timestamp::from_millis(1_796_040_000_000);
    for kind in [CredentialKind::Login, CredentialKind::SetupToken] {
        for at in [MIN_PLAUSIBLE_TIME, now.saturating_add(std::time::Duration::from_secs(29 * 86400))] {
            for certainty in
                [ExpirySource::Declared, ExpirySource::FromCreationDate, ExpirySource::UpperBound]
            {
                let expiry_warning = ExpiryWarning::check(now, kind, Expiry { at, source: certainty });
                let outcome = Outcome {
                    expiry_warning,
                    ..Outcome::new(Status::Ok, Finding::Login { login: login(), verdict: None })
                };
                let Some(line) = outcome.notice().expiry else { continue };
                assert!(line.text.len() <= MAX_LEN, "{}", line.text);
                assert!(line.text.ends_with('`'), "the remedy: {}", line.text);
            }
        }
    }
}

#[test]
fn notice_ends_once_the_credential_is_valid_or_replaced() {
    let (token, generation) = (Fingerprint::from_bytes("t"), RefreshTokenId::from_bytes("r"));
    let unknown = || Some(Verification::Inconclusive("529".into()));
    let login_with = |verdict| Finding::Login { login: login(), verdict };
    let rows = [
        (Status::Ok, login_with(Some(Verification::Ok)), UserAction::None),
        (Status::Ok, login_with(Some(Verification::RateLimited)), UserAction::None),
        (Status::Ok, Finding::SetupToken { token, verdict: Some(Verification::Ok) }, UserAction::None),
        (Status::Ok, login_with(None), UserAction::NoneUnlessFor(generation)),
        (Status::Warn, login_with(unknown()), UserAction::NoneUnlessFor(generation)),
        (Status::Warn, Finding::SetupToken { token, verdict: unknown() }, UserAction::NoneUnlessFor(token)),
        (Status::Ok, Finding::SetupToken { token, verdict: None }, UserAction::NoneUnlessFor(token)),
        (Status::Ok, Finding::Stale { login: login(), verdict: None }, UserAction::NoneUnlessFor(generation)),
        (Status::Ok, Finding::Refreshing(login()), UserAction::NoneUnlessFor(generation)),
        (Status::Warn, Finding::StaleCopy { login: login(), is_certain: false }, UserAction::Unknown),
        (Status::Warn, Finding::RestoreFailed { state: "s".into(), why: "w".into() }, UserAction::Unknown),
        (Status::Warn, Finding::Skipped("w".into()), UserAction::Unknown),
        (Status::Fail, Finding::Misconfigured("w".into()), UserAction::Unknown),
        (Status::Ok, Finding::NoLogin, UserAction::Unknown),
        (Status::Skip, Finding::AnotherRunActive, UserAction::Unknown),
    ];
    for (status, finding, expected) in rows {
        assert_eq!(after(status, finding.clone()), expected, "{finding}");
    }
}

/// A problem that only an administrator can fix does not concern the user's shell.
#[test]
fn store_problem_is_not_part_of_the_notice() {
    let refused = Detail::Store(StoreError::Refused { reason: "403".into(), remedy: "ask".into() });
    let finding = Finding::Login { login: login(), verdict: Some(Verification::Ok) };
    let notes = vec![refused, Detail::StoreToken("expired".into())];
    let outcome = Outcome { notes, ..Outcome::new(Status::Fail, finding) };
    assert_eq!(outcome.notice(), Notice { action: UserAction::None, restored: None, expiry: None });
}
