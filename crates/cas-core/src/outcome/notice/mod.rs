//! The notice: one line that the user's shell shows while the user has to act, now or soon, and
//! once after a login was restored. It is rendered from the same [`Outcome`] as the log line.
//! Problems that only an administrator can fix (the store, the configuration) are not part of it.

mod reason;

pub use reason::{NoticeReason, Urgency};

use super::message::{self, OUTDATED, RENEW_TOKEN, SIGN_IN};
use super::{Detail, Finding, Outcome, Status};
use crate::credential::fingerprint::Fingerprint;
use crate::credential::verification::Verification;

/// The longest notice, in bytes, so that it fits on two or three lines of a terminal.
pub const MAX_LEN: usize = 200;

/// The change of the notice after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the user has to act.
    pub action: UserAction,
    /// What is shown once after a restore, if the user does not have to act.
    pub restored: Option<NoticeLine>,
    /// The expiry warning, which is shown if the user does not have to act.
    pub expiry: Option<NoticeLine>,
}

/// Whether the user has to act, as far as a run can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// The user has to act.
    Required(NoticeLine),
    /// The user does not have to act.
    None,
    /// The user does not have to act, unless the existing notice is about this credential: it is in
    /// the file and complete, and this run did not verify it.
    NoneUnlessFor(Fingerprint),
    /// This run cannot tell.
    Unknown,
}

/// The line that is shown to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeLine {
    /// One line of printable ASCII, at most [`MAX_LEN`] bytes, that ends in the remedy.
    pub text: String,
    /// The reason.
    pub reason: NoticeReason,
    /// The credential or the date it is about. The same reason with another value is a new notice.
    pub about: String,
    /// Whether it is repeated every day.
    pub is_daily: bool,
}

impl Outcome {
    /// Returns the change of the user's notice.
    pub fn notice(&self) -> Notice {
        Notice { action: self.user_action(), restored: self.restored_line(), expiry: self.expiry_line() }
    }

    fn user_action(&self) -> UserAction {
        if let Some((reason, text)) = self.required_action() {
            return UserAction::Required(self.line(reason, &text));
        }
        match (&self.finding, self.verdict()) {
            (_, Some(verdict)) if verdict.is_alive() => UserAction::None,
            (Finding::SignedOut(_), _) => UserAction::None,
            (Finding::SetupToken { token, .. }, _) => UserAction::NoneUnlessFor(*token),
            (Finding::UnrefreshedToken { token, .. }, _) => UserAction::NoneUnlessFor(token.fingerprint),
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

    fn required_action(&self) -> Option<(NoticeReason, String)> {
        match (&self.finding, self.verdict()) {
            _ if self.status != Status::Fail => None,
            (_, Some(Verification::Rejected { account_level: true })) => Some((
                NoticeReason::AccountRefused,
                "your account or organization is refused by the Anthropic API; ask its administrator".into(),
            )),
            (Finding::SetupToken { .. }, Some(Verification::Rejected { .. })) => Some((
                NoticeReason::SetupTokenRejected,
                format!("your setup-token is rejected by the Anthropic API; {RENEW_TOKEN}"),
            )),
            (_, Some(Verification::Rejected { .. })) => Some((
                NoticeReason::LoginRejected,
                format!("your login is rejected by the Anthropic API; {SIGN_IN}"),
            )),
            _ if self.notes.contains(&Detail::SetupTokenRejected) => Some((
                NoticeReason::SetupTokenRejected,
                format!("your new setup-token is rejected by the Anthropic API; {RENEW_TOKEN}"),
            )),
            _ if self.notes.contains(&Detail::SetupTokenRefused) => Some((
                NoticeReason::AccountRefused,
                "the account or organization of your new setup-token is refused by the Anthropic API; ask its administrator"
                    .into(),
            )),
            (Finding::Unrecoverable { .. }, _) => Some((
                NoticeReason::LoginLost,
                format!("your login is lost and there is no backup to restore; {SIGN_IN}"),
            )),
            (Finding::Obstructed { obstacle, .. }, _) => Some((
                NoticeReason::LoginObstructed,
                format!(
                    "your login cannot be restored or refreshed, because {}; run `cas-sync doctor`",
                    obstacle.kind.cause()
                ),
            )),
            (Finding::RestoreFailed { .. }, _) => Some((
                NoticeReason::RestoreFailed,
                "your login is lost and its backup could not be restored; run `cas-sync doctor`".into(),
            )),
            (Finding::StaleCopy { is_certain: true, .. }, _) => Some((
                NoticeReason::LoginSuperseded,
                format!("your login file contains an outdated login; {OUTDATED}"),
            )),
            _ => None,
        }
    }

    fn line(&self, reason: NoticeReason, text: &str) -> NoticeLine {
        let credential = match &self.finding {
            Finding::SetupToken { token, .. } => Some(*token),
            Finding::UnrefreshedToken { token, .. } => Some(token.fingerprint),
            finding => finding.login().map(|login| login.generation),
        };
        let about = credential.map(|credential| credential.to_string()).unwrap_or_default();
        NoticeLine { text: self.with_email(text), reason, about, is_daily: true }
    }

    fn restored_line(&self) -> Option<NoticeLine> {
        let Finding::Restored { source, .. } = &self.finding else { return None };
        let text = format!(
            "your login was lost and has been restored from {source}; no action is required, and background sessions continue at their next message"
        );
        Some(NoticeLine { is_daily: false, ..self.line(NoticeReason::LoginRestored, &text) })
    }

    fn expiry_line(&self) -> Option<NoticeLine> {
        let warning = self.expiry_warning?;
        Some(NoticeLine {
            text: self.with_email(&format!("your {}", message::expiry_text(&warning))),
            reason: NoticeReason::Expiring(warning.kind, warning.stage()),
            about: warning.expiry.at.to_string(),
            is_daily: warning.repeats_daily(),
        })
    }

    /// Adds the user's email to the command if the line stays short enough.
    fn with_email(&self, text: &str) -> String {
        let text = format!("Claude Code: {text}");
        let named = message::with_login_email(&text, self.sign_in_as.as_ref());
        if named.len() <= MAX_LEN { named } else { text }
    }
}

#[cfg(test)]
mod tests;
