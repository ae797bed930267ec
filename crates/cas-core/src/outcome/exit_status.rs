//! Which exit code an outcome has: who has to act, in one number.

use super::{Finding, Note, Outcome, Status};
use crate::credential::verification::Verdict;
use crate::store::Failure;

impl Outcome {
    /// The exit code of `cas-sync run`: 0 fine (also where all there is to warn of is a date that comes near, or has passed
    /// without anybody refusing the credential: nothing has failed), 69 `claude` unusable, 75 try later (a store or Claude Code is busy or away),
    /// 77 refused by the store, 78 configuration, 79 a person must sign in, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        let is_refused =
            |note: &Note| matches!(note, Note::Store(Failure::Refused { .. } | Failure::Gone { .. }));
        let is_unusable = |note: &Note| matches!(note, Note::Store(Failure::Misconfigured { .. }));
        let passes =
            |note: &Note| matches!(note, Note::Store(Failure::Busy { .. } | Failure::Unreachable { .. }));
        match (self.status, self.verdict()) {
            (Status::Ok | Status::Recovered | Status::Skip, _) => 0,
            _ if self.is_warning_of_the_end_alone() => 0,
            (_, Some(Verdict::Rejected { account_level: false })) => 79,
            _ if matches!(
                self.finding,
                Finding::Beyond { .. } | Finding::Broken { .. } | Finding::Spent { is_certain: true, .. }
            ) =>
            {
                79
            }
            _ if matches!(self.finding, Finding::Misconfigured(_)) => 78,
            _ if self.notes.iter().any(is_unusable) => 78,
            _ if self.notes.iter().any(is_refused)
                || self.notes.iter().any(|note| matches!(note, Note::Token(_))) =>
            {
                77
            }
            (_, Some(Verdict::Unusable(_))) => 69,
            (_, Some(Verdict::Unknown(_))) => 75,
            _ if self.notes.iter().any(passes) => 75,
            _ if self.notes.iter().any(|note| matches!(note, Note::Configuration(_))) => 78,
            _ if matches!(self.finding, Finding::Unmended { .. } | Finding::Spent { .. }) => 75,
            _ => 1,
        }
    }

    fn is_warning_of_the_end_alone(&self) -> bool {
        let is_in_order = matches!(
            self.finding,
            Finding::SetupToken { .. }
                | Finding::Login { .. }
                | Finding::Stale { .. }
                | Finding::Refreshing(_)
        );
        self.lapsing.is_some()
            && self.status == Status::Warn
            && is_in_order
            && self.verdict().is_none_or(Verdict::is_alive)
            && self.notes.iter().all(Note::is_in_order)
    }
}
