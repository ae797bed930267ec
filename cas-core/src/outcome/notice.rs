//! The notice: the one calm line for the person themselves, shown by their shell while it is they who have to act. It is
//! rendered from the same [`Outcome`] as the log line. An admin's business (the store, the configuration) is not theirs.

use super::text::{RENEW_TOKEN, SIGN_IN, SPENT};
use super::{Finding, Outcome, Status};
use crate::fingerprint::Fingerprint;
use crate::verdict::Verdict;

/// The longest notice, in bytes: it should fit on two lines of a terminal.
pub const MAX_LEN: usize = 200;

/// What becomes of the notice after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The person has to act: one line of printable ASCII, at most [`MAX_LEN`] bytes, that ends in the remedy.
    Show(String),
    /// There is nothing for them to do.
    Clear,
    /// There is nothing for them to do, unless it was this very credential that the notice is about: it lies there whole,
    /// and this run did not find out whether it works.
    ClearUnlessAbout(Fingerprint),
    /// This run cannot tell.
    Keep,
}

impl Outcome {
    /// What becomes of the person's notice.
    pub fn notice(&self) -> Notice {
        if let Some(text) = self.what_the_person_must_do() {
            return Notice::Show(format!("Claude Code: {text}"));
        }
        match (&self.finding, self.verdict()) {
            (_, Some(verdict)) if verdict.is_alive() => Notice::Clear,
            (Finding::SetupToken { token, .. }, _) => Notice::ClearUnlessAbout(*token),
            (
                Finding::Login { login, .. }
                | Finding::Stale { login, .. }
                | Finding::Restored { login, .. }
                | Finding::Refreshing(login),
                _,
            ) => Notice::ClearUnlessAbout(login.generation),
            _ => Notice::Keep,
        }
    }

    fn what_the_person_must_do(&self) -> Option<String> {
        match (&self.finding, self.verdict()) {
            _ if self.status != Status::Fail => None,
            (_, Some(Verdict::Rejected { account_level: true })) => {
                Some("your account or organisation is refused by the server; ask its administrator".into())
            }
            (Finding::SetupToken { .. }, Some(Verdict::Rejected { .. })) => {
                Some(format!("your setup-token is rejected by the server; {RENEW_TOKEN}"))
            }
            (_, Some(Verdict::Rejected { .. })) => {
                Some(format!("your login is rejected by the server; {SIGN_IN}"))
            }
            (Finding::Beyond { .. }, _) => {
                Some(format!("your login is lost and there is no good copy to put back; {SIGN_IN}"))
            }
            (Finding::Spent { is_certain: true, .. }, _) => {
                Some(format!("your login file holds an old copy that is used up; {SPENT}"))
            }
            _ => None,
        }
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

    fn after(status: Status, finding: Finding) -> Notice {
        let outcome = Outcome::new(status, finding);
        let notice = outcome.notice();
        let is_shown = matches!(notice, Notice::Show(_));
        assert!(is_shown || outcome.exit_code() != 79, "79 says that a person must sign in: {outcome}");
        notice
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
            (
                Finding::Login { login: login(), verdict: Some(REJECTED) },
                "claude auth login --claudeai --sso",
            ),
            (Finding::Login { login: login(), verdict: Some(REFUSED) }, "administrator"),
            (
                Finding::Stale { login: login(), verdict: Some(REJECTED) },
                "claude auth login --claudeai --sso",
            ),
            (restored(REJECTED), "claude auth login --claudeai --sso"),
            (lost(), "claude auth login --claudeai --sso"),
            (Finding::Spent { login: login(), is_certain: true }, "claude auth login --claudeai --sso"),
        ];
        for (finding, remedy) in rows {
            let Notice::Show(text) = after(fail, finding.clone()) else { panic!("not shown: {finding}") };
            assert!(text.contains(remedy), "{text}");
            assert!(
                text.len() <= MAX_LEN && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{text}"
            );
        }
    }

    #[test]
    fn it_goes_once_the_credential_is_shown_to_work_or_is_another_one() {
        let (token, generation) = (Fingerprint::of("t"), Generation::of("r"));
        let unknown = || Some(Verdict::Unknown("529".into()));
        let of = |verdict| Finding::Login { login: login(), verdict };
        let rows = [
            (Status::Ok, of(Some(Verdict::Ok)), Notice::Clear),
            (Status::Ok, of(Some(Verdict::Limited)), Notice::Clear),
            (Status::Ok, Finding::SetupToken { token, verdict: Some(Verdict::Ok) }, Notice::Clear),
            (Status::Ok, of(None), Notice::ClearUnlessAbout(generation)),
            (Status::Warn, of(unknown()), Notice::ClearUnlessAbout(generation)),
            (
                Status::Warn,
                Finding::SetupToken { token, verdict: unknown() },
                Notice::ClearUnlessAbout(token),
            ),
            (Status::Ok, Finding::SetupToken { token, verdict: None }, Notice::ClearUnlessAbout(token)),
            (
                Status::Ok,
                Finding::Stale { login: login(), verdict: None },
                Notice::ClearUnlessAbout(generation),
            ),
            (Status::Ok, Finding::Refreshing(login()), Notice::ClearUnlessAbout(generation)),
            (Status::Warn, Finding::Spent { login: login(), is_certain: false }, Notice::Keep),
            (Status::Warn, Finding::Unmended { state: "s".into(), why: "w".into() }, Notice::Keep),
            (Status::Warn, Finding::LeftAlone("w".into()), Notice::Keep),
            (Status::Fail, Finding::Misconfigured("w".into()), Notice::Keep),
            (Status::Ok, Finding::NoLogin, Notice::Keep),
            (Status::Skip, Finding::Busy, Notice::Keep),
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
        assert_eq!(outcome.notice(), Notice::Clear);
    }
}
