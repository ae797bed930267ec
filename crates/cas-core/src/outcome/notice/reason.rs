//! Why a person is shown a notice, and how much that asks of them.

use std::fmt;

use crate::credential::expiry::CredentialKind;
use crate::credential::expiry_warning::WarningStage;

/// Why a person is shown something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeReason {
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
    Lapsing(CredentialKind, WarningStage),
}

impl NoticeReason {
    /// In one word, for programs: a word never changes its meaning.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountRefused => "account-refused",
            Self::SetupTokenRejected => "setup-token-rejected",
            Self::LoginRejected => "login-rejected",
            Self::LoginLost => "login-lost",
            Self::LoginSpent => "login-spent",
            Self::Lapsing(CredentialKind::Login, WarningStage::Within30Days | WarningStage::Within7Days) => {
                "login-lapses-in-7-days"
            }
            Self::Lapsing(CredentialKind::Login, WarningStage::Within3Days) => "login-lapses-in-3-days",
            Self::Lapsing(CredentialKind::Login, WarningStage::Within1Day) => "login-lapses-in-1-day",
            Self::Lapsing(CredentialKind::Login, WarningStage::Expired) => "login-lapsed",
            Self::Lapsing(CredentialKind::SetupToken, WarningStage::Within30Days) => {
                "setup-token-lapses-in-30-days"
            }
            Self::Lapsing(
                CredentialKind::SetupToken,
                WarningStage::Within7Days | WarningStage::Within3Days | WarningStage::Within1Day,
            ) => "setup-token-lapses-in-7-days",
            Self::Lapsing(CredentialKind::SetupToken, WarningStage::Expired) => "setup-token-lapsed",
        }
    }
}

/// How much a notice asks of its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing.
    None,
    /// Something within days.
    ExpiresSoon,
    /// Something now.
    ActionRequired,
}

impl Urgency {
    /// That of a notice with this [`NoticeReason::word`], or of none.
    pub fn of(cause: Option<&str>) -> Self {
        match cause {
            None => Self::None,
            Some(word) if word.contains("-lapse") => Self::ExpiresSoon,
            Some(_) => Self::ActionRequired,
        }
    }
}

/// One word, for programs.
impl fmt::Display for Urgency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "good",
            Self::ExpiresSoon => "lapsing",
            Self::ActionRequired => "must-act",
        })
    }
}
