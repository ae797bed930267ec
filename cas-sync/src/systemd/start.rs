//! Enables and starts the units of users.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use cas_protocol::deadline::Deadline;

use super::enabled;
use super::names::{TARGET, Units};
use super::overrides;
use super::stop::{disable_and_stop, is_inactive};
use super::systemctl::{
    BATCH_SIZE, NO_REPLY, QUERY_TIMEOUT, is_installed, is_running, run_within, state, state_within, states,
    states_within, systemctl,
};
use crate::os::parallel;
use crate::os::undo::combine_results;

/// The number of syncs that one command runs at a time: each runs a client of 200 MB. For more new
/// users than this, the first syncs are left to timers and logins.
const MAX_CONCURRENT_SYNCS: usize = 4;

/// How long one sync is waited for, so that those that hang do not use up the time of all others.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(60);

/// The end of a remark about a user whose units cannot run.
const NO_AUTOMATIC_SYNC: &str =
    "no sync starts automatically; run `cas-sync run` as the user a few times a day";

/// The result of starting units.
#[derive(Debug, Default)]
pub(crate) struct StartSummary {
    /// True if anything was changed.
    pub(crate) changed: bool,
    /// True if the units run. False if systemd or the target does not run, or no user has units.
    pub(crate) has_running_units: bool,
    /// Messages for the administrator.
    pub(crate) remarks: Vec<String>,
}

/// Enables and starts the units of these users, and starts the first sync of users who had no unit.
/// The watcher, which stays in memory, is started only if `watch` is set.
///
/// # Errors
/// If systemctl fails, with its message.
pub(crate) fn start(users: &[&str], watch: bool) -> Result<StartSummary> {
    let mut summary = StartSummary::default();
    if !is_installed() {
        let users = users.join(", ");
        summary.remarks.push(format!("systemctl is not installed, so for {users}, {NO_AUTOMATIC_SYNC}"));
        return Ok(summary);
    }
    let units = summary.usable_units(users);
    if units.is_empty() {
        return Ok(summary);
    }
    // A target that is enabled but not active, or masked, was stopped by an administrator, and
    // stays stopped.
    let is_first = state("is-enabled", TARGET)? == "disabled";
    if is_first {
        systemctl(&["enable", "--quiet", TARGET])?;
        summary.changed = true;
    }
    let new_users = summary.enable_all(&units, watch)?;
    if !is_running() {
        let remark = "systemd is not running; the units are enabled and start at the next boot";
        summary.remarks.push(remark.into());
        return Ok(summary);
    }
    if is_first {
        systemctl(&["start", TARGET])?;
    }
    if state("is-active", TARGET)? != "active" {
        summary.remarks.push(stopped_target_remark(enabled::is_masked(TARGET)));
        return Ok(summary);
    }
    summary.start_all(&units, watch)?;
    summary.start_first_syncs(&new_users)?;
    summary.has_running_units = true;
    Ok(summary)
}

fn stopped_target_remark(is_masked: bool) -> String {
    let unmask = if is_masked { format!("`systemctl unmask {TARGET}` and ") } else { String::new() };
    format!("{TARGET} is not active, so no sync starts; run {unmask}`systemctl start {TARGET}`")
}

impl StartSummary {
    /// Returns the units of the users whose packaged units are used. Adds a remark for each other
    /// user.
    fn usable_units(&mut self, users: &[&str]) -> Vec<Units> {
        let mut units = Vec::new();
        for user in users {
            match (Units::for_user(user), override_warning(user)) {
                (None, _) => self
                    .remarks
                    .push(format!("systemd does not accept {user} in a unit name, so {NO_AUTOMATIC_SYNC}")),
                (_, Some(remark)) => self.remarks.push(remark),
                (Some(of_user), None) => units.push(of_user),
            }
        }
        units
    }

