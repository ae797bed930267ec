//! What a person is told, and when.

use super::super::{Note, Source};
use super::*;
use crate::credential::expiry::Kind;
use crate::credential::expiry_warning::Stage;
use crate::credential::fingerprint::Generation;
use crate::credential::login::{LoginSummary, Owner};
use crate::store::Failure;
use crate::time::timestamp::Timestamp;

const REJECTED: Verdict = Verdict::Rejected { account_level: false };
const REFUSED: Verdict = Verdict::Rejected { account_level: true };

fn login() -> LoginSummary {
    LoginSummary {
        generation: Generation::of("r"),
        expires_at: Timestamp::from_millis(1),
        login_expires_at: None,
        owner: Owner::default(),
    }
}

fn after(status: Status, finding: Finding) -> Need {
    let outcome = Outcome::new(status, finding);
    let need = outcome.notice().need;
    let is_shown = matches!(need, Need::Act(_));
    assert!(is_shown || outcome.exit_code() != 79, "79 says that a person must sign in: {outcome}");
    need
}

#[test]
fn it_is_shown_exactly_when_the_person_has_to_act_and_names_the_remedy() {
    let token = || Fingerprint::of("t");
    let (fail, restored) = (Status::Fail, |verdict| Finding::Restored {
        login: login(),
        is_fresh: true,
        source: Source::Store,
        verdict: Some(verdict),
    });
    let lost = || Finding::Beyond { state: "\u{1b}[31mä".repeat(300) };
    let rows = [
        (Finding::SetupToken { token: token(), verdict: Some(REJECTED) }, "claude setup-token"),
        (Finding::SetupToken { token: token(), verdict: Some(REFUSED) }, "administrator"),
        (Finding::Login { login: login(), verdict: Some(REJECTED) }, "cas-sync login"),
        (Finding::Login { login: login(), verdict: Some(REFUSED) }, "administrator"),
        (Finding::Stale { login: login(), verdict: Some(REJECTED) }, "cas-sync login"),
        (restored(REJECTED), "cas-sync login"),
        (lost(), "cas-sync login"),
        (Finding::Spent { login: login(), is_certain: true }, "cas-sync login"),
    ];
    for (finding, remedy) in rows {
        let Need::Act(Line { text, .. }) = after(fail, finding.clone()) else {
            panic!("not shown: {finding}")
        };
        assert!(text.contains(remedy), "{text}");
        assert!(text.len() <= MAX_LEN && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    }
}

#[test]
fn the_address_is_in_the_command_where_there_is_room_for_it() {
    for (address, is_named) in
        [("alice@example.org", true), (&*format!("{}@example.org", "a".repeat(90)), false)]
    {
        let finding = Finding::Beyond { state: "x".into() };
        let sign_in_as = crate::credential::email::Address::parse(address);
        let outcome = Outcome { sign_in_as, ..Outcome::new(Status::Fail, finding) };
        let Need::Act(line) = outcome.notice().need else { panic!("not shown") };
        let command = format!("run `cas-sync login --email {address}`");
        assert_eq!(line.text.ends_with(&command), is_named, "{}", line.text);
        assert!(line.text.len() <= MAX_LEN && line.text.contains("cas-sync login"), "{}", line.text);
        assert!(outcome.to_string().contains(&command), "the log has room: {outcome}");
    }
}

#[test]
fn every_cause_says_how_urgent_it_is() {
    let kinds = [Kind::Login, Kind::SetupToken];
    let stages = [Stage::Month, Stage::Week, Stage::ThreeDays, Stage::Day, Stage::Passed];
    for lapsing in kinds.iter().flat_map(|kind| stages.map(|stage| Cause::Lapsing(*kind, stage))) {
        assert_eq!(Urgency::of(Some(lapsing.word())), Urgency::Lapsing, "{lapsing:?}");
    }
    use Cause::{AccountRefused, LoginLost, LoginRejected, LoginSpent, SetupTokenRejected};
    for cause in [AccountRefused, LoginLost, LoginRejected, LoginSpent, SetupTokenRejected] {
        assert_eq!(Urgency::of(Some(cause.word())), Urgency::MustAct, "{cause:?}");
    }
    assert_eq!(Urgency::of(None), Urgency::Good);
}

/// The longest there are: with a year, a bound and the longest command.
#[test]
fn what_is_said_of_an_end_fits_as_well() {
    use crate::credential::expiry::{Certainty, EARLIEST, Lapse};
    use crate::credential::expiry_warning::Lapsing;
    let now = Timestamp::from_millis(1_796_040_000_000);
    for kind in [Kind::Login, Kind::SetupToken] {
        for at in [EARLIEST, now.plus(std::time::Duration::from_secs(29 * 86400))] {
            for certainty in [Certainty::Stated, Certainty::Reckoned, Certainty::AtTheLatest] {
                let lapse = Lapse { at, certainty };
                let lapsing = Lapsing::at(now, kind, lapse);
                let outcome = Outcome {
                    lapsing,
                    ..Outcome::new(Status::Ok, Finding::Login { login: login(), verdict: None })
                };
                let Some(line) = outcome.notice().lapsing else { continue };
                assert!(line.text.len() <= MAX_LEN, "{}", line.text);
                assert!(line.text.ends_with('`'), "the remedy: {}", line.text);
            }
        }
    }
}

#[test]
fn it_goes_once_the_credential_is_shown_to_work_or_is_another_one() {
    let (token, generation) = (Fingerprint::of("t"), Generation::of("r"));
    let unknown = || Some(Verdict::Unknown("529".into()));
    let of = |verdict| Finding::Login { login: login(), verdict };
    let rows = [
        (Status::Ok, of(Some(Verdict::Ok)), Need::Nothing),
        (Status::Ok, of(Some(Verdict::Limited)), Need::Nothing),
        (Status::Ok, Finding::SetupToken { token, verdict: Some(Verdict::Ok) }, Need::Nothing),
        (Status::Ok, of(None), Need::NothingUnlessAbout(generation)),
        (Status::Warn, of(unknown()), Need::NothingUnlessAbout(generation)),
        (Status::Warn, Finding::SetupToken { token, verdict: unknown() }, Need::NothingUnlessAbout(token)),
        (Status::Ok, Finding::SetupToken { token, verdict: None }, Need::NothingUnlessAbout(token)),
        (Status::Ok, Finding::Stale { login: login(), verdict: None }, Need::NothingUnlessAbout(generation)),
        (Status::Ok, Finding::Refreshing(login()), Need::NothingUnlessAbout(generation)),
        (Status::Warn, Finding::Spent { login: login(), is_certain: false }, Need::Unknown),
        (Status::Warn, Finding::Unmended { state: "s".into(), why: "w".into() }, Need::Unknown),
        (Status::Warn, Finding::LeftAlone("w".into()), Need::Unknown),
        (Status::Fail, Finding::Misconfigured("w".into()), Need::Unknown),
        (Status::Ok, Finding::NoLogin, Need::Unknown),
        (Status::Skip, Finding::Busy, Need::Unknown),
    ];
    for (status, finding, expected) in rows {
        assert_eq!(after(status, finding.clone()), expected, "{finding}");
    }
}

/// What only an admin can mend leaves a person's login working: their shell says nothing about it.
#[test]
fn an_admins_business_is_not_put_to_the_person() {
    let refused = Note::Store(Failure::Refused { reason: "403".into(), remedy: "ask".into() });
    let finding = Finding::Login { login: login(), verdict: Some(Verdict::Ok) };
    let notes = vec![refused, Note::Token("expired".into())];
    let outcome = Outcome { notes, ..Outcome::new(Status::Fail, finding) };
    assert_eq!(outcome.notice(), Notice { need: Need::Nothing, lapsing: None });
}
