//! Enabling and starting what runs for people by itself.

use std::path::PathBuf;
use std::thread;

use anyhow::{Result, bail};
use cas_protocol::deadline::Deadline;

use super::enabled;
use super::names::{TARGET, Units};
use super::overrides;
use super::stop::disable_and_stop;
use super::systemctl::{
    BATCH_SIZE, PATIENCE, is_installed, is_running, run_within, state, state_within, states, systemctl,
};
use crate::os::undo::combine_results;

/// The first syncs of more newcomers than these are left to their timers and logins: each runs a client of 200 MB.
const MOST_FIRST_SYNCS: usize = 4;

/// What came of starting people's units.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Whether anything was done.
    pub(crate) any: bool,
    /// What the admin should know besides.
    pub(crate) remarks: Vec<String>,
}

/// Lets everything run that is to run for these people by itself, and their syncs at once when nothing was. The watch, which
/// stays in memory, only when it is wanted.
///
/// # Errors
/// When systemctl refuses something; its own words say what.
pub(crate) fn start(people: &[&str], watch: bool) -> Result<Change> {
    let mut change = Change::default();
    let by_hand = "nothing runs for them by itself: run `cas-sync run` as them a few times a day";
    if !is_installed() {
        change.remarks.push(format!("there is no systemctl here, so for {}, {by_hand}", people.join(", ")));
        return Ok(change);
    }
    let mut units = Vec::new();
    for user in people {
        match (Units::of(user), override_warning(user)) {
            (None, _) => {
                change.remarks.push(format!("systemd cannot name a unit after {user}, so {by_hand}"))
            }
            (_, Some(remark)) => change.remarks.push(remark),
            (Some(of_user), None) => units.push(of_user),
        }
    }
    // One that is enabled and does not run, or is masked, was stopped by somebody, who will have had a reason.
    let is_first = !units.is_empty() && state("is-enabled", TARGET)? == "disabled";
    if is_first {
        systemctl(&["enable", "--quiet", TARGET])?;
        change.any = true;
    }
    let mut newcomers = Vec::new();
    for together in units.chunks(BATCH_SIZE) {
        newcomers.extend(enable(together, watch)?);
        if !watch {
            let watches: Vec<_> = together.iter().map(|units| units.watch.as_str()).collect();
            change.any |= combine_results(disable_and_stop(&watches).into_iter().map(|(_, result)| result))?;
        }
    }
    change.any |= !newcomers.is_empty();
    if units.is_empty() {
        return Ok(change);
    }
    if !is_running() {
        change.remarks.push("systemd does not run here: the units are enabled, and start with it".into());
        return Ok(change);
    }
    if is_first {
        systemctl(&["start", TARGET])?;
    }
    if state("is-active", TARGET)? != "active" {
        let unmask = match enabled::is_masked(TARGET) {
            true => format!("`systemctl unmask {TARGET}` and "),
            false => String::new(),
        };
        change.remarks.push(format!(
            "{TARGET} does not run, so nothing runs for anybody by itself until {unmask}`systemctl start {TARGET}`"
        ));
        return Ok(change);
    }
    for together in units.chunks(BATCH_SIZE) {
        let wanted = together.iter().flat_map(|units| units.wanted(watch));
        let wanted: Vec<_> = wanted.filter(|unit| !enabled::is_masked(unit)).collect();
        let resting = units_not_in_state("is-active", "active", &wanted)?;
        if !resting.is_empty() {
            systemctl(&[&["start"], resting.as_slice()].concat())?;
            change.any = true;
        }
    }
    if newcomers.len() > MOST_FIRST_SYNCS {
        change.remarks.push("Their first syncs come with their next logins, or within six hours".into());
    } else if !newcomers.is_empty() {
        // A new timer waits for its time. Not waited for: it may take minutes.
        let services: Vec<_> = newcomers.iter().map(|units| units.service.as_str()).collect();
        systemctl(&[&["start", "--no-block"], services.as_slice()].concat())?;
    }
    Ok(change)
}

/// Enables what is not enabled by what is packaged, and by that alone; returns those for whom anything was. Which those are is
/// seen on the disk: asking systemd takes it seconds for a hundred people. A unit that is masked is masked for a reason.
fn enable(people: &[Units], watch: bool) -> Result<Vec<&Units>> {
    let (mut fresh, mut other, mut newcomers) = (Vec::new(), Vec::new(), Vec::new());
    for units in people {
        let is_new = |unit: &&str| !units.has_packaged_links(unit) && !enabled::is_masked(unit);
        let new: Vec<_> = units.wanted(watch).into_iter().filter(is_new).collect();
        newcomers.extend((!new.is_empty()).then_some(units));
        let (again, first): (Vec<_>, Vec<_>) = new.into_iter().partition(|unit| enabled::is_enabled(unit));
        fresh.extend(first);
        other.extend(again);
    }
    if !fresh.is_empty() {
        systemctl(&[&["enable", "--quiet"], fresh.as_slice()].concat())?;
    }
    if !other.is_empty() {
        // What else has started them is made to do so no more.
        systemctl(&[&["reenable", "--quiet"], other.as_slice()].concat())?;
    }
    Ok(newcomers)
}

