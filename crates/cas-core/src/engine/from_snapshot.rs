//! A run about what somebody else has seen in the credential file, rather than about what lies there by now.

use super::Engine;
use crate::claude_files::credentials_file::Snapshot;
use crate::credential::login::Login;
use crate::credential::login_file::{self, LoginFileState};
use crate::outcome::Outcome;

impl Engine {
    /// A run about a login that was seen in the credential file, whatever lies there now: noted in the ledger and added to
    /// the local history under the rules for one that lies there. It never writes the credential file: a complete login
    /// is nothing to mend. For [`crate::planner::Mode::Watch`], which asks nobody whether it is alive.
    pub fn record(self, seen: Login) -> Outcome {
        let is_fresh = login_file::is_fresh(seen.summary.expires_at, self.now);
        let login =
            if is_fresh { LoginFileState::Valid(seen) } else { LoginFileState::AccessTokenExpired(seen) };
        // Without an identity: it is not the file that a restore which was cut short was to replace.
        self.run_on_snapshot(Snapshot { login, content: None, identity: None })
    }

    /// A run about this look at the credential file, and no later one: the caller has made sure that whatever lay there
    /// before it is known. What has come since is never replaced. For [`crate::planner::Mode::Watch`].
    pub fn run_on_snapshot(mut self, found: Snapshot) -> Outcome {
        self.snapshot = found;
        self.snapshot_is_fixed = true;
        self.run().outcome
    }
}
