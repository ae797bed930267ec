//! The state of a user's units, for commands that change nothing.

use std::path::PathBuf;

use cas_protocol::deadline::Deadline;

use super::enabled;
use super::names::{TARGET, Units};
use super::overrides;
use super::systemctl::{QUERY_TIMEOUT, is_installed, is_running, state_within, states_within};

/// The state of a user's units.
#[derive(Debug)]
pub(crate) struct UnitStatus {
    /// The files that override the packaged units.
    pub(crate) overrides: Vec<PathBuf>,
    /// Enabled units that are not active, with their state; empty if the target is not active.
    pub(crate) inactive: Vec<(String, String)>,
    /// The service, if its last run failed.
    pub(crate) failed: Option<String>,
}

/// Returns the state of the units of this user.
///
/// # Errors
/// The reason why the user has no units, or that systemd does not answer.
pub(crate) fn unit_status(user: &str) -> Result<UnitStatus, String> {
    let units = Units::for_user(user).ok_or("systemd does not accept this user name in a unit name")?;
    if !is_installed() || !is_running() {
        return Err("systemd does not run here".into());
    }
    let to_text = |error: anyhow::Error| error.to_string();
    let deadline = Deadline::after(QUERY_TIMEOUT);
    let runs = |state: &str| matches!(state, "active" | "activating" | "reloading");
    let wanted = units.wanted(true).into_iter();
    let enabled: Vec<_> =
        wanted.filter(|unit| enabled::is_enabled(unit) && !enabled::is_masked(unit)).collect();
    let target_runs = runs(&state_within(&deadline, "is-active", TARGET).map_err(to_text)?);
    let states = match target_runs && !enabled.is_empty() {
        true => states_within(&deadline, "is-active", &enabled).map_err(to_text)?,
        false => Vec::new(),
    };
    let inactive = enabled.iter().zip(states).filter(|(_, state)| !runs(state));
    let has_failed = state_within(&deadline, "is-failed", &units.service).map_err(to_text)? == "failed";
    Ok(UnitStatus {
        overrides: overrides::overriding_files(&units.all()),
        inactive: inactive.map(|(unit, state)| ((*unit).to_owned(), state)).collect(),
        failed: has_failed.then(|| units.service.clone()),
    })
}

/// Returns the state of the target; `None` if systemd does not run.
pub(crate) fn target() -> Option<TargetState> {
    if !is_installed() || !is_running() {
        return None;
    }
    if enabled::is_masked(TARGET) {
        return Some(TargetState::Masked);
    }
    Some(match state_within(&Deadline::after(QUERY_TIMEOUT), "is-active", TARGET).as_deref() {
        Ok("active") => TargetState::Runs,
        Ok(_) => TargetState::Stopped,
        Err(_) => TargetState::NoReply,
    })
}

/// The state of the target of all units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetState {
    /// Masked by an administrator.
    Masked,
    /// Not active.
    Stopped,
    /// Active.
    Runs,
    /// systemd does not answer.
    NoReply,
}
