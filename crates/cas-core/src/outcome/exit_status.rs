//! The exit status of an outcome.

use super::{Detail, Finding, Outcome, Status};
use crate::credential::verification::Verification;
use crate::store::StoreError;

impl Outcome {
    /// Returns the exit status of `cas-sync run`: 0 success, also if the only warning is an expiry
    /// that comes near or has passed without a rejection; 69 `claude` unusable; 75 temporary
    /// failure of the store or of Claude Code; 77 refused by the store; 78 configuration; 79 the
    /// user must sign in; 1 any other failure.
    pub fn exit_code(&self) -> u8 {
        let is_refused = |note: &Detail| {
            matches!(note, Detail::Store(StoreError::Refused { .. } | StoreError::Deleted { .. }))
        };
        let is_unusable = |note: &Detail| matches!(note, Detail::Store(StoreError::Misconfigured { .. }));
        let is_temporary = |note: &Detail| {
            matches!(note, Detail::Store(StoreError::Busy { .. } | StoreError::Unreachable { .. }))
        };
        match (self.status, self.verdict()) {
            (Status::Ok | Status::Recovered | Status::Skip, _) => 0,
            _ if self.is_only_expiry_warning() => 0,
            (_, Some(Verification::Rejected { account_level: false })) => 79,
            _ if self.notes.contains(&Detail::SetupTokenRejected) => 79,
            _ if matches!(
                self.finding,
                Finding::Unrecoverable { .. }
                    | Finding::LoginUnusable { .. }
                    | Finding::StaleCopy { is_certain: true, .. }
            ) =>
            {
                79
            }
            _ if matches!(self.finding, Finding::Misconfigured(_)) => 78,
            _ if self.notes.iter().any(is_unusable) => 78,
            _ if self.notes.iter().any(is_refused)
                || self.notes.iter().any(|note| matches!(note, Detail::StoreToken(_))) =>
            {
                77
            }
            (_, Some(Verification::ClientUnusable(_))) => 69,
            (_, Some(Verification::Inconclusive(_))) => 75,
            _ if self.notes.iter().any(is_temporary) => 75,
            _ if self.notes.iter().any(|note| matches!(note, Detail::SetupTokenPostponed(_))) => 75,
            _ if self.notes.iter().any(|note| matches!(note, Detail::Configuration(_))) => 78,
            (Status::Fail, _) if matches!(self.finding, Finding::RestoreFailed { .. }) => 1,
            _ if matches!(self.finding, Finding::RestoreFailed { .. } | Finding::StaleCopy { .. }) => 75,
            _ => 1,
        }
    }

    fn is_only_expiry_warning(&self) -> bool {
        let is_in_order = matches!(
            self.finding,
            Finding::SetupToken { .. }
                | Finding::Login { .. }
                | Finding::LastingToken { .. }
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
