//! systemctl(1), by which everything is asked of systemd; it also enables where systemd does not run.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::os::bounded_command::run_bounded;

/// How many units one systemctl command names: PID 1 reloads all units after each command, and a command line is limited.
pub(crate) const BATCH_SIZE: usize = 100;

/// How long whoever only looks waits for systemd, for all that one command asks: it answers in milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What is said where it does not answer.
pub(crate) const NO_REPLY: &str = "systemd does not answer";

/// Lets systemctl do something, and waits for it.
///
/// # Errors
/// Its own words, when it refuses.
pub(crate) fn systemctl(arguments: &[&str]) -> Result<()> {
    let answer = ask(arguments)?;
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr);
    bail!("`systemctl {}` says: {}", arguments.join(" "), said.trim_end().replace('\n', " "))
}

/// The one word that `is-enabled`, `is-active` or `is-failed` answers; its exit status only says it once more.
///
/// # Errors
/// When systemctl cannot be run.
pub(crate) fn state(question: &str, unit: &str) -> Result<String> {
    let answer = ask(&[question, unit])?;
    Ok(String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
}

/// As [`state`], of each of these units, in one question.
///
/// # Errors
/// When systemctl cannot be run.
pub(crate) fn states(question: &str, units: &[&str]) -> Result<Vec<String>> {
    let answer = ask(&[&[question], units].concat())?;
    let said: Vec<_> = String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect();
    if said.len() == units.len() {
        return Ok(said);
    }
    // One that it does not know has no line.
    units.iter().map(|unit| state(question, unit)).collect()
}

/// As [`states`], for whoever only looks: each answer is a word of systemd's.
///
/// # Errors
/// [`NO_REPLY`], or that systemctl cannot be run.
pub(crate) fn states_within(deadline: &Deadline, question: &str, units: &[&str]) -> Result<Vec<String>> {
    let said = output_within(deadline, &[&[question], units].concat())?;
    let said: Vec<_> = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
    if said.len() == units.len() {
        return Ok(said);
    }
    match units {
        // It says so where it cannot ask, and nothing where it does not know the unit.
        [_] => Ok(vec![said.into_iter().next().unwrap_or_default()]),
        units => units.iter().map(|unit| state_within(deadline, question, unit)).collect(),
    }
}

/// As [`state`], for whoever only looks.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn state_within(deadline: &Deadline, question: &str, unit: &str) -> Result<String> {
    Ok(states_within(deadline, question, &[unit])?.into_iter().next().unwrap_or_default())
}

/// Whether a unit runs; nothing where systemd says nothing of it.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn is_active(deadline: &Deadline, unit: &str) -> Result<Option<bool>> {
    let word = state_within(deadline, "is-active", unit)?;
    Ok(Some(word).filter(|word| !word.is_empty()).map(|word| word == "active"))
}

/// When a timer starts its service next; nothing where it does not run, or nobody can tell.
///
/// # Errors
/// As [`states_within`].
pub(crate) fn next_start(deadline: &Deadline, timer: &str) -> Result<Option<Timestamp>> {
    let said = output_within(deadline, &["list-timers", "--output=json", timer])?;
    let next = |said: &[u8]| {
        let timers: serde_json::Value = serde_json::from_slice(said).ok()?;
        timers.get(0)?.get("next")?.as_u64().filter(|next| *next > 0)
    };
    Ok(next(&said).map(|microseconds| Timestamp::from_millis(microseconds / 1000)))
}

/// Lets systemctl do something, for as long as there is time; what it began goes on without it. Whether it says that all of it
/// went well; nothing where it was not waited for to the end.
///
/// # Errors
/// When systemctl cannot be run.
pub(crate) fn run_within(deadline: &Deadline, arguments: &[&str]) -> Result<Option<bool>> {
    match run_bounded(&mut command(arguments), deadline) {
        Ok(heard) => Ok(Some(heard.success)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(no_systemctl(&error)),
    }
}

fn output_within(deadline: &Deadline, arguments: &[&str]) -> Result<Vec<u8>> {
    match run_bounded(&mut command(arguments), deadline) {
        Ok(heard) => Ok(heard.stdout),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => bail!(NO_REPLY),
        Err(error) => Err(no_systemctl(&error)),
    }
}

fn no_systemctl(error: &io::Error) -> anyhow::Error {
    anyhow!("systemctl cannot be run: {error}")
}

/// Whether there is a systemctl at all.
pub(crate) fn is_installed() -> bool {
    ask(&["--version"]).is_ok()
}

/// Whether systemd runs here, as sd_booted(3) knows it.
pub(crate) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn ask(arguments: &[&str]) -> Result<Output> {
    command(arguments).output().map_err(|error| no_systemctl(&error))
}

/// Whoever calls this as root has an environment of their own: it has no say in what root runs, and how it answers.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}
