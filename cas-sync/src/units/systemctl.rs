//! systemctl(1), by which everything is asked of systemd; it also enables where systemd does not run.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, anyhow, bail};
use cas_core::timestamp::Timestamp;

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

/// Whether a unit runs; nothing where systemd does not say.
pub(crate) fn is_active(unit: &str) -> Option<bool> {
    let word = state("is-active", unit).ok().filter(|word| !word.is_empty())?;
    Some(word == "active")
}

/// When a timer starts its service next; nothing where it does not run, or nobody can tell.
pub(crate) fn next_start(timer: &str) -> Option<Timestamp> {
    let answer = ask(&["list-timers", "--output=json", timer]).ok()?;
    let timers: serde_json::Value = serde_json::from_slice(&answer.stdout).ok()?;
    let microseconds = timers.get(0)?.get("next")?.as_u64().filter(|next| *next > 0)?;
    Some(Timestamp::from_millis(microseconds / 1000))
}

/// Whether there is a systemctl at all.
pub(crate) fn is_installed() -> bool {
    ask(&["--version"]).is_ok()
}

/// Whether systemd runs here, as sd_booted(3) knows it.
pub(crate) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whoever calls this as root has an environment of their own: it has no say in what root runs, and how it answers.
fn ask(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("systemctl");
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.output().map_err(|error| anyhow!("systemctl cannot be run: {error}"))
}