    /// Enables the units, and disables the watchers without `watch`. Returns the users who had no
    /// units.
    fn enable_all<'units>(&mut self, units: &'units [Units], watch: bool) -> Result<Vec<&'units Units>> {
        let mut new_users = Vec::new();
        for together in units.chunks(BATCH_SIZE) {
            new_users.extend(enable(together, watch)?);
            if !watch {
                let watches: Vec<_> = together.iter().map(|units| units.watch.as_str()).collect();
                self.changed |=
                    combine_results(disable_and_stop(&watches).into_iter().map(|(_, result)| result))?;
            }
        }
        self.changed |= !new_users.is_empty();
        Ok(new_users)
    }

    /// Starts the units that are not active and not masked.
    fn start_all(&mut self, units: &[Units], watch: bool) -> Result<()> {
        for together in units.chunks(BATCH_SIZE) {
            let wanted = together.iter().flat_map(|units| units.wanted(watch));
            let wanted: Vec<_> = wanted.filter(|unit| !enabled::is_masked(unit)).collect();
            let inactive = units_not_in_state("is-active", "active", &wanted)?;
            if !inactive.is_empty() {
                systemctl(&[&["start"], inactive.as_slice()].concat())?;
                self.changed = true;
            }
        }
        Ok(())
    }

    /// Starts the first syncs of new users, because a new timer does not elapse at once. The
    /// command does not wait for them: they may take minutes.
    fn start_first_syncs(&mut self, new_users: &[&Units]) -> Result<()> {
        if new_users.len() > MAX_CONCURRENT_SYNCS {
            let remark = "The first syncs of the new users start at their next logins, or within seven hours";
            self.remarks.push(remark.into());
        } else if !new_users.is_empty() {
            let services: Vec<_> = new_users.iter().map(|units| units.service.as_str()).collect();
            systemctl(&[&["start", "--no-block"], services.as_slice()].concat())?;
        }
        Ok(())
    }
}

/// Enables the units that do not have exactly the packaged links; returns the users of these units.
/// The links are read from disk, because systemd takes seconds for a hundred users. A masked unit
/// stays masked.
fn enable(users: &[Units], watch: bool) -> Result<Vec<&Units>> {
    let (mut fresh, mut other, mut new_users) = (Vec::new(), Vec::new(), Vec::new());
    for units in users {
        let is_new = |unit: &&str| !units.has_packaged_links(unit) && !enabled::is_masked(unit);
        let new: Vec<_> = units.wanted(watch).into_iter().filter(is_new).collect();
        new_users.extend((!new.is_empty()).then_some(units));
        let (again, first): (Vec<_>, Vec<_>) = new.into_iter().partition(|unit| enabled::is_enabled(unit));
        fresh.extend(first);
        other.extend(again);
    }
    if !fresh.is_empty() {
        systemctl(&[&["enable", "--quiet"], fresh.as_slice()].concat())?;
    }
    if !other.is_empty() {
        // This removes all other links that start them.
        systemctl(&[&["reenable", "--quiet"], other.as_slice()].concat())?;
    }
    Ok(new_users)
}

/// The result of a request to systemd for the start of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartResult {
    /// systemd starts the service.
    Accepted,
    /// The service is running already.
    AlreadyActive,
    /// systemd does not start the service, for instance because it is masked.
    Refused,
}

/// Starts the services that are not active, and does not wait for them. Returns the result of each.
///
/// # Errors
/// If systemd does not answer in time: then the state of all services is unknown.
pub(crate) fn start_inactive(services: &[&str], deadline: &Deadline) -> Result<Vec<StartResult>> {
    let mut results = Vec::new();
    for together in services.chunks(BATCH_SIZE) {
        let states = states_within(deadline, "is-active", together)?;
        let inactive: Vec<_> = together
            .iter()
            .zip(&states)
            .filter(|(_, state)| is_inactive(state))
            .map(|(unit, _)| *unit)
            .collect();
        let are_all_accepted = inactive.is_empty() || start_without_waiting(&inactive, deadline)?;
        for (unit, state) in together.iter().zip(&states) {
            results.push(match is_inactive(state) {
                false => StartResult::AlreadyActive,
                true if are_all_accepted || start_without_waiting(&[unit], deadline)? => {
                    StartResult::Accepted
                }
                true => refused(unit, deadline)?,
            });
        }
    }
    Ok(results)
}

/// Returns true if systemd accepted all starts. A failed start of one unit does not affect the
/// others.
fn start_without_waiting(units: &[&str], deadline: &Deadline) -> Result<bool> {
    let accepted = run_within(deadline, &[&["start", "--no-block"], units].concat())?;
    accepted.ok_or_else(|| anyhow!(NO_REPLY))
}

