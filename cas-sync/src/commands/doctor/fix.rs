//! `--fix`: safe repairs. Each one checks again before it acts. Only the planner changes a
//! credential.

use std::time::Duration;

use cas_protocol::deadline::Deadline;
use nix::unistd::Uid;
use serde::Serialize;

use super::Inspection;
use super::check::{CheckResult, Fix};
use super::target::Target;
use crate::systemd::{self, ServiceResult};

/// For all syncs together: as long as one sync takes in which Claude Code refreshes a login.
const SYNCS_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The result of one fix.
#[derive(Debug, Serialize)]
pub(super) struct FixResult {
    /// `None` for the machine.
    pub(super) user: Option<String>,
    /// A description of the fix.
    pub(super) action: String,
    /// True for `--dry-run`.
    #[serde(rename = "dry_run")]
    pub(super) is_dry: bool,
    /// True if the sync had not ended when the timeout expired.
    #[serde(rename = "still_running")]
    pub(super) still_runs: bool,
    /// Why the fix was not applied.
    pub(super) error: Option<String>,
}

impl FixResult {
    /// Returns the result for `--dry-run`.
    pub(super) fn dry_run(user: Option<String>, fix: &Fix) -> Self {
        Self { user, action: fix.describe(), is_dry: true, still_runs: false, error: None }
    }
}

/// Returns the fixes that the caller can apply.
pub(super) fn available_fixes(inspection: &Inspection) -> Vec<(Option<String>, Fix)> {
    let rows = inspection.rows.as_deref().unwrap_or_default();
    let findings = rows.iter().flat_map(|row| match &row.result {
        CheckResult::Problems(findings) => findings.as_slice(),
        _ => &[],
    });
    let mut fixes: Vec<Fix> = findings.filter_map(|finding| finding.fix.clone()).collect();
    // Two findings can have the same fix.
    fixes.dedup();
    let is_possible = |fix: &Fix| Uid::effective().is_root() || !needs_root(fix);
    fixes.into_iter().filter(is_possible).map(|fix| (inspection.user.clone(), fix)).collect()
}

fn needs_root(fix: &Fix) -> bool {
    matches!(fix, Fix::Start(_) | Fix::Enroll(_))
}

/// Announces and applies each fix. As root, syncs run as services after the other fixes, because
/// one takes minutes.
pub(super) fn apply_all(
    fixes: Vec<(Option<String>, Fix)>,
    targets: &[Target],
    announce: impl Fn(&Fix),
) -> Vec<FixResult> {
    let mut results = Vec::new();
    let mut services = Vec::new();
    for (user, fix) in fixes {
        announce(&fix);
        let mut result = FixResult { is_dry: false, ..FixResult::dry_run(user, &fix) };
        // The user's service has the user's environment.
        if fix == Fix::Sync && Uid::effective().is_root() {
            let user = result.user.as_deref().unwrap_or_default();
            services.push((results.len(), format!("claude-auth-sync@{user}.service")));
        } else {
            result.error = apply(result.user.as_deref(), &fix, targets).err();
        }
        results.push(result);
    }
    let names: Vec<_> = services.iter().map(|(_, service)| service.as_str()).collect();
    let run_results = systemd::run_services(&names, &Deadline::after(SYNCS_TIMEOUT));
    for ((index, service), run_result) in services.iter().zip(run_results) {
        let Some(result) = results.get_mut(*index) else { continue };
        match run_result {
            Ok(ServiceResult::Finished) => (),
            Ok(ServiceResult::StillRunning) => result.still_runs = true,
            Ok(ServiceResult::NotStarted) => {
                result.error = Some("cannot start the sync: the timeout of 5 minutes expired".into())
            }
            Ok(ServiceResult::Failed) => {
                result.error = Some(format!("the sync failed; run `journalctl -u {service}`"))
            }
            Err(error) => result.error = Some(format!("{error:#}")),
        }
    }
    results
}

fn apply(user: Option<&str>, fix: &Fix, targets: &[Target]) -> Result<(), String> {
    let describe = |error: anyhow::Error| format!("{error:#}");
    match fix {
        Fix::Start(unit) => systemd::reset_and_start(unit).map_err(describe),
        Fix::Enroll(user) => crate::enrollment::enroll::repair_enrollment(user).map_err(describe),
        Fix::Mode { .. } | Fix::Onboarding | Fix::Sync => {
            let target = targets.iter().find(|target| Some(target.name()) == user);
            target.map_or_else(
                || Err("cannot apply the fix: the user is not inspected".into()),
                |target| target.apply(fix),
            )
        }
    }
}
