//! The notice: the one calm line for the person themselves, shown by their shell while it is they who have to act, or will
//! have to soon. It is rendered from the same [`Outcome`] as the log line. An admin's business (the store, the
//! configuration) is not theirs.

use std::fmt;

use super::text::{self, RENEW_TOKEN, SIGN_IN, SPENT};
use super::{Finding, Outcome, Status};
use crate::fingerprint::Fingerprint;
use crate::lapse::Kind;
use crate::lapsing::Stage;
use crate::verdict::Verdict;

/// The longest notice, in bytes: it should fit on two lines of a terminal.
pub const MAX_LEN: usize = 200;

/// What becomes of the notice after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the person has to act.
    pub need: Need,
    /// What they are told where they do not have to: that their credential lapses soon.
    pub lapsing: Option<Line>,
}

/// Whether the person has to act, as far as a run can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// They do, and are told so.
    Act(Line),
    /// There is nothing for them to do.
    Nothing,
    /// There is nothing for them to do, unless it was for this very credential that they had to: it lies there whole, and this
    /// run did not find out whether it works.
    NothingUnlessAbout(Fingerprint),
    /// This run cannot tell.
    Unknown,
}

/// What a person is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// One line of printable ASCII, at most [`MAX_LEN`] bytes, that ends in the remedy.
    pub text: String,
    /// Why.
    pub cause: Cause,
    /// Which credential, or which day, it is about: the same cause with another one is news.
    pub about: String,
    /// Whether it is shown again every day, and not only once.
    pub is_daily: bool,
}

/// Why a person is shown something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server refuses their account or organisation.
    AccountRefused,
    /// The server refuses their setup-token.
    SetupTokenRejected,
    /// The server refuses their login.
    LoginRejected,
    /// Their login is broken, and there is no copy.
    LoginLost,
    /// An old copy of their login lies there.
    LoginSpent,
    /// Their credential lapses soon, or should have.
    Lapsing(Kind, Stage),
}

impl Cause {
    /// In one word, for programs: a word never changes its meaning.
    pub fn word(self) -> &'static str {
        match self {
            Self::AccountRefused => "account-refused",
            Self::SetupTokenRejected => "setup-token-rejected",
            Self::LoginRejected => "login-rejected",
            Self::LoginLost => "login-lost",
            Self::LoginSpent => "login-spent",
            Self::Lapsing(Kind::Login, Stage::Month | Stage::Week) => "login-lapses-in-7-days",
            Self::Lapsing(Kind::Login, Stage::ThreeDays) => "login-lapses-in-3-days",
            Self::Lapsing(Kind::Login, Stage::Day) => "login-lapses-in-1-day",
            Self::Lapsing(Kind::Login, Stage::Passed) => "login-lapsed",
            Self::Lapsing(Kind::SetupToken, Stage::Month) => "setup-token-lapses-in-30-days",
            Self::Lapsing(Kind::SetupToken, Stage::Week | Stage::ThreeDays | Stage::Day) => {
                "setup-token-lapses-in-7-days"
            }
            Self::Lapsing(Kind::SetupToken, Stage::Passed) => "setup-token-lapsed",
        }
    }
}

/// How much a notice asks of its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing.
    Good,
    /// Something within days.
    Lapsing,
    /// Something now.
    MustAct,
}

impl Urgency {
    /// That of a notice with this [`Cause::word`], or of none.
    pub fn of(cause: Option<&str>) -> Self {
        match cause {
            None => Self::Good,
            Some(word) if word.contains("-lapse") => Self::Lapsing,
            Some(_) => Self::MustAct,
        }
    }
}

/// One word, for programs.
impl fmt::Display for Urgency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Good => "good",
            Self::Lapsing => "lapsing",
            Self::MustAct => "must-act",
        })
    }
}

impl Outcome {
    /// What becomes of the person's notice.
    pub fn notice(&self) -> Notice {
        Notice { need: self.need(), lapsing: self.line_of_the_end() }
    }

