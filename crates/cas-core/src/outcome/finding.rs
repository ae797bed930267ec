//! What a run can have found, or done: all that an outcome is made of.

use super::BackupLocation;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verification;
use crate::store::StoreError;

/// The one thing a run has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The setup-token is in use.
    SetupToken {
        /// Which one.
        token: Fingerprint,
        /// What a live probe showed.
        verdict: Option<Verification>,
    },
    /// The login is complete and, if there is a verdict, was probed.
    Login {
        /// Which one.
        login: LoginSummary,
        /// What a live probe showed.
        verdict: Option<Verification>,
    },
    /// The login is complete and its access token has to be refreshed by Claude Code.
    Stale {
        /// Which one.
        login: LoginSummary,
        /// What a refresh run showed.
        verdict: Option<Verification>,
    },
    /// The login is complete, and some session of Claude Code is refreshing it just now.
    Refreshing(LoginSummary),
    /// The login is complete, its access token has ended, and a later login is known: an old copy that somebody put back, or
    /// one from a time when the clock was wrong.
    StaleCopy {
        /// Which one.
        login: LoginSummary,
        /// Whether this machine saw its refresh token being exchanged.
        is_certain: bool,
    },
    /// A broken or rejected login was replaced.
    Restored {
        /// What was put back.
        login: LoginSummary,
        /// Whether its access token can be used as it is; if not, Claude Code has to refresh it first, and may fail to.
        is_fresh: bool,
        /// From where.
        source: BackupLocation,
        /// What a live probe of it showed.
        verdict: Option<Verification>,
    },
    /// The login is broken or rejected and nothing may be put back.
    Unrecoverable {
        /// What lies there now.
        state: String,
    },
    /// The login is broken and could not be mended this time.
    RestoreFailed {
        /// What lies there now.
        state: String,
        /// What stood in the way.
        why: String,
    },
    /// Claude Code takes what lies there for no login, and this run was not to mend it.
    LoginUnusable {
        /// What lies there.
        state: String,
    },
    /// What a person asked for was not done.
    RequestRefused(String),
    /// There is no login yet, here or in the store.
    NoLogin,
    /// What lies there is left alone.
    Skipped(String),
    /// The configuration cannot be used, and nothing was done.
    Misconfigured(String),
    /// Another run holds the lock.
    AnotherRunActive,
}

/// Something else that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The env file now holds the store's setup-token.
    EnvFileWritten,
    /// The env file is gone, as the store said.
    EnvFileRemoved,
    /// The env file could not be used.
    EnvFileInvalid(String),
    /// The env file could not be made what the store says.
    EnvFileUpdateFailed(String),
    /// The store's setup-token is malformed and was not used.
    SetupTokenFieldInvalid(String),
    /// The login was backed up.
    BackedUp(BackupLocation),
    /// The login was not backed up.
    NotBackedUp(String),
    /// A restored login was rejected and what lay there before is back.
    RolledBack,
    /// What lay there before a restore could not be put back.
    NotRolledBack(String),
    /// The store could not be read.
    Store(StoreError),
    /// The store's token needs somebody's attention.
    StoreToken(String),
    /// The configuration says something that nobody understands.
    Configuration(String),
    /// No copies of logins are kept any more, and some from before are still there.
    BackupsRemain(Vec<BackupLocation>),
}

impl Finding {
    /// The complete login this is about.
    pub fn login(&self) -> Option<&LoginSummary> {
        match self {
            Self::Login { login, .. }
            | Self::Stale { login, .. }
            | Self::Restored { login, .. }
            | Self::Refreshing(login)
            | Self::StaleCopy { login, .. } => Some(login),
            _ => None,
        }
    }
}

impl Detail {
    /// Whether nothing is wrong with what it says.
    pub(super) fn is_informational(&self) -> bool {
        self.is_change() || matches!(self, Self::BackupsRemain(_))
    }

    /// Whether this run changed something.
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::EnvFileWritten | Self::EnvFileRemoved | Self::BackedUp(_) | Self::RolledBack)
    }
}
