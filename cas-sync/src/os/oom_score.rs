//! Selects the processes of a sync that the kernel kills last when memory is short.

use std::fs;
use std::process::Child;

/// `OOMScoreAdjust=` of `claude-auth-sync@.service`. The unit starts cas-sync with choom(1) at 0,
/// and the kernel lets a process return to the value of systemd (`oom_score_adj_min`,
/// proc_pid_oom_score_adj(5)).
const REFRESH_SCORE: &str = "-500";

/// Protects a client that refreshes a login: its death costs the login. Other processes stay at 0.
/// Outside the unit the kernel refuses this, and nothing changes.
pub(crate) fn protect(child: &Child) {
    let _refused = fs::write(format!("/proc/{}/oom_score_adj", child.id()), REFRESH_SCORE);
}
