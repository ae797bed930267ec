//! Runs on a given snapshot of the credential file instead of its current content.

use super::Engine;
use crate::claude_files::credentials_file::Snapshot;
use crate::credential::login::Login;
use crate::credential::login_file::{self, LoginFileState};
use crate::outcome::Outcome;

impl Engine {
    /// Runs on a login that the watcher saw in the credential file, whatever is there now. The
    /// login is recorded in the ledger and added to the local history by the usual rules. The
    /// credential file is never written, because a complete login needs no restore. For
    /// [`crate::planner::Mode::Watch`], which does not verify.
    pub fn record(self, seen: Login) -> Outcome {
        let is_fresh = login_file::is_fresh(seen.summary.expires_at, self.now);
        let login =
            if is_fresh { LoginFileState::Valid(seen) } else { LoginFileState::AccessTokenExpired(seen) };
        // Without an identity, because this is not the file of a pending restore.
        self.run_on_snapshot(Snapshot { login, content: None, identity: None })
    }

    /// Runs on this snapshot of the credential file. The caller must have recorded every earlier
    /// login. Content that was written since is never replaced. For
    /// [`crate::planner::Mode::Watch`].
    pub fn run_on_snapshot(mut self, found: Snapshot) -> Outcome {
        self.snapshot = found;
        self.snapshot_is_fixed = true;
        self.run().outcome
    }
}
