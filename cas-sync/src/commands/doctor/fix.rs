//! `--fix`: what can be mended without asking anybody. Each looks again before it acts, and a credential is touched by the
//! planner alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cas_core::claude_files::locks::STALE_LOCK_AGE;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use nix::unistd::Uid;
use serde::Serialize;

use super::Inspected;
use super::check::{CheckResult, Fix};
use super::gather::locks;
use super::target::Target;
use crate::systemd::{self, RunResult};

/// How long Claude Code's lock is waited for, which it holds for milliseconds.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// How long people's syncs are waited for, all together: as long as one takes in which Claude Code refreshes a login.
const TOGETHER: Duration = Duration::from_secs(5 * 60);

/// Something that was mended, or was to be.
#[derive(Debug, Serialize)]
pub(super) struct FixResult {
    /// Whose it is; nothing for the machine.
    pub(super) user: Option<String>,
    /// What was done.
    pub(super) does: String,
    /// Whether it was only said.
    pub(super) is_dry: bool,
    /// Whether it was begun, and went on when nobody waited any longer.
    pub(super) still_runs: bool,
    /// Why it was not done.
    pub(super) error: Option<String>,
}

impl FixResult {
    /// What would be done.
    pub(super) fn dry_run(user: Option<String>, fix: &Fix) -> Self {
        Self { user, does: fix.text(), is_dry: true, still_runs: false, error: None }
    }
}

/// What can be mended of this, by the caller.
pub(super) fn available_fixes(looked: &Inspected) -> Vec<(Option<String>, Fix)> {
    let rows = looked.rows.as_deref().unwrap_or_default();
    let findings = rows.iter().flat_map(|row| match &row.judgement {
        CheckResult::Problems(findings) => findings.as_slice(),
        _ => &[],
    });
    let mut fixes: Vec<Fix> = findings.filter_map(|finding| finding.fix.clone()).collect();
    // Two causes may have one remedy.
    fixes.dedup();
    let is_possible = |fix: &Fix| Uid::effective().is_root() || !needs_root(fix);
    fixes.into_iter().filter(is_possible).map(|fix| (looked.user.clone(), fix)).collect()
}

fn needs_root(fix: &Fix) -> bool {
    matches!(fix, Fix::Start(_) | Fix::Enroll(_))
}

/// Does all of it, each after it is said. People's syncs take minutes: as root they are started a few at a time in the end.
pub(super) fn apply_all(
    fixes: Vec<(Option<String>, Fix)>,
    patients: &[Target],
    say: impl Fn(&Fix),
) -> Vec<FixResult> {
    let mut mended = Vec::new();
    let mut services = Vec::new();
    for (user, fix) in fixes {
        say(&fix);
        let mut done = FixResult { is_dry: false, ..FixResult::dry_run(user, &fix) };
        // The person's service does it, in its own surroundings.
        if fix == Fix::Sync && Uid::effective().is_root() {
            let user = done.user.as_deref().unwrap_or_default();
            services.push((mended.len(), format!("claude-auth-sync@{user}.service")));
        } else {
            done.error = mend(done.user.as_deref(), &fix, patients).err();
        }
        mended.push(done);
    }
    let names: Vec<_> = services.iter().map(|(_, service)| service.as_str()).collect();
    let ended = systemd::run_services(&names, &Deadline::after(TOGETHER));
    for ((index, service), ended) in services.iter().zip(ended) {
        let Some(done) = mended.get_mut(*index) else { continue };
        match ended {
            Ok(RunResult::Finished) => (),
            Ok(RunResult::StillRunning) => done.still_runs = true,
            Ok(RunResult::NotStarted) => done.error = Some("there was no time left to begin it".into()),
            Ok(RunResult::Failed) => done.error = Some(format!("`journalctl -u {service}` says why")),
            Err(error) => done.error = Some(format!("{error:#}")),
        }
    }
    mended
}

fn mend(user: Option<&str>, fix: &Fix, patients: &[Target]) -> Result<(), String> {
    let said = |error: anyhow::Error| format!("{error:#}");
    match fix {
        Fix::Start(unit) => systemd::reset_and_start(unit).map_err(said),
        Fix::Enroll(user) => crate::enrollment::enroll::repair_enrollment(user).map_err(said),
        Fix::Mode { .. } | Fix::Lock(_) | Fix::Onboarding | Fix::Sync => {
            let patient = patients.iter().find(|patient| Some(patient.name()) == user);
            patient.map_or_else(|| Err("this is nobody's".into()), |patient| patient.mend(fix))
        }
    }
}

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

    use nix::unistd::Gid;

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
