//! Disables and stops the units of users, and finds what still runs. Users are handled in batches,
//! because systemd takes a tenth of a second for each query, and reloads all units after each unit
//! that is disabled.

use anyhow::{Result, anyhow};

use super::cgroup::processes_in_unit;
use super::enabled;
use super::names::Units;
use super::systemctl::{BATCH_SIZE, is_installed, is_running, states, systemctl};
use crate::os::undo::{combine_results, remove_if_exists};

/// Disables and stops the units of these users, and removes their state in systemd. Signals a
/// running sync, which ends unless Claude Code refreshes a login. Returns for each user whether
/// anything was changed, or the error of systemctl; the other steps are done.
pub(crate) fn stop(users: &[&str]) -> Vec<Result<bool>> {
    let units: Vec<_> = users.iter().map(|user| Units::for_user(user)).collect();
    let named: Vec<_> = units.iter().flatten().collect();
    let mut stopped = match named.is_empty() || !is_installed() {
        true => Vec::new(),
        false => named.chunks(BATCH_SIZE).flat_map(stop_batch).collect(),
    }
    .into_iter();
    // A user without units has nothing to stop.
    units.iter().map(|units| units.as_ref().and_then(|_| stopped.next()).unwrap_or(Ok(false))).collect()
}

fn stop_batch(users: &[&Units]) -> Vec<Result<bool>> {
    let wanted: Vec<_> = users.iter().flat_map(|units| units.wanted(true)).collect();
    let all: Vec<_> = users.iter().flat_map(|units| units.all()).collect();
    let mut results = disable_and_stop(&wanted);
    if is_running() {
        let services: Vec<_> = users.iter().map(|units| units.service.as_str()).collect();
        let stopped = run_for_each(&["stop", "--no-block"], &services);
        results
            .extend(stopped.into_iter().zip(&services).map(|(result, unit)| (*unit, result.map(|()| false))));
        // A failed unit of an unenrolled user is no longer of interest.
        results.extend(run_where("is-failed", |state| state == "failed", &["reset-failed"], &all));
    }
    let undone = |units: &&Units| {
        let own = units.all();
        let (of_user, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut results).into_iter().partition(|(unit, _)| own.contains(unit));
        results = others;
        // systemctl keeps the links of a masked unit.
        let links = units
            .wanted(true)
            .into_iter()
            .flat_map(enabled::enablement_links)
            .map(|link| remove_if_exists(&link));
        combine_results(
            of_user
                .into_iter()
                .map(|(_, result)| result)
                .chain(links)
                .chain([remove_if_exists(&units.stamp())]),
        )
    };
    users.iter().map(undone).collect()
}

/// Stops the services of these users, and waits until they have ended: up to 90 seconds (three
/// times `TimeoutStopSec=`), all at once.
///
/// # Errors
/// The error of systemctl.
pub(crate) fn wait_until_stopped(users: &[&str]) -> Result<()> {
    let services: Vec<_> = users.iter().filter_map(|user| Some(Units::for_user(user)?.service)).collect();
    if services.is_empty() || !is_installed() || !is_running() {
        return Ok(());
    }
    let services: Vec<_> = services.iter().map(String::as_str).collect();
    services.chunks(BATCH_SIZE).try_for_each(|together| systemctl(&[&["stop"], together].concat()))
}

/// Returns messages about what still runs after [`stop`]. Only `cas-sync` itself is signaled, so
/// that no refresh is interrupted.
///
/// # Errors
/// If systemctl cannot be run.
pub(crate) fn still_running(users: &[&str]) -> Result<Vec<String>> {
    let named: Vec<_> =
        users.iter().filter_map(|user| Some((*user, Units::for_user(user)?.service))).collect();
    if named.is_empty() || !is_installed() || !is_running() {
        return Ok(Vec::new());
    }
    let mut remarks = Vec::new();
    for together in named.chunks(BATCH_SIZE) {
        let services: Vec<_> = together.iter().map(|(_, service)| service.as_str()).collect();
        let states = states("is-active", &services)?;
        for ((user, service), state) in together.iter().zip(&states) {
            remarks.extend(remark(user, service, state));
        }
    }
    Ok(remarks)
}

fn remark(user: &str, service: &str, state: &str) -> Option<String> {
    if !is_inactive(state) {
        return Some(format!("The sync of {user} is still running; it ends within five minutes"));
    }
    let left: Vec<_> = processes_in_unit(service).iter().map(u32::to_string).collect();
    (!left.is_empty()).then(|| {
        let left = left.join(" ");
        format!(
            "processes that Claude Code started still run in {service}; after five minutes, when none can be refreshing a login, run `kill {left}`"
        )
    })
}

/// Disables and stops each of the units; one failure does not affect the others.
pub(super) fn disable_and_stop<'u>(units: &[&'u str]) -> Vec<(&'u str, Result<bool>)> {
    let is_enabled = |state: &str| matches!(state, "enabled" | "enabled-runtime");
    let disable = ["disable", "--no-reload", "--quiet"];
    let mut results = run_where("is-enabled", is_enabled, &disable, units);
    if is_running() {
        let first = results.iter().find(|(_, result)| matches!(result, Ok(true))).map(|(unit, _)| *unit);
        // One reload is enough for all units.
        results.extend(first.map(|unit| (unit, systemctl(&["daemon-reload"]).map(|()| true))));
        results.extend(run_where("is-active", |state| !is_inactive(state), &["stop"], units));
    }
    results
}

/// Returns true if a unit of this state is not active.
pub(super) fn is_inactive(state: &str) -> bool {
    matches!(state, "inactive" | "failed")
}

/// Runs a command for the units whose state applies. Returns for each unit whether the command was
/// run for it.
fn run_where<'u>(
    question: &str,
    applies: impl Fn(&str) -> bool,
    command: &[&str],
    units: &[&'u str],
) -> Vec<(&'u str, Result<bool>)> {
    let states = match states(question, units) {
        Ok(states) => states,
        Err(error) => {
            let why = format!("{error:#}");
            return units.iter().map(|unit| (*unit, Err(anyhow!(why.clone())))).collect();
        }
    };
    let (wanted, others): (Vec<_>, Vec<_>) = units.iter().zip(&states).partition(|(_, state)| applies(state));
    let wanted: Vec<_> = wanted.into_iter().map(|(unit, _)| *unit).collect();
    let done = run_for_each(command, &wanted)
        .into_iter()
        .zip(&wanted)
        .map(|(result, unit)| (*unit, result.map(|()| true)));
    done.chain(others.into_iter().map(|(unit, _)| (*unit, Ok(false)))).collect()
}

/// Runs a systemctl command for all units at once. If that fails, runs it for each unit, so that
/// each has its own result.
fn run_for_each(command: &[&str], units: &[&str]) -> Vec<Result<()>> {
    if units.is_empty() || systemctl(&[command, units].concat()).is_ok() {
        return units.iter().map(|_| Ok(())).collect();
    }
    units.iter().map(|unit| systemctl(&[command, &[*unit]].concat())).collect()
}
