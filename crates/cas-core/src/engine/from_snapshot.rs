//! A run about what somebody else has seen in the credential file, rather than about what lies there by now.

use super::Run;
use crate::claude_files::credentials_file::Snapshot;
use crate::credential::login::OauthLogin;
use crate::credential::login_file::{self, LocalLogin};
use crate::outcome::Outcome;

impl Run {
    /// A run about a login that was seen in the credential file, whatever lies there now: noted in the ledger and added to
    /// the local history under the rules for one that lies there. It never writes the credential file: a complete login
    /// is nothing to mend. For [`crate::planner::Mode::Watch`], which asks nobody whether it is alive.
    pub fn record(self, seen: OauthLogin) -> Outcome {
        let is_fresh = login_file::is_fresh(seen.summary.expires_at, self.now);
        let login = if is_fresh { LocalLogin::Healthy(seen) } else { LocalLogin::Stale(seen) };
        // Without an identity: it is not the file that a restore which was cut short was to replace.
        self.about(Snapshot { login, content: None, identity: None })
    }

    /// A run about this look at the credential file, and no later one: the caller has made sure that whatever lay there
    /// before it is known. What has come since is never replaced. For [`crate::planner::Mode::Watch`].
    pub fn about(mut self, found: Snapshot) -> Outcome {
        self.snapshot = found;
        self.is_given = true;
        self.until_reported().outcome
    }
}
