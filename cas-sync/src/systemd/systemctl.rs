//! Runs systemctl(1), the only interface to systemd that is used. It enables units also if systemd
//! does not run.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::os::bounded_command::run_bounded;

/// The maximum number of units in one systemctl command: PID 1 reloads all units after each
/// command, and a command line is limited.
pub(crate) const BATCH_SIZE: usize = 100;

/// The time limit for all queries of a command that changes nothing; systemd answers in
/// milliseconds.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// The error if systemd does not answer in time.
pub(crate) const NO_REPLY: &str = "systemd does not answer";

/// Runs systemctl and waits for its end.
///
/// # Errors
/// The error message of systemctl.
pub(crate) fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = output(arguments)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    bail!("`systemctl {}` failed: {}", arguments.join(" "), message.trim_end().replace('\n', " "))
}

/// Returns the word that `is-enabled`, `is-active` or `is-failed` prints. The exit status has the
/// same information.
///
/// # Errors
/// If systemctl cannot be run.
pub(crate) fn state(question: &str, unit: &str) -> Result<String> {
    let output = output(&[question, unit])?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Does the same as [`state`] for several units in one query.
///
/// # Errors
/// If systemctl cannot be run.
pub(crate) fn states(question: &str, units: &[&str]) -> Result<Vec<String>> {
    let output = output(&[&[question], units].concat())?;
    let states: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if states.len() == units.len() {
        return Ok(states);
    }
    // An unknown unit has no line.
    units.iter().map(|unit| state(question, unit)).collect()
}

/// Does the same as [`states`] with a time limit.
///
/// # Errors
/// [`NO_REPLY`], or if systemctl cannot be run.
pub(crate) fn states_within(deadline: &Deadline, question: &str, units: &[&str]) -> Result<Vec<String>> {
    let output = output_within(deadline, &[&[question], units].concat())?;
    let states: Vec<_> = String::from_utf8_lossy(&output).lines().map(str::to_owned).collect();
    if states.len() == units.len() {
        return Ok(states);
    }
    match units {
        // For a single unit, systemctl prints an error if it cannot reach systemd, and nothing for
        // an unknown unit.
        [_] => Ok(vec![states.into_iter().next().unwrap_or_default()]),
        units => units.iter().map(|unit| state_within(deadline, question, unit)).collect(),
    }
}

/// Does the same as [`state`] with a time limit.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn state_within(deadline: &Deadline, question: &str, unit: &str) -> Result<String> {
    Ok(states_within(deadline, question, &[unit])?.into_iter().next().unwrap_or_default())
}

/// Returns true if a unit is active; `None` if systemd prints nothing about it.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn is_active(deadline: &Deadline, unit: &str) -> Result<Option<bool>> {
    let word = state_within(deadline, "is-active", unit)?;
    Ok(Some(word).filter(|word| !word.is_empty()).map(|word| word == "active"))
}

/// Returns the next start of a timer; `None` if it is not active or the time is unknown.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn next_start(deadline: &Deadline, timer: &str) -> Result<Option<Timestamp>> {
    let output = output_within(deadline, &["list-timers", "--output=json", timer])?;
    let next = |output: &[u8]| {
        let timers: serde_json::Value = serde_json::from_slice(output).ok()?;
        timers.get(0)?.get("next")?.as_u64().filter(|next| *next > 0)
    };
    Ok(next(&output).map(|microseconds| Timestamp::from_millis(microseconds / 1000)))
}

/// Runs systemctl until the deadline; its jobs continue. Returns whether it succeeded; `None` at
/// the deadline.
///
/// # Errors
/// If systemctl cannot be run.
pub(crate) fn run_within(deadline: &Deadline, arguments: &[&str]) -> Result<Option<bool>> {
    match run_bounded(&mut command(arguments), deadline) {
        Ok(output) => Ok(Some(output.success)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(no_systemctl(&error)),
    }
}

fn output_within(deadline: &Deadline, arguments: &[&str]) -> Result<Vec<u8>> {
    match run_bounded(&mut command(arguments), deadline) {
        Ok(output) => Ok(output.stdout),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => bail!(NO_REPLY),
        Err(error) => Err(no_systemctl(&error)),
    }
}

fn no_systemctl(error: &io::Error) -> anyhow::Error {
    anyhow!("cannot run systemctl: {error}")
}

/// Returns true if systemctl is installed.
pub(crate) fn is_installed() -> bool {
    output(&["--version"]).is_ok()
}

/// Returns true if systemd is running, as sd_booted(3) does.
pub(crate) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn output(arguments: &[&str]) -> Result<Output> {
    command(arguments).output().map_err(|error| no_systemctl(&error))
}

/// Returns the command without the caller's environment, which must not affect a command of root.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}
