//! The scheduling priority of what the watcher starts.

use anyhow::{Context, Result};

/// Reverts the `Nice=-10` of `claude-auth-watch@.service`: reading events is urgent, a push is not.
const NICE_ADJUSTMENT: i32 = 10;

/// Gives this process, while it has one thread, the usual priority instead of the watcher's.
///
/// # Errors
/// If the system refuses it. The process must then start no program: a user could trace it, and so
/// run their own code at the priority of the watcher.
pub(crate) fn lower() -> Result<()> {
    rustix::process::nice(NICE_ADJUSTMENT).map(drop).context("cannot lower the priority of this process")
}
