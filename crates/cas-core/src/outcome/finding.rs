//! The parts of an outcome: what a run found or did.

use super::BackupLocation;
use crate::claude_files::state_problem::StateFileProblem;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::{LoginSummary, UnrefreshedToken};
use crate::credential::sign_out::SignOut;
use crate::credential::verification::Verification;
use crate::fs::obstacle::Obstacle;
use crate::store::StoreError;

/// The main result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The setup token is active.
    SetupToken {
        /// Its fingerprint.
        token: Fingerprint,
        /// The result of its verification.
        verdict: Option<Verification>,
    },
    /// The login is complete. If there is a verdict, it was verified.
    Login {
        /// The login.
        login: LoginSummary,
        /// The result of its verification.
        verdict: Option<Verification>,
    },
    /// Claude Code uses the access token in the login file and does not refresh it.
    UnrefreshedToken {
        /// The access token.
        token: UnrefreshedToken,
        /// The result of its verification.
        verdict: Option<Verification>,
    },
    /// The login is complete, and Claude Code has to refresh its access token.
    Stale {
        /// The login.
        login: LoginSummary,
        /// The result of the refresh.
        verdict: Option<Verification>,
    },
    /// The login is complete, and a session of Claude Code is refreshing it.
    Refreshing(LoginSummary),
    /// The login is complete, its access token has expired, and a later login is known: it is an
    /// old copy, or one from a time when the clock was wrong.
    StaleCopy {
        /// The login.
        login: LoginSummary,
        /// Whether this machine saw its refresh token being exchanged.
        is_certain: bool,
    },
    /// A login that was unusable or rejected was replaced by a backup.
    Restored {
        /// The restored login.
        login: LoginSummary,
        /// Whether its access token is valid. If not, Claude Code has to refresh it first, which
        /// may fail.
        is_fresh: bool,
        /// The location of the backup.
        source: BackupLocation,
        /// The result of its verification.
        verdict: Option<Verification>,
    },
    /// The login is unusable or rejected, and no backup may be restored.
    Unrecoverable {
        /// The state of the login file.
        state: String,
    },
    /// The login is unusable, and restoring a backup failed in this run.
    RestoreFailed {
        /// The state of the login file.
        state: String,
        /// The cause.
        why: String,
    },
    /// A file cannot be written or read, for a cause that does not pass by itself.
    Obstructed {
        /// The state of the login file.
        state: String,
        /// The cause, and its remedy.
        obstacle: Obstacle,
    },
    /// Claude Code finds no login in the file, and this run was not asked to restore one.
    LoginUnusable {
        /// The state of the login file.
        state: String,
    },
    /// The user's request was refused.
    RequestRefused(String),
    /// There is no login yet, neither in the file nor in the store.
    NoLogin,
    /// There is no login, and the user intends so.
    SignedOut(SignOut),
    /// The login file is not changed, for this reason.
    Skipped(String),
    /// The configuration cannot be used. Nothing was done.
    Misconfigured(String),
    /// Another run holds the lock.
    AnotherRunActive,
}

/// A further result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The env file now has the store's setup token.
    EnvFileWritten,
    /// The env file was removed, because the store has no setup token.
    EnvFileRemoved,
    /// The env file cannot be used.
    EnvFileInvalid(String),
    /// The env file could not be updated from the store.
    EnvFileUpdateFailed(String),
    /// The store's setup token is malformed and was not used.
    SetupTokenFieldInvalid(String),
    /// The Anthropic API rejected the store's new setup token, which was not activated.
    SetupTokenRejected,
    /// The Anthropic API refused the account or organization of the store's new setup token, which
    /// was not activated.
    SetupTokenRefused,
    /// The store's new setup token is not active: its verification was inconclusive, for this
    /// reason.
    SetupTokenPostponed(String),
    /// The active setup token is not in the store and was never seen there.
    SetupTokenNotInStore,
    /// The setup token of the local store was copied to Vault.
    SetupTokenCopied,
    /// The setup token of the local store could not be copied to Vault.
    SetupTokenNotCopied(String),
    /// The login was backed up.
    BackedUp(BackupLocation),
    /// The login was not backed up.
    NotBackedUp(String),
    /// A restored login was rejected, and the restore was rolled back.
    RolledBack,
    /// A restore could not be rolled back.
    NotRolledBack(String),
    /// The store could not be read.
    Store(StoreError),
    /// The store's token needs attention.
    StoreToken(String),
    /// The client cannot use its state file.
    ClientState(StateFileProblem),
    /// The configuration has an unknown key.
    Configuration(String),
    /// Backups are disabled, and earlier ones still exist.
    BackupsRemain(Vec<BackupLocation>),
}

impl Finding {
    /// Returns the complete login of the finding, if it has one.
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
    /// Returns true if the detail reports no problem.
    pub(super) fn is_informational(&self) -> bool {
        self.is_change() || matches!(self, Self::BackupsRemain(_))
    }

    /// Returns true if the detail reports a change.
    pub(super) fn is_change(&self) -> bool {
        matches!(
            self,
            Self::EnvFileWritten
                | Self::EnvFileRemoved
                | Self::SetupTokenCopied
                | Self::BackedUp(_)
                | Self::RolledBack
        )
    }
}
