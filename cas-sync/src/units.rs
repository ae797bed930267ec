//! What runs for a person by itself: the timer, the path unit that sees requests, and the watch, all below one target.

use std::path::PathBuf;

use anyhow::Result;

use crate::left_running::processes_of;
use crate::stand_ins;
use crate::systemctl::{is_installed, is_running, state, systemctl};
use crate::undoing::{all_of, removed};
use crate::unit_names::{TARGET, Units};

/// What came of starting somebody's units.
#[derive(Debug)]
pub(crate) struct Change {
    /// Whether anything was done.
    pub(crate) any: bool,
    /// What the admin should know besides.
    pub(crate) remark: Option<String>,
}

/// Lets everything run that is to run for `user` by itself, and the sync at once when nothing was. The watch, which stays in
/// memory, only when it is wanted.
///
/// # Errors
/// When systemctl refuses something; its own words say what.
pub(crate) fn start(user: &str, watch: bool) -> Result<Change> {
    let units = match Units::of(user) {
        Some(units) => units,
        None => {
            return Ok(remark(format!(
                "systemd cannot name a unit after {user}, so nothing runs for them by itself: run `cas-sync run` as them a few times a day"
            )));
        }
    };
    if !is_installed() {
        return Ok(remark(format!(
            "there is no systemctl here, so nothing runs for {user} by itself: run `cas-sync run` as them a few times a day"
        )));
    }
    let stand_ins = stand_ins::of(&units.all());
    if !stand_ins.is_empty() {
        return Ok(remark(instead_of_ours(user, &stand_ins)));
    }
    let wanted = units.wanted(watch);
    let not_enabled = those_not("is-enabled", "enabled", &wanted)?;
    let is_new = |unit: &&&str| not_enabled.contains(unit) || !units.are_links_ours(unit);
    let new: Vec<_> = wanted.iter().filter(is_new).copied().collect();
    // One that is enabled and does not run, or is masked, was stopped by somebody, who will have had a reason.
    let is_first = state("is-enabled", TARGET)? == "disabled";
    let mut change = Change { any: is_first || !new.is_empty(), remark: None };
    if change.any {
        // In one command: systemd reads all of its units again after each.
        let target = if is_first { &[TARGET][..] } else { &[] };
        // What else has started them is made to do so no more.
        systemctl(&[&["reenable", "--quiet"], new.as_slice(), target].concat())?;
    }
    if !watch {
        change.any |= all_of(off(&[&units.watch]))?;
    }
    if !is_running() {
        change.remark = Some("systemd does not run here: the units are enabled, and start with it".into());
        return Ok(change);
    }
    if is_first {
        systemctl(&["start", TARGET])?;
    }
    if state("is-active", TARGET)? != "active" {
        change.remark = Some(format!(
            "{TARGET} does not run, so nothing runs for anybody by itself until `systemctl unmask {TARGET}` and `systemctl start {TARGET}`"
        ));
        return Ok(change);
    }
    let resting = those_not("is-active", "active", &wanted)?;
    if !resting.is_empty() {
        systemctl(&[&["start"], resting.as_slice()].concat())?;
        change.any = true;
    }
    if !new.is_empty() {
        // A new timer waits for its time. Not waited for: it may take minutes.
        systemctl(&["start", "--no-block", &units.service])?;
    }
    Ok(change)
}

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

/// Those of the units of which systemctl does not answer so.
fn those_not<'u>(question: &str, answer: &str, units: &[&'u str]) -> Result<Vec<&'u str>> {
    let mut found = Vec::new();
    for unit in units {
        if state(question, unit)? != answer {
            found.push(*unit);
        }
    }
    Ok(found)
}

/// Disables and stops each of the units, whatever becomes of the others.
fn off(units: &[&str]) -> Vec<Result<bool>> {
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

fn instead_of_ours(user: &str, stand_ins: &[PathBuf]) -> String {
    let files: Vec<_> = stand_ins.iter().map(|path| path.display().to_string()).collect();
    format!(
        "What is packaged does not run for {user} by itself, because systemd takes this instead: {}. Put it aside, run `systemctl daemon-reload`, and enroll again",
        files.join(", ")
    )
}

fn remark(text: String) -> Change {
    Change { any: false, remark: Some(text) }
}
