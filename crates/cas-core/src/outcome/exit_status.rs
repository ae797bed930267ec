//! The exit statuses of all programs, and the one of an outcome.

use std::process::ExitCode;

use serde::{Serialize, Serializer};

use super::{Detail, Finding, Outcome, Status};
use crate::credential::verification::Verification;
use crate::store::StoreError;

/// An exit status, as `--help` lists them: the values of sysexits(3) where one fits, and those of a
/// shell for a program that cannot be executed. A value never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Success, also with a warning of an expiry.
    Success = 0,
    /// Any other failure.
    Failure = 1,
    /// The arguments are invalid.
    UsageError = 2,
    /// `claude` is missing or unusable.
    ClientUnusable = 69,
    /// A temporary failure of the store, of Claude Code, or of the home: try again later.
    TryLater = 75,
    /// The store refuses access.
    Refused = 77,
    /// The configuration is invalid.
    Misconfigured = 78,
    /// The user must sign in, or create a setup token.
    SignInRequired = 79,
    /// `cas-session exec` cannot execute the program.
    CannotExecute = 126,
    /// `cas-session exec` does not find the program.
    NotFound = 127,
}

impl ExitStatus {
    /// Returns the value.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns [`Self::Failure`] if `failed` is true, else [`Self::Success`].
    pub const fn failure_if(failed: bool) -> Self {
        if failed { Self::Failure } else { Self::Success }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

impl Serialize for ExitStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

impl From<&StoreError> for ExitStatus {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Refused { .. } | StoreError::Deleted { .. } => Self::Refused,
            StoreError::Misconfigured { .. } => Self::Misconfigured,
            StoreError::Conflict | StoreError::Busy { .. } | StoreError::Unreachable { .. } => Self::TryLater,
        }
    }
}

impl Outcome {
    /// Returns the value of the exit status of `cas-sync run`.
    pub fn exit_code(&self) -> u8 {
        self.exit_status().code()
    }

    /// Returns the exit status of `cas-sync run`. It is a success if the only warning is an expiry
    /// that comes near, or has passed without a rejection.
    pub fn exit_status(&self) -> ExitStatus {
        let has = |is: fn(&Detail) -> bool| self.notes.iter().any(is);
        match (self.status, self.verdict()) {
            (Status::Ok | Status::Recovered | Status::Skip, _) => ExitStatus::Success,
            _ if self.is_only_expiry_warning() => ExitStatus::Success,
            (_, Some(Verification::Rejected { account_level: false })) => ExitStatus::SignInRequired,
            _ if self.notes.contains(&Detail::SetupTokenRejected) => ExitStatus::SignInRequired,
            _ if matches!(
                self.finding,
                Finding::Unrecoverable { .. }
                    | Finding::LoginUnusable { .. }
                    | Finding::StaleCopy { is_certain: true, .. }
            ) =>
            {
                ExitStatus::SignInRequired
            }
            _ if matches!(self.finding, Finding::Misconfigured(_)) => ExitStatus::Misconfigured,
            _ if has(|note| matches!(note, Detail::Store(StoreError::Misconfigured { .. }))) => {
                ExitStatus::Misconfigured
            }
            _ if has(is_refusal) => ExitStatus::Refused,
            (_, Some(Verification::ClientUnusable(_))) => ExitStatus::ClientUnusable,
            (_, Some(Verification::Inconclusive(_))) => ExitStatus::TryLater,
            _ if has(is_temporary) => ExitStatus::TryLater,
            _ if has(|note| matches!(note, Detail::Configuration(_))) => ExitStatus::Misconfigured,
            (Status::Fail, _) if matches!(self.finding, Finding::RestoreFailed { .. }) => ExitStatus::Failure,
            _ if matches!(self.finding, Finding::RestoreFailed { .. } | Finding::StaleCopy { .. }) => {
                ExitStatus::TryLater
            }
            _ => ExitStatus::Failure,
        }
    }

    fn is_only_expiry_warning(&self) -> bool {
        let is_in_order = matches!(
            self.finding,
            Finding::SetupToken { .. }
                | Finding::Login { .. }
                | Finding::UnrefreshedToken { .. }
                | Finding::Stale { .. }
                | Finding::Refreshing(_)
        );
        self.expiry_warning.is_some()
            && self.status == Status::Warn
            && is_in_order
            && self.verdict().is_none_or(Verification::is_alive)
            && self.notes.iter().all(Detail::is_informational)
    }
}

fn is_refusal(note: &Detail) -> bool {
    matches!(
        note,
        Detail::Store(StoreError::Refused { .. } | StoreError::Deleted { .. }) | Detail::StoreToken(_)
    )
}

fn is_temporary(note: &Detail) -> bool {
    matches!(
        note,
        Detail::Store(StoreError::Busy { .. } | StoreError::Unreachable { .. })
            | Detail::SetupTokenPostponed(_)
    )
}
