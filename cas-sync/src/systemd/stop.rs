//! Disabling and stopping what runs for people by itself, and what is left of it then. People go by hundreds, for systemd takes
//! a tenth of a second for each question, and reads all units again whenever one is disabled.

use anyhow::{Result, anyhow};

use super::cgroup::processes_in_unit;
use super::enabled;
use super::names::Units;
use super::systemctl::{BATCH_SIZE, is_installed, is_running, states, systemctl};
use crate::os::undo::{combine_results, remove_if_exists};

/// Lets nothing run for these people by itself any more, and leaves no trace of it with systemd. A sync at work is told to end,
/// and does when Claude Code is not just refreshing. Returns, for each of them, whether there was anything to undo, or what
/// systemctl refused; everything else is done.
pub(crate) fn stop(people: &[&str]) -> Vec<Result<bool>> {
    let units: Vec<_> = people.iter().map(|user| Units::of(user)).collect();
    let named: Vec<_> = units.iter().flatten().collect();
    let mut stopped = match named.is_empty() || !is_installed() {
        true => Vec::new(),
        false => named.chunks(BATCH_SIZE).flat_map(stopped_together).collect(),
    }
    .into_iter();
    // Whom systemd cannot name a unit after has none.
    units.iter().map(|units| units.as_ref().and_then(|_| stopped.next()).unwrap_or(Ok(false))).collect()
}

fn stopped_together(people: &[&Units]) -> Vec<Result<bool>> {
    let wanted: Vec<_> = people.iter().flat_map(|units| units.wanted(true)).collect();
    let all: Vec<_> = people.iter().flat_map(|units| units.all()).collect();
    let mut results = disable_and_stop(&wanted);
    if is_running() {
        let services: Vec<_> = people.iter().map(|units| units.service.as_str()).collect();
        let told = each(&["stop", "--no-block"], &services);
        results.extend(told.into_iter().zip(&services).map(|(result, unit)| (*unit, result.map(|()| false))));
        // Whoever is looked after no more has no failed units either.
        results.extend(those_that("is-failed", |state| state == "failed", &["reset-failed"], &all));
    }
    let undone = |units: &&Units| {
        let own = units.all();
        let (of_them, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut results).into_iter().partition(|(unit, _)| own.contains(unit));
        results = others;
        // systemctl leaves the links of a unit that is masked.
        let links = units
            .wanted(true)
            .into_iter()
            .flat_map(enabled::enablement_links)
            .map(|link| remove_if_exists(&link));
        combine_results(
            of_them
                .into_iter()
                .map(|(_, result)| result)
                .chain(links)
                .chain([remove_if_exists(&units.stamp())]),
        )
    };
    people.iter().map(undone).collect()
}

/// What still runs of people's syncs after [`stop`], for the admin to know: only `cas-sync` itself is ever signalled, so
/// that no refresh is cut short.
///
/// # Errors
/// When systemctl cannot be run.
pub(crate) fn still_running(people: &[&str]) -> Result<Vec<String>> {
    let named: Vec<_> = people.iter().filter_map(|user| Some((*user, Units::of(user)?.service))).collect();
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
    if !rests(state) {
        return Some(format!(
            "A sync of {user} is at work, and ends by itself; when Claude Code refreshes their login that takes up to five minutes"
        ));
    }
    let left: Vec<_> = processes_in_unit(service).iter().map(u32::to_string).collect();
    (!left.is_empty()).then(|| {
        let left = left.join(", ");
        format!(
            "What Claude Code has left running in {service} stays, and is yours to end after five minutes, when no refresh can be in it: process {left}"
        )
    })
}

/// Disables and stops each of the units, whatever becomes of the others.
pub(super) fn disable_and_stop<'u>(units: &[&'u str]) -> Vec<(&'u str, Result<bool>)> {
    let is_enabled = |state: &str| matches!(state, "enabled" | "enabled-runtime");
    let disable = ["disable", "--no-reload", "--quiet"];
    let mut results = those_that("is-enabled", is_enabled, &disable, units);
    if is_running() {
        let first = results.iter().find(|(_, result)| matches!(result, Ok(true))).map(|(unit, _)| *unit);
        // systemd has yet to hear of it: by one reload for all of them.
        results.extend(first.map(|unit| (unit, systemctl(&["daemon-reload"]).map(|()| true))));
        results.extend(those_that("is-active", |state| !rests(state), &["stop"], units));
    }
    results
}

/// Whether a unit of this state does nothing.
fn rests(state: &str) -> bool {
    matches!(state, "inactive" | "failed")
}

/// Does this to those of the units of which systemctl answers the question so; of each of the units, whether it was one of them.
fn those_that<'u>(
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
    let done =
        each(command, &wanted).into_iter().zip(&wanted).map(|(result, unit)| (*unit, result.map(|()| true)));
    done.chain(others.into_iter().map(|(unit, _)| (*unit, Ok(false)))).collect()
}

/// Lets systemctl do this to all of the units at once; where it refuses, to each alone, so that one keeps no other from it and
/// each has its own reason.
fn each(command: &[&str], units: &[&str]) -> Vec<Result<()>> {
    if units.is_empty() || systemctl(&[command, units].concat()).is_ok() {
        return units.iter().map(|_| Ok(())).collect();
    }
    units.iter().map(|unit| systemctl(&[command, &[*unit]].concat())).collect()
}
