//! What runs for a person by itself: the timer, the path unit that sees requests, and the watch, all below one target.
//! Everything is asked of systemctl(1), which also enables where systemd does not run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow, bail};

const TARGET: &str = "claude-auth-sync.target";
/// Where systemd keeps when a timer with Persistent= last elapsed.
const STAMPS: &str = "/var/lib/systemd/timers";
/// systemd's own limit for the name of a unit, the end of the string included (`UNIT_NAME_MAX`).
const MAX_UNIT_NAME: usize = 255;

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
    let wanted =
        if watch { vec![&units.timer, &units.path, &units.watch] } else { vec![&units.timer, &units.path] };
    let is_new = enabled(&wanted)?;
    let mut change = Change { any: is_new, remark: None };
    if !watch {
        change.any |= disabled(&units.watch)?;
    }
    if !is_running() {
        change.remark = Some("systemd does not run here: the units are enabled, and start with it".into());
        return Ok(change);
    }
    // One that is enabled and does not run was stopped by somebody, who will have had a reason.
    if state("is-enabled", TARGET)? == "disabled" {
        systemctl(&["enable", "--now", "--quiet", TARGET])?;
    }
    if state("is-active", TARGET)? != "active" {
        change.remark = Some(format!(
            "{TARGET} does not run, so nothing runs for anybody by itself until `systemctl unmask {TARGET}` and `systemctl start {TARGET}`"
        ));
        return Ok(change);
    }
    change.any |= started(&wanted)?;
    if is_new {
        // A new timer waits for its time. Not waited for: it may take minutes.
        systemctl(&["start", "--no-block", &units.service])?;
    }
    Ok(change)
}

/// Lets nothing run for `user` by itself any more, and leaves no trace of it with systemd. A sync at work is told to end, and
/// does when Claude Code is not just refreshing.
///
/// # Errors
/// When systemctl refuses something.
pub(crate) fn stop(user: &str) -> Result<bool> {
    let mut any = false;
    let Some(units) = Units::of(user).filter(|_| is_installed()) else {
        return Ok(any);
    };
    for unit in [&units.timer, &units.path, &units.watch] {
        any |= disabled(unit)?;
    }
    if is_running() {
        systemctl(&["stop", "--no-block", &units.service])?;
        for unit in units.all() {
            if state("is-failed", unit)? == "failed" {
                systemctl(&["reset-failed", unit])?;
                any = true;
            }
        }
    }
    let stamp = units.stamp();
    match fs::remove_file(&stamp) {
        Ok(()) => any = true,
        Err(error) if error.kind() == ErrorKind::NotFound => (),
        Err(error) => return Err(error).with_context(|| format!("cannot remove {}", stamp.display())),
    }
    Ok(any)
}

/// The names of one person's units.
#[derive(Debug)]
struct Units {
    timer: String,
    path: String,
    service: String,
    watch: String,
}

impl Units {
    /// The units hold the login name as it is (`%i`), so it has to consist of what systemd allows there; and it must not be
    /// a number, which would be taken for a user id.
    fn of(user: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let unit = |prefix: &str, kind: &str| format!("claude-auth-{prefix}@{user}.{kind}");
        let units = Self {
            timer: unit("sync", "timer"),
            path: unit("sync", "path"),
            service: unit("sync", "service"),
            watch: unit("watch", "service"),
        };
        let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
        let fits = units.all().iter().all(|unit| unit.len() <= MAX_UNIT_NAME);
        (user.bytes().all(is_allowed) && !is_number && fits).then_some(units)
    }

    fn all(&self) -> [&String; 4] {
        [&self.timer, &self.path, &self.service, &self.watch]
    }

    fn stamp(&self) -> PathBuf {
        Path::new(STAMPS).join(format!("stamp-{}", self.timer))
    }
}

fn enabled(units: &[&String]) -> Result<bool> {
    let mut missing = Vec::new();
    for unit in units {
        if state("is-enabled", unit)? != "enabled" {
            missing.push(unit.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(false);
    }
    systemctl(&[&["enable", "--quiet"], missing.as_slice()].concat())?;
    Ok(true)
}

fn started(units: &[&String]) -> Result<bool> {
    let mut missing = Vec::new();
    for unit in units {
        if state("is-active", unit)? != "active" {
            missing.push(unit.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(false);
    }
    systemctl(&[&["start"], missing.as_slice()].concat())?;
    Ok(true)
}

fn disabled(unit: &str) -> Result<bool> {
    let is_enabled = matches!(state("is-enabled", unit)?.as_str(), "enabled" | "enabled-runtime");
    let runs = is_running() && !matches!(state("is-active", unit)?.as_str(), "inactive" | "failed");
    if is_enabled {
        systemctl(&["disable", "--quiet", unit])?;
    }
    if runs {
        systemctl(&["stop", unit])?;
    }
    Ok(is_enabled || runs)
}

/// The one word that `is-enabled`, `is-active` or `is-failed` answers; its exit status only says it once more.
fn state(question: &str, unit: &str) -> Result<String> {
    let answer = ask(&[question, unit])?;
    Ok(String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let answer = ask(arguments)?;
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr);
    bail!("`systemctl {}` says: {}", arguments.join(" "), said.trim_end().replace('\n', " "))
}

fn ask(arguments: &[&str]) -> Result<Output> {
    command(arguments).output().map_err(|error| anyhow!("systemctl cannot be run: {error}"))
}

/// Whoever calls this as root has an environment of their own: it has no say in what root runs, and how it answers.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}

fn is_installed() -> bool {
    command(&["--version"]).output().is_ok()
}

/// As sd_booted(3).
fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn remark(text: String) -> Change {
    Change { any: false, remark: Some(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was started, and none of the others could be, under systemd 252 and 257.
    #[test]
    fn units_are_named_after_people_as_they_are_called() {
        let longest = "a".repeat(229);
        for name in [
            "jean-luc",
            "a.b",
            r"DOM\user",
            "user@realm",
            "4you",
            "_x",
            ".dot",
            "x.service",
            "0x10",
            &longest,
        ] {
            let units = Units::of(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(units.service, format!("claude-auth-sync@{name}.service"));
        }
        let too_long = "a".repeat(230);
        for name in ["1234", "x$", "a b", "jörg", "a%h", "DOM+user", "a~b", "a*", "a/b", &too_long] {
            assert!(Units::of(name).is_none(), "{name}");
        }
    }
}