/// Distinguishes a refused start from a systemctl(1) that cannot reach systemd: that prints no
/// state.
fn refused(unit: &str, deadline: &Deadline) -> Result<StartResult> {
    match state_within(deadline, "is-active", unit)?.as_str() {
        "" => bail!(NO_REPLY),
        _ => Ok(StartResult::Refused),
    }
}

/// Starts a unit, even if its start limit is reached.
///
/// # Errors
/// If systemctl fails, with its message.
pub(crate) fn reset_and_start(unit: &str) -> Result<()> {
    if state("is-failed", unit)? == "failed" {
        systemctl(&["reset-failed", unit])?;
    }
    systemctl(&["start", unit])
}

/// The result of a service that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceResult {
    /// It succeeded.
    Finished,
    /// It failed.
    Failed,
    /// It was still running at the deadline.
    StillRunning,
    /// The deadline had expired before its start.
    NotStarted,
}

/// Starts these services, a few at a time, and waits for each until it has ended, its own time
/// limit has expired, or the deadline has. Returns the result of each.
pub(crate) fn run_services(services: &[&str], deadline: &Deadline) -> Vec<Result<ServiceResult>> {
    parallel::map_with(MAX_CONCURRENT_SYNCS, services, |service| {
        run_one(service, &deadline.capped(SERVICE_TIMEOUT))
    })
}

fn run_one(service: &str, deadline: &Deadline) -> Result<ServiceResult> {
    if deadline.is_expired() {
        return Ok(ServiceResult::NotStarted);
    }
    // An error is ignored: the command fails if the service has not failed.
    let _ = run_within(&Deadline::after(QUERY_TIMEOUT), &["reset-failed", service]);
    let success = run_within(deadline, &["start", service])?;
    if success == Some(true) {
        return Ok(ServiceResult::Finished);
    }
    let state = state_within(&Deadline::after(QUERY_TIMEOUT), "is-active", service)?;
    match (state.as_str(), success) {
        ("failed", _) => Ok(ServiceResult::Failed),
        // Its job is still queued.
        ("inactive", None) => Ok(ServiceResult::NotStarted),
        (_, None) => Ok(ServiceResult::StillRunning),
        _ => bail!("cannot start {service}; `systemctl start {service}` shows the reason"),
    }
}

/// Returns a warning with the remedy if local units override the packaged ones of this user.
pub(crate) fn override_warning(user: &str) -> Option<String> {
    let files = overrides::overriding_files(&Units::for_user(user)?.all());
    (!files.is_empty()).then(|| describe_override(user, &files))
}

/// Returns true if the timer of the user is enabled, or the user can have no units. Reads the disk,
/// because systemctl takes milliseconds for each unit.
pub(crate) fn are_enabled(user: &str) -> bool {
    let is_done = |units: &Units, unit: &str| units.has_packaged_links(unit) || enabled::is_masked(unit);
    let are = |units: Units| units.wanted(false).iter().all(|unit| is_done(&units, unit));
    Units::for_user(user).is_none_or(|units| are(units) || !is_installed())
}

/// Returns true if any unit of the user is enabled, also by the former script.
pub(crate) fn is_any_enabled(user: &str) -> bool {
    Units::for_user(user).is_some_and(|units| units.wanted(true).into_iter().any(enabled::is_enabled))
}

/// Returns true if the watcher of the user is enabled.
pub(crate) fn is_watch_enabled(user: &str) -> bool {
    Units::for_user(user).is_some_and(|units| enabled::is_enabled(&units.watch))
}

/// Returns the units for which systemctl prints another word than `expected`.
fn units_not_in_state<'u>(question: &str, expected: &str, units: &[&'u str]) -> Result<Vec<&'u str>> {
    let states = states(question, units)?;
    Ok(units.iter().zip(&states).filter(|(_, state)| *state != expected).map(|(unit, _)| *unit).collect())
}

fn describe_override(user: &str, files: &[PathBuf]) -> String {
    let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    format!(
        "The packaged units do not run for {user}, because these files override them: {}. Move them away, run `systemctl daemon-reload`, and enroll again",
        files.join(", ")
    )
}
