//! Fixes in a home directory, in a process with its owner's user ID.

use super::check::Fix;
use super::gather::locks;
use cas_core::claude_files::locks::STALE_LOCK_AGE;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::system::account::{Account, Paths};
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
pub(super) fn apply_as_user(
    account: &Account,
    paths: &Paths,
    fix: &Fix,
    now: Timestamp,
) -> Result<(), String> {
    match fix {
        Fix::Mode { path, mode } => set_mode(Path::new(path), account, *mode),
        Fix::Lock(path) => remove_lock(path, paths, account, now),
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

/// Removes the lock if no process holds it. `rmdir` removes an empty directory only.
fn remove_lock(path: &str, paths: &Paths, account: &Account, now: Timestamp) -> Result<(), String> {
    let is_abandoned = locks::find(paths).into_iter().any(|lock| {
        lock.path == path
            && lock.uid == account.uid.as_raw()
            && lock.is_directory
            && lock.holder.is_none()
            && lock.touched_at.saturating_add(STALE_LOCK_AGE) <= now
    });
    match is_abandoned {
        true => fs::remove_dir(path).map_err(|error| format!("cannot remove {path}: {error}")),
        false => Err(format!("cannot remove {path}: it is in use now")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use nix::unistd::{Gid, Uid};

    use super::*;

    #[test]
    fn lock_is_removed_only_while_it_is_abandoned() {
        let home = tempfile::tempdir().expect("a scratch home");
        let account = Account {
            name: "ada".into(),
            uid: Uid::effective(),
            gid: Gid::effective(),
            home: home.path().to_owned(),
        };
        let paths = Paths::new(home.path(), |_| None);
        let lock = home.path().join(".claude/.oauth_refresh.lock");
        fs::create_dir_all(&lock).expect("a lock");
        let name = lock.display().to_string();
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let touch = |seconds| {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::open(&lock).and_then(|file| file.set_modified(moment)).expect("a date");
        };
        touch(1000);
        let remove = |now| apply_as_user(&account, &paths, &Fix::Lock(name.clone()), now);
        assert!(remove(at(1059)).is_err(), "a process may hold it");
        assert!(remove(at(900)).is_err(), "its time is in the future");
        assert!(lock.exists());
        fs::write(lock.join("something"), "").expect("a file");
        touch(1000);
        assert!(remove(at(2000)).is_err(), "it is not empty");
        fs::remove_file(lock.join("something")).expect("removed");
        touch(1000);
        assert_eq!(remove(at(1060)), Ok(()));
        assert!(!lock.exists());
        assert!(remove(at(1060)).is_err(), "it no longer exists");
    }
}
