//! Counts the runs in which the Anthropic API said that the organization is disabled. It says so
//! with status 400, which a malformed request gets too, so a single answer is inconclusive.

use serde::{Deserialize, Serialize};

use crate::credential::verification::Verification;
use crate::time::timestamp::Timestamp;

/// The number of runs after which the user is told. At the interval of the timer these are hours.
const RUNS: u32 = 3;

/// The runs so far, one after the other. A run without a conclusive result does not end the series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledOrganization {
    runs: u32,
    last_run: Option<Timestamp>,
}

impl DisabledOrganization {
    /// Records the result of the run at `now`, and returns it as it is reported: from the third run
    /// on, the account is refused.
    pub fn record(&mut self, verdict: Verification, now: Timestamp) -> Verification {
        if verdict.is_alive() || matches!(verdict, Verification::Rejected { .. }) {
            *self = Self::default();
        }
        if !verdict.is_organization_disabled() {
            return verdict;
        }
        if self.last_run != Some(now) {
            (self.runs, self.last_run) = (self.runs.saturating_add(1), Some(now));
        }
        if self.runs < RUNS { verdict } else { Verification::Rejected { account_level: true } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::verification::ORGANIZATION_DISABLED;

    #[test]
    fn disabled_organization_is_refused_from_the_third_run_on() {
        let disabled = || Verification::Inconclusive(ORGANIZATION_DISABLED.into());
        let refused = || Verification::Rejected { account_level: true };
        let outage = || Verification::Inconclusive("529".into());
        let rows = [
            (1, disabled(), disabled()),
            (1, disabled(), disabled()), // a second verification in the same run
            (2, disabled(), disabled()),
            (3, outage(), outage()),
            (4, disabled(), refused()),
            (5, disabled(), refused()),
            (6, Verification::Ok, Verification::Ok),
            (7, disabled(), disabled()),
            (8, disabled(), disabled()),
            (
                9,
                Verification::Rejected { account_level: false },
                Verification::Rejected { account_level: false },
            ),
            (10, disabled(), disabled()),
        ];
        let mut record = DisabledOrganization::default();
        for (run, verdict, expected) in rows {
            assert_eq!(record.record(verdict, Timestamp::from_millis(run)), expected, "run {run}");
        }
    }
}
