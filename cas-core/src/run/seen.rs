//! A login that lay in the credential file a moment ago, and may be gone by now.

use super::Run;
use crate::credentials_file::Snapshot;
use crate::local_login::{self, LocalLogin};
use crate::oauth_login::OauthLogin;
use crate::outcome::Outcome;

impl Run {
    /// A run about a login that was seen in the credential file, whatever lies there now: noted in the ledger and added to
    /// the local history under the rules for one that lies there. It never writes the credential file: a complete login
    /// is nothing to mend. For [`crate::planner::Mode::Watch`], which asks nobody whether it is alive.
    pub fn record(mut self, seen: OauthLogin) -> Outcome {
        let is_fresh = local_login::is_fresh(seen.summary.expires_at, self.now);
        let login = if is_fresh { LocalLogin::Healthy(seen) } else { LocalLogin::Stale(seen) };
        // Without an identity: it is not the file that a restore which was cut short was to replace.
        self.snapshot = Snapshot { login, content: None, identity: None };
        self.is_given = true;
        self.until_reported().outcome
    }
}
