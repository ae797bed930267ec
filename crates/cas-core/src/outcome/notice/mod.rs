//! The notice: the one calm line for the person themselves, shown by their shell while it is they who have to act, or will
//! have to soon. It is rendered from the same [`Outcome`] as the log line. An admin's business (the store, the
//! configuration) is not theirs.

mod reason;

pub use reason::{NoticeReason, Urgency};

use super::message::{self, RENEW_TOKEN, SIGN_IN, SPENT};
use super::{Finding, Outcome, Status};
use crate::credential::fingerprint::Fingerprint;
use crate::credential::verification::Verification;

/// The longest notice, in bytes: it should fit on two lines of a terminal.
pub const MAX_LEN: usize = 200;

/// What becomes of the notice after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the person has to act.
    pub action: UserAction,
    /// What they are told where they do not have to: that their credential lapses soon.
    pub expiry: Option<NoticeLine>,
}

/// Whether the person has to act, as far as a run can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// They do, and are told so.
    Required(NoticeLine),
    /// There is nothing for them to do.
    None,
    /// There is nothing for them to do, unless it was for this very credential that they had to: it lies there whole, and this
    /// run did not find out whether it works.
    NoneUnlessFor(Fingerprint),
    /// This run cannot tell.
    Unknown,
}

/// What a person is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeLine {
    /// One line of printable ASCII, at most [`MAX_LEN`] bytes, that ends in the remedy.
    pub text: String,
    /// Why.
    pub cause: NoticeReason,
    /// Which credential, or which day, it is about: the same cause with another one is news.
    pub about: String,
    /// Whether it is shown again every day, and not only once.
    pub is_daily: bool,
}

impl Outcome {
    /// What becomes of the person's notice.
    pub fn notice(&self) -> Notice {
        Notice { action: self.need(), expiry: self.line_of_the_end() }
    }

    fn need(&self) -> UserAction {
        if let Some((cause, text)) = self.what_the_person_must_do() {
            return UserAction::Required(self.line(cause, &text));
        }
        match (&self.finding, self.verdict()) {
            (_, Some(verdict)) if verdict.is_alive() => UserAction::None,
            (Finding::SetupToken { token, .. }, _) => UserAction::NoneUnlessFor(*token),
            (
                Finding::Login { login, .. }
                | Finding::Stale { login, .. }
                | Finding::Restored { login, .. }
                | Finding::Refreshing(login),
                _,
            ) => UserAction::NoneUnlessFor(login.generation),
            _ => UserAction::Unknown,
        }
    }

    fn what_the_person_must_do(&self) -> Option<(NoticeReason, String)> {
        match (&self.finding, self.verdict()) {
            _ if self.status != Status::Fail => None,
            (_, Some(Verification::Rejected { account_level: true })) => Some((
                NoticeReason::AccountRefused,
                "your account or organisation is refused by the server; ask its administrator".into(),
            )),
            (Finding::SetupToken { .. }, Some(Verification::Rejected { .. })) => Some((
                NoticeReason::SetupTokenRejected,
                format!("your setup-token is rejected by the server; {RENEW_TOKEN}"),
            )),
            (_, Some(Verification::Rejected { .. })) => Some((
                NoticeReason::LoginRejected,
                format!("your login is rejected by the server; {SIGN_IN}"),
            )),
            (Finding::Unrecoverable { .. }, _) => Some((
                NoticeReason::LoginLost,
                format!("your login is lost and there is no good copy to put back; {SIGN_IN}"),
            )),
            (Finding::StaleCopy { is_certain: true, .. }, _) => Some((
                NoticeReason::LoginSpent,
                format!("your login file holds an old copy that is used up; {SPENT}"),
            )),
            _ => None,
        }
    }

    fn line(&self, cause: NoticeReason, text: &str) -> NoticeLine {
        let credential = match &self.finding {
            Finding::SetupToken { token, .. } => Some(*token),
            finding => finding.login().map(|login| login.generation),
        };
        let about = credential.map(|credential| credential.to_string()).unwrap_or_default();
        NoticeLine { text: self.addressed(text), cause, about, is_daily: true }
    }

    fn line_of_the_end(&self) -> Option<NoticeLine> {
        let lapsing = self.lapsing?;
        Some(NoticeLine {
            text: self.addressed(&format!("your {}", message::of_the_end(&lapsing))),
            cause: NoticeReason::Lapsing(lapsing.kind, lapsing.stage()),
            about: lapsing.lapse.at.to_string(),
            is_daily: lapsing.repeats_daily(),
        })
    }

    /// With the person's address in it, where that leaves room for the rest.
    fn addressed(&self, text: &str) -> String {
        let text = format!("Claude Code: {text}");
        let named = message::with_login_email(&text, self.sign_in_as.as_ref());
        if named.len() <= MAX_LEN { named } else { text }
    }
}

#[cfg(test)]
mod tests;