/// Starts a unit of ours, one that has failed too often included.
///
/// # Errors
/// When systemctl refuses; its own words say what.
pub(crate) fn reset_and_start(unit: &str) -> Result<()> {
    if state("is-failed", unit)? == "failed" {
        systemctl(&["reset-failed", unit])?;
    }
    systemctl(&["start", unit])
}

/// How a service ended that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunResult {
    /// It did its work.
    Finished,
    /// It could not.
    Failed,
    /// It is at work when nobody waits any longer.
    StillRunning,
    /// There was no time left to begin it.
    NotStarted,
}

/// Starts these services, as many at a time as a machine can bear, and waits until the last has ended, or the deadline has passed:
/// how each is then.
pub(crate) fn run_services(services: &[&str], deadline: &Deadline) -> Vec<Result<RunResult>> {
    services.chunks(MOST_FIRST_SYNCS).flat_map(|few| run_few(few, deadline)).collect()
}

fn run_few(services: &[&str], deadline: &Deadline) -> Vec<Result<RunResult>> {
    thread::scope(|scope| {
        let begun: Vec<_> =
            services.iter().map(|service| scope.spawn(|| run_one(service, deadline))).collect();
        let ended =
            begun.into_iter().map(|ran| ran.join().unwrap_or_else(|_| bail!("nobody looked after it")));
        ended.collect()
    })
}

fn run_one(service: &str, deadline: &Deadline) -> Result<RunResult> {
    if deadline.is_expired() {
        return Ok(RunResult::NotStarted);
    }
    // One that has not failed has nothing to forget. What keeps it from starting shows in how it is afterwards.
    let _ = run_within(&Deadline::after(PATIENCE), &["reset-failed", service]);
    let ended_well = run_within(deadline, &["start", service])?;
    if ended_well == Some(true) {
        return Ok(RunResult::Finished);
    }
    let state = state_within(&Deadline::after(PATIENCE), "is-active", service)?;
    match (state.as_str(), ended_well) {
        ("failed", _) => Ok(RunResult::Failed),
        // Its job waits still.
        ("inactive", None) => Ok(RunResult::NotStarted),
        (_, None) => Ok(RunResult::StillRunning),
        _ => bail!("`systemctl start {service}` says why"),
    }
}

/// What systemd would start for somebody instead of what is packaged, and what to do about it.
pub(crate) fn override_warning(user: &str) -> Option<String> {
    let stand_ins = overrides::of(&Units::of(user)?.all());
    (!stand_ins.is_empty()).then(|| describe_override(user, &stand_ins))
}

/// Whether the timer and the path unit of somebody are enabled, or systemd cannot name units after them. A look at the disk:
/// systemctl takes milliseconds for each.
pub(crate) fn are_enabled(user: &str) -> bool {
    let is = |units: &Units, unit: &str| units.has_packaged_links(unit) || enabled::is_masked(unit);
    let are = |units: Units| units.wanted(false).iter().all(|unit| is(&units, unit));
    Units::of(user).is_none_or(|units| are(units) || !is_installed())
}

/// Whether anything is enabled for somebody, by us or by the script that was here before.
pub(crate) fn is_any_enabled(user: &str) -> bool {
    Units::of(user).is_some_and(|units| units.wanted(true).into_iter().any(enabled::is_enabled))
}

/// Whether the watch of somebody is enabled.
pub(crate) fn is_watch_enabled(user: &str) -> bool {
    Units::of(user).is_some_and(|units| enabled::is_enabled(&units.watch))
}

/// Those of the units of which systemctl does not answer so.
fn units_not_in_state<'u>(question: &str, answer: &str, units: &[&'u str]) -> Result<Vec<&'u str>> {
    let states = states(question, units)?;
    Ok(units.iter().zip(&states).filter(|(_, state)| *state != answer).map(|(unit, _)| *unit).collect())
}

fn describe_override(user: &str, stand_ins: &[PathBuf]) -> String {
    let files: Vec<_> = stand_ins.iter().map(|path| path.display().to_string()).collect();
    format!(
        "What is packaged does not run for {user} by itself, because systemd takes this instead: {}. Put it aside, run `systemctl daemon-reload`, and enroll again",
        files.join(", ")
    )
}
