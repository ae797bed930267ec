//! Which Claude Code it is.

use std::fmt;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::child;
use super::invocation::Invocation;
use super::scratch::Scratch;

/// A version of Claude Code, in the order of their release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

/// The oldest that reports `api_error_type`, without which the API's refusal looks like a proxy's page
/// (`docs/design/claude-code.md`).
pub(super) const MIN_VERSION_FOR_REFUSALS: Version = Version(2, 1, 324);

/// Starting takes it a fraction of a second.
const LAST_BOUND: Duration = Duration::from_secs(20);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// The version that a text begins with, as in `2.1.329 (Claude Code)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_part = |character: char| character.is_ascii_digit() || character == '.';
        let text = text.trim_start();
        let end = text.find(|character| !is_part(character)).unwrap_or(text.len());
        let mut numbers = text.get(..end)?.split('.').map(str::parse);
        let mut number = || numbers.next()?.ok();
        Some(Self(number()?, number()?, number()?))
    }
}

/// Asks the program itself.
pub(super) fn ask(invocation: &Invocation) -> Option<Version> {
    let scratch = Scratch::new().ok()?;
    let mut child = child::spawn(&mut invocation.version(&scratch).ok()?).ok()?;
    let end = child::wait(&mut child, &Deadline::after(LAST_BOUND), || scratch.is_oversized()).ok()?;
    if end.is_none() {
        child::kill(child);
    }
    Version::parse(&String::from_utf8_lossy(&scratch.stdout()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(Version::parse("2.1.329 (Claude Code)\n"), Some(Version(2, 1, 329)));
        assert_eq!(Version::parse("2.2.0-beta.1"), Some(Version(2, 2, 0)));
        for text in ["", "claude", "2.1", "2..1", "2.1.99999999999"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert!(Version::parse("2.1.1000") > Some(MIN_VERSION_FOR_REFUSALS));
        assert!(Version::parse("2.1.323") < Some(MIN_VERSION_FOR_REFUSALS));
    }

    #[test]
    fn a_program_is_asked_for_its_version() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let invocation = stand_in(scratch.path(), "[ \"$*\" = --version ] && echo '2.0.1 (Claude Code)'");
        assert_eq!(ask(&invocation), Some(Version(2, 0, 1)));
        assert_eq!(ask(&Invocation::new("/nonexistent/claude".into(), BTreeMap::new())), None);
    }

    #[test]
    fn what_talks_instead_is_killed_with_all_it_has_started() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let started = scratch.path().join("started");
        let script = format!("sleep 60 & echo $! >{}; head -c 2000000 /dev/zero; wait", started.display());
        assert_eq!(ask(&stand_in(scratch.path(), &script)), None);
        let started = fs::read_to_string(started).expect("it was started");
        let command = format!("/proc/{}/cmdline", started.trim());
        // A zombie that nobody has reaped yet has no command line.
        let deadline = Deadline::after(Duration::from_secs(30));
        while fs::read(&command).is_ok_and(|line| line.starts_with(b"sleep")) {
            assert!(!deadline.is_expired(), "process {started} is still there");
        }
    }

    fn stand_in(directory: &Path, script: &str) -> Invocation {
        let program = directory.join("claude");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        Invocation::new(program, BTreeMap::new())
    }
}
