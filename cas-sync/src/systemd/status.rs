//! How somebody's units are, for who asks and changes nothing.

use std::path::PathBuf;

use cas_protocol::deadline::Deadline;

use super::enabled;
use super::names::{TARGET, Units};
use super::overrides;
use super::systemctl::{PATIENCE, is_installed, is_running, state_within, states_within};

/// How they are.
#[derive(Debug)]
pub(crate) struct UnitStatus {
    /// The files that keep what is packaged from running.
    pub(crate) stand_ins: Vec<PathBuf>,
    /// Those that are enabled and do not run, with the word for their state; none where the target does not run.
    pub(crate) resting: Vec<(String, String)>,
    /// The service, when its last run failed.
    pub(crate) failed: Option<String>,
}

/// How the units of this person are.
///
/// # Errors
/// Why there can be none, or that systemd does not answer.
pub(crate) fn standing(user: &str) -> Result<UnitStatus, String> {
    let units = Units::of(user).ok_or("systemd cannot name a unit after this person")?;
    if !is_installed() || !is_running() {
        return Err("systemd does not run here".into());
    }
    let said = |error: anyhow::Error| error.to_string();
    let deadline = Deadline::after(PATIENCE);
    let runs = |state: &str| matches!(state, "active" | "activating" | "reloading");
    let wanted = units.wanted(true).into_iter();
    let enabled: Vec<_> =
        wanted.filter(|unit| enabled::is_enabled(unit) && !enabled::is_masked(unit)).collect();
    let target_runs = runs(&state_within(&deadline, "is-active", TARGET).map_err(said)?);
    let states = match target_runs && !enabled.is_empty() {
        true => states_within(&deadline, "is-active", &enabled).map_err(said)?,
        false => Vec::new(),
    };
    let resting = enabled.iter().zip(states).filter(|(_, state)| !runs(state));
    let has_failed = state_within(&deadline, "is-failed", &units.service).map_err(said)? == "failed";
    Ok(UnitStatus {
        stand_ins: overrides::of(&units.all()),
        resting: resting.map(|(unit, state)| ((*unit).to_owned(), state)).collect(),
        failed: has_failed.then(|| units.service.clone()),
    })
}

/// How everybody's target is; nothing where systemd does not run.
pub(crate) fn target() -> Option<TargetState> {
    if !is_installed() || !is_running() {
        return None;
    }
    if enabled::is_masked(TARGET) {
        return Some(TargetState::Masked);
    }
    Some(match state_within(&Deadline::after(PATIENCE), "is-active", TARGET).as_deref() {
        Ok("active") => TargetState::Runs,
        Ok(_) => TargetState::Stopped,
        Err(_) => TargetState::NoReply,
    })
}

/// What everybody's units hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetState {
    /// An admin keeps it from starting.
    Masked,
    /// It could be started.
    Stopped,
    /// All is well.
    Runs,
    /// systemd does not answer.
    NoReply,
}
