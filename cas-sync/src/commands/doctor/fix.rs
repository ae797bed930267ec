//! `--fix`: what can be mended without asking anybody. Each looks again before it acts, and a credential is touched by the
//! planner alone.

use std::time::Duration;

use cas_protocol::deadline::Deadline;
use nix::unistd::Uid;
use serde::Serialize;

use super::Inspected;
use super::check::{CheckResult, Fix};
use super::target::Target;
use crate::systemd::{self, RunResult};

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
