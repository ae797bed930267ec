//! A check and its result.

use serde::{Deserialize, Serialize};

/// One check. [`super::checks`] and `docs/user/doctor.md` list all of them.
pub(super) struct Check<Facts> {
    /// Its name in the output and in the documentation.
    pub(super) id: &'static str,
    /// The statement that is true if nothing was found.
    pub(super) passed: &'static str,
    /// Evaluates the facts and reads nothing else.
    pub(super) evaluate: fn(&Facts) -> CheckResult,
}

impl<Facts> Check<Facts> {
    /// Creates a check with its id, the statement that is true if it finds nothing, and its
    /// evaluation.
    pub(super) const fn new(
        id: &'static str,
        passed: &'static str,
        evaluate: fn(&Facts) -> CheckResult,
    ) -> Self {
        Self { id, passed, evaluate }
    }
}

impl<Facts> Clone for Check<Facts> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Facts> Copy for Check<Facts> {}

/// The maximum number of findings of one check. The next run reports the others.
const MAX_FINDINGS: usize = 10;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CheckResult {
    /// Nothing was found.
    Ok,
    /// The check does not apply; the reason.
    NotApplicable(String),
    /// The facts are not available; the reason.
    Unknown(String),
    /// The findings.
    Problems(Vec<Finding>),
}

/// One problem or warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// One sentence without a full stop.
    pub(super) cause: String,
    pub(super) remedy: Remedy,
    /// The repair by `--fix`, if it is safe.
    pub(super) fix: Option<Fix>,
}

/// The severity of a finding, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Something does not work.
    Problem,
    /// Everything works; this may become a problem, or is less safe than it should be.
    Warning,
}

/// The way to remove the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Remedy {
    /// A shell command for the user.
    User(String),
    /// A shell command for root.
    Root(String),
    /// A shell command for an administrator of Vault.
    Vault(String),
    /// An instruction where no command is possible.
    Text(String),
}

/// A safe repair. Each one checks again before it acts and changes nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fix {
    /// Set the mode of a file or directory of the user.
    Mode {
        /// The file or directory.
        path: String,
        /// The permission bits to set.
        mode: u32,
    },
    /// Record in `~/.claude.json` that the first start is complete.
    Onboarding,
    /// Run the user's sync. The planner decides what is restored.
    Sync,
    /// Start a unit (root).
    Start(String),
    /// Complete an enrollment (root).
    Enroll(String),
}

impl Fix {
    /// Returns what the fix does, as text.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Mode { path, mode } => format!("set the mode of {path} to {mode:04o}"),
            Self::Onboarding => {
                "record in ~/.claude.json, under its lock, that the first start is complete".into()
            }
            Self::Sync => "run a sync, which restores a backup if one is eligible".into(),
            Self::Start(unit) => format!("start {unit}"),
            Self::Enroll(user) => format!("enroll {user} again, which creates what is missing"),
        }
    }
}

impl Finding {
    /// Returns a finding about something that does not work.
    pub(super) fn problem(cause: impl Into<String>, remedy: Remedy) -> Self {
        Self { severity: Severity::Problem, cause: cause.into(), remedy, fix: None }
    }

    /// Returns a finding about something that may stop working, or is less safe than it should be.
    pub(super) fn warning(cause: impl Into<String>, remedy: Remedy) -> Self {
        Self { severity: Severity::Warning, ..Self::problem(cause, remedy) }
    }

    /// Adds what `--fix` does.
    pub(super) fn with_fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

impl CheckResult {
    /// Returns `Ok` if there are no findings.
    pub(super) fn from_findings(findings: impl IntoIterator<Item = Finding>) -> Self {
        let findings: Vec<_> = findings.into_iter().take(MAX_FINDINGS).collect();
        if findings.is_empty() { Self::Ok } else { Self::Problems(findings) }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) passed: String,
    pub(super) result: CheckResult,
}

/// Runs all checks on the facts.
pub(super) fn diagnose<Facts>(checks: &[Check<Facts>], facts: &Facts) -> Vec<Row> {
    let row = |check: &Check<Facts>| Row {
        id: check.id.to_owned(),
        passed: check.passed.to_owned(),
        result: (check.evaluate)(facts),
    };
    checks.iter().map(row).collect()
}

/// Returns a shell command of these words, quoted where needed.
///
/// # Errors
/// Returns an instruction if a word contains a character that cannot be quoted.
pub(super) fn command(words: &[&str]) -> Result<String, String> {
    let quoted: Option<Vec<String>> =
        words.iter().map(|word| crate::os::shell_quote::shell_quote(word)).collect();
    quoted
        .map(|words| words.join(" "))
        .ok_or_else(|| "move it by hand: a shell command cannot contain its name".into())
}

/// Returns the command that renames a file to `FILE.aside`. The file can be the only copy.
///
/// # Errors
/// As [`command`].
pub(super) fn move_aside_command(path: &str) -> Result<String, String> {
    command(&["mv", "--backup=numbered", "-T", path, &format!("{path}.aside")])
}

/// Returns [`move_aside_command`] as a remedy for the user.
pub(super) fn move_aside_as_user(path: &str) -> Remedy {
    move_aside_command(path).map_or_else(Remedy::Text, Remedy::User)
}

/// Returns a command for the user.
pub(super) fn as_user(words: &[&str]) -> Remedy {
    command(words).map_or_else(Remedy::Text, Remedy::User)
}

/// Returns a command for root.
pub(super) fn as_root(words: &[&str]) -> Remedy {
    command(words).map_or_else(Remedy::Text, Remedy::Root)
}
