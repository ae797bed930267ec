//! The version of Claude Code.

use std::fmt;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::child;
use super::invocation::Invocation;
use super::scratch::Scratch;

/// A version of Claude Code, ordered by release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

/// The oldest version that reports `api_error_type`. Without it, a refusal of the API looks like a
/// page of a proxy (`docs/design/claude-code.md`).
pub(super) const MIN_VERSION_FOR_REFUSALS: Version = Version(2, 1, 324);

/// The client starts within a second.
const TIMEOUT: Duration = Duration::from_secs(20);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Parses the version at the start of a text, as in `2.1.329 (Claude Code)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_part = |character: char| character.is_ascii_digit() || character == '.';
        let text = text.trim_start();
        let end = text.find(|character| !is_part(character)).unwrap_or(text.len());
        let mut numbers = text.get(..end)?.split('.').map(str::parse);
        let mut number = || numbers.next()?.ok();
        Some(Self(number()?, number()?, number()?))
    }
}

/// Runs the program with `--version`.
pub(super) fn ask(invocation: &Invocation) -> Option<Version> {
    let scratch = Scratch::new().ok()?;
    let mut child = child::spawn(&mut invocation.version(&scratch).ok()?).ok()?;
    let end = child::wait(&mut child, &Deadline::after(TIMEOUT), || scratch.is_oversized()).ok()?;
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
    fn version_is_read_from_program() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let invocation = stand_in(scratch.path(), "[ \"$*\" = --version ] && echo '2.0.1 (Claude Code)'");
        assert_eq!(ask(&invocation), Some(Version(2, 0, 1)));
        assert_eq!(ask(&Invocation::new("/nonexistent/claude".into(), BTreeMap::new())), None);
    }

    #[test]
    fn program_with_endless_output_is_killed_with_its_group() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let started = scratch.path().join("started");
        let script = format!("sleep 60 & echo $! >{}; head -c 2000000 /dev/zero; wait", started.display());
        assert_eq!(ask(&stand_in(scratch.path(), &script)), None);
        let started = fs::read_to_string(started).expect("it was started");
        let command = format!("/proc/{}/cmdline", started.trim());
        // A zombie that is not reaped yet has no command line.
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
