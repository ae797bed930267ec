//! Disabling and stopping what runs for somebody by itself, and what is left of it then.

use anyhow::Result;

use super::enabled;
use super::left_running::processes_of;
use super::names::Units;
use super::systemctl::{is_installed, is_running, state, systemctl};
use crate::undoing::{all_of, removed};

/// Lets nothing run for `user` by itself any more, and leaves no trace of it with systemd. A sync at work is told to end, and
/// does when Claude Code is not just refreshing.
///
/// # Errors
/// What systemctl refused, all of it; everything else is done.
pub(crate) fn stop(user: &str) -> Result<bool> {
    let Some(units) = Units::of(user).filter(|_| is_installed()) else {
        return Ok(false);
    };
    let mut results = off(&units.wanted(true));
    if is_running() {
        results.push(systemctl(&["stop", "--no-block", &units.service]).map(|()| false));
        results.extend(units.all().map(forgiven));
    }
    // systemctl leaves the links of a unit that is masked.
    results.extend(units.wanted(true).into_iter().flat_map(enabled::links_of).map(|link| removed(&link)));
    results.push(removed(&units.stamp()));
    all_of(results)
}

/// What still runs of somebody's sync after [`stop`], for the admin to know: only `cas-sync` itself is ever signalled, so
/// that no refresh is cut short.
pub(crate) fn still_running(user: &str) -> Result<Option<String>> {
    let Some(units) = Units::of(user).filter(|_| is_installed() && is_running()) else {
        return Ok(None);
    };
    if !matches!(state("is-active", &units.service)?.as_str(), "inactive" | "failed") {
        return Ok(Some(format!(
            "A sync of {user} is at work, and ends by itself; when Claude Code refreshes their login that takes up to five minutes"
        )));
    }
    let left: Vec<_> = processes_of(&units.service).iter().map(u32::to_string).collect();
    Ok((!left.is_empty()).then(|| {
        let (service, left) = (&units.service, left.join(", "));
        format!(
            "What Claude Code has left running in {service} stays, and is yours to end after five minutes, when no refresh can be in it: process {left}"
        )
    }))
}

/// Disables and stops each of the units, whatever becomes of the others.
pub(super) fn off(units: &[&str]) -> Vec<Result<bool>> {
    let mut results: Vec<_> = units.iter().map(|unit| disabled(unit)).collect();
    if is_running() {
        if results.iter().any(|result| matches!(result, Ok(true))) {
            results.push(systemctl(&["daemon-reload"]).map(|()| true));
        }
        results.extend(units.iter().map(|unit| stopped(unit)));
    }
    results
}

/// systemd has yet to hear of it: by one reload for all of them.
fn disabled(unit: &str) -> Result<bool> {
    let is_enabled = matches!(state("is-enabled", unit)?.as_str(), "enabled" | "enabled-runtime");
    if is_enabled {
        systemctl(&["disable", "--no-reload", "--quiet", unit])?;
    }
    Ok(is_enabled)
}

fn stopped(unit: &str) -> Result<bool> {
    let runs = !matches!(state("is-active", unit)?.as_str(), "inactive" | "failed");
    if runs {
        systemctl(&["stop", unit])?;
    }
    Ok(runs)
}

/// Whoever is looked after no more has no failed units either.
fn forgiven(unit: &str) -> Result<bool> {
    let has_failed = state("is-failed", unit)? == "failed";
    if has_failed {
        systemctl(&["reset-failed", unit])?;
    }
    Ok(has_failed)
}
