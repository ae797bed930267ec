//! Repairs in a home, in a process that has become its user.

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

/// How long Claude Code's lock is waited for, which it holds for milliseconds.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// What is mended in a home, by its owner.
///
/// # Errors
/// Why it stays as it is.
pub(super) fn apply_as_user(
    account: &Account,
    paths: &Paths,
    fix: &Fix,
    now: Timestamp,
) -> Result<(), String> {
    match fix {
        Fix::Mode { path, mode } => close(Path::new(path), account, *mode),
        Fix::Lock(path) => remove_lock(path, paths, account, now),
        Fix::Onboarding => finish_onboarding(account, now),
        Fix::Sync => sync(),
        Fix::Start(_) | Fix::Enroll(_) => Err("only root may do this".into()),
    }
}

/// In a process of its own: what it says is not ours to say. Its last line is in `sync.log`.
fn sync() -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("cas-sync cannot be found: {error}"))?;
    let mut command = Command::new(program);
    let ended = command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("run `cas-sync run`, which says why".into()),
        Err(error) => Err(format!("cas-sync cannot be run: {error}")),
    }
}

fn finish_onboarding(account: &Account, now: Timestamp) -> Result<(), String> {
    let state = ClaudeStateFile::new(account.home.join(".claude.json"), account.uid.as_raw());
    state.set_onboarding_complete(&Deadline::after(LOCK_TIME), now).map_err(|not| not.to_string())
}

fn close(path: &Path, account: &Account, mode: u32) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let found = fs::metadata(path).map_err(said)?;
    if found.uid() != account.uid.as_raw() {
        return Err(format!("{} is somebody else's by now", path.display()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(said)
}

/// Only what is still a lock that nobody holds: an empty directory goes, and nothing else can.
fn remove_lock(path: &str, paths: &Paths, account: &Account, now: Timestamp) -> Result<(), String> {
    let is_abandoned = locks::of(paths).into_iter().any(|lock| {
        lock.path == path
            && lock.uid == account.uid.as_raw()
            && lock.is_directory
            && lock.holder.is_none()
            && lock.touched_at.saturating_add(STALE_LOCK_AGE) <= now
    });
    match is_abandoned {
        true => fs::remove_dir(path).map_err(|error| format!("{path}: {error}")),
        false => Err(format!("{path} is in use by now")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use nix::unistd::{Gid, Uid};

    use super::*;

    #[test]
    fn a_lock_goes_only_while_it_is_abandoned() {
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
        let mend = |now| apply_as_user(&account, &paths, &Fix::Lock(name.clone()), now);
        assert!(mend(at(1119)).is_err(), "somebody may be at work");
        assert!(mend(at(900)).is_err(), "it is from the future");
        assert!(lock.exists());
        fs::write(lock.join("something"), "").expect("a file");
        touch(1000);
        assert!(mend(at(2000)).is_err(), "what is in it would be lost");
        fs::remove_file(lock.join("something")).expect("removed");
        touch(1000);
        assert_eq!(mend(at(1120)), Ok(()));
        assert!(!lock.exists());
        assert!(mend(at(1120)).is_err(), "it is gone");
    }
}