    fn need(&self) -> Need {
        if let Some((cause, text)) = self.what_the_person_must_do() {
            return Need::Act(self.line(cause, &text));
        }
        match (&self.finding, self.verdict()) {
            (_, Some(verdict)) if verdict.is_alive() => Need::Nothing,
            (Finding::SetupToken { token, .. }, _) => Need::NothingUnlessAbout(*token),
            (
                Finding::Login { login, .. }
                | Finding::Stale { login, .. }
                | Finding::Restored { login, .. }
                | Finding::Refreshing(login),
                _,
            ) => Need::NothingUnlessAbout(login.generation),
            _ => Need::Unknown,
        }
    }

    fn what_the_person_must_do(&self) -> Option<(Cause, String)> {
        match (&self.finding, self.verdict()) {
            _ if self.status != Status::Fail => None,
            (_, Some(Verdict::Rejected { account_level: true })) => Some((
                Cause::AccountRefused,
                "your account or organisation is refused by the server; ask its administrator".into(),
            )),
            (Finding::SetupToken { .. }, Some(Verdict::Rejected { .. })) => Some((
                Cause::SetupTokenRejected,
                format!("your setup-token is rejected by the server; {RENEW_TOKEN}"),
            )),
            (_, Some(Verdict::Rejected { .. })) => {
                Some((Cause::LoginRejected, format!("your login is rejected by the server; {SIGN_IN}")))
            }
            (Finding::Beyond { .. }, _) => Some((
                Cause::LoginLost,
                format!("your login is lost and there is no good copy to put back; {SIGN_IN}"),
            )),
            (Finding::Spent { is_certain: true, .. }, _) => Some((
                Cause::LoginSpent,
                format!("your login file holds an old copy that is used up; {SPENT}"),
            )),
            _ => None,
        }
    }

    fn line(&self, cause: Cause, text: &str) -> Line {
        let credential = match &self.finding {
            Finding::SetupToken { token, .. } => Some(*token),
            finding => finding.login().map(|login| login.generation),
        };
        let about = credential.map(|credential| credential.to_string()).unwrap_or_default();
        Line { text: self.addressed(text), cause, about, is_daily: true }
    }

    fn line_of_the_end(&self) -> Option<Line> {
        let lapsing = self.lapsing?;
        Some(Line {
            text: self.addressed(&format!("your {}", text::of_the_end(&lapsing))),
            cause: Cause::Lapsing(lapsing.kind, lapsing.stage()),
            about: lapsing.lapse.at.to_string(),
            is_daily: lapsing.is_told_daily(),
        })
    }

    /// With the person's address in it, where that leaves room for the rest.
    fn addressed(&self, text: &str) -> String {
        let text = format!("Claude Code: {text}");
        let named = text::with_address(&text, self.sign_in_as.as_ref());
        if named.len() <= MAX_LEN { named } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Note, Source};
    use super::*;
    use crate::fingerprint::Generation;
    use crate::oauth_login::{LoginSummary, Owner};
    use crate::store::Failure;
    use crate::timestamp::Timestamp;

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
            assert!(
                text.len() <= MAX_LEN && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{text}"
            );
        }
    }

    #[test]
    fn the_address_is_in_the_command_where_there_is_room_for_it() {
        for (address, is_named) in
            [("alice@example.org", true), (&*format!("{}@example.org", "a".repeat(90)), false)]
        {
            let finding = Finding::Beyond { state: "x".into() };
            let sign_in_as = crate::address::Address::parse(address);
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
        use crate::lapse::{Certainty, EARLIEST, Lapse};
        use crate::lapsing::Lapsing;
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
            (
                Status::Warn,
                Finding::SetupToken { token, verdict: unknown() },
                Need::NothingUnlessAbout(token),
            ),
            (Status::Ok, Finding::SetupToken { token, verdict: None }, Need::NothingUnlessAbout(token)),
            (
                Status::Ok,
                Finding::Stale { login: login(), verdict: None },
                Need::NothingUnlessAbout(generation),
            ),
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
}
