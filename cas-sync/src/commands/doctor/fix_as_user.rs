//! Fixes in a home directory, in a process with its owner's user ID.

use super::check::Fix;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::system::account::Account;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Claude Code holds its lock for milliseconds, and one that it left is stale within this time.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// Applies a fix in a home directory, as its owner.
///
/// # Errors
/// Returns why the fix was not applied.
pub(super) fn apply_as_user(account: &Account, fix: &Fix, now: Timestamp) -> Result<(), String> {
    match fix {
        Fix::Mode { path, mode } => set_mode(Path::new(path), account, *mode),
        Fix::Onboarding => complete_onboarding(account, now),
        Fix::Sync => run_sync(),
        Fix::Start(_) | Fix::Enroll(_) => Err("cannot apply the fix: only root can".into()),
    }
}

/// Runs `cas-sync run` without output. Its result is in `sync.log`.
fn run_sync() -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find cas-sync: {error}"))?;
    let mut command = Command::new(program);
    let ended = command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the sync failed; run `cas-sync run` to see why".into()),
        Err(error) => Err(format!("cannot run cas-sync: {error}")),
    }
}

fn complete_onboarding(account: &Account, now: Timestamp) -> Result<(), String> {
    let state = ClaudeStateFile::new(account.home.join(".claude.json"), account.uid.as_raw());
    state.set_onboarding_complete(&Deadline::after(LOCK_TIMEOUT), now).map_err(|error| error.to_string())
}

fn set_mode(path: &Path, account: &Account, mode: u32) -> Result<(), String> {
    let describe = |error: std::io::Error| format!("cannot change {}: {error}", path.display());
    let found = fs::metadata(path).map_err(describe)?;
    if found.uid() != account.uid.as_raw() {
        return Err(format!("cannot change {}: it belongs to another user now", path.display()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(describe)
}
