//! The reason of a notice, and its urgency.

use std::fmt;

use crate::credential::expiry::CredentialKind;
use crate::credential::expiry_warning::WarningStage;

/// The reason of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeReason {
    /// The Anthropic API refuses the account or organization.
    AccountRefused,
    /// The Anthropic API rejects the setup token.
    SetupTokenRejected,
    /// The Anthropic API rejects the login.
    LoginRejected,
    /// The login is unusable, and there is no backup.
    LoginLost,
    /// The login file cannot be written.
    LoginObstructed,
    /// The login is unusable, and its backup could not be restored.
    RestoreFailed,
    /// An outdated login is in the file.
    LoginSuperseded,
    /// A lost login was restored. The user does not have to act.
    LoginRestored,
    /// The credential expires soon, or its expiry has passed.
    Expiring(CredentialKind, WarningStage),
}

impl NoticeReason {
    /// Returns the code for programs. A code never changes its meaning.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountRefused => "account-refused",
            Self::SetupTokenRejected => "setup-token-rejected",
            Self::LoginRejected => "login-rejected",
            Self::LoginLost => "login-lost",
            Self::LoginObstructed => "login-obstructed",
            Self::RestoreFailed => "restore-failed",
            Self::LoginSuperseded => "login-superseded",
            Self::LoginRestored => "login-restored",
            Self::Expiring(CredentialKind::Login, WarningStage::Within30Days | WarningStage::Within7Days) => {
                "login-expires-in-7-days"
            }
            Self::Expiring(CredentialKind::Login, WarningStage::Within3Days) => "login-expires-in-3-days",
            Self::Expiring(CredentialKind::Login, WarningStage::Within1Day) => "login-expires-in-1-day",
            Self::Expiring(CredentialKind::Login, WarningStage::Expired) => "login-expired",
            Self::Expiring(CredentialKind::SetupToken, WarningStage::Within30Days) => {
                "setup-token-expires-in-30-days"
            }
            Self::Expiring(
                CredentialKind::SetupToken,
                WarningStage::Within7Days | WarningStage::Within3Days | WarningStage::Within1Day,
            ) => "setup-token-expires-in-7-days",
            Self::Expiring(CredentialKind::SetupToken, WarningStage::Expired) => "setup-token-expired",
        }
    }
}

/// How soon the user has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// No action is required.
    None,
    /// An action is required within days.
    ExpiresSoon,
    /// An action is required now.
    ActionRequired,
}

impl Urgency {
    /// Returns the urgency of a notice with this [code](NoticeReason::as_str), or of no notice.
    pub fn from_reason(code: Option<&str>) -> Self {
        match code {
            None => Self::None,
            Some(code) if code.contains("-expire") => Self::ExpiresSoon,
            Some(_) => Self::ActionRequired,
        }
    }
}

/// Writes the code for programs.
impl fmt::Display for Urgency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::ExpiresSoon => "expires-soon",
            Self::ActionRequired => "action-required",
        })
    }
}
