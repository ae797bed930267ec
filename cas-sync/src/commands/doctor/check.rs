//! What a check is, and what it may say.

use serde::{Deserialize, Serialize};

/// One thing that is looked at. All of them are in the tables of [`super::checks`], and in `docs/user/doctor.md`.
pub(super) struct Check<Facts> {
    /// Its name, for programs and for the documentation.
    pub(super) id: &'static str,
    /// What is looked at, in a few words.
    pub(super) looks_at: &'static str,
    /// Judges the facts; nothing else.
    pub(super) judge: fn(&Facts) -> CheckResult,
}

impl<Facts> Clone for Check<Facts> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Facts> Copy for Check<Facts> {}

/// How many findings one check tells of at most: nobody reads more, and the next look tells the others.
const MOST: usize = 10;

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CheckResult {
    /// All is as it should be.
    Ok,
    /// It does not apply here; why.
    NotApplicable(String),
    /// Nobody can say; why.
    Unknown(String),
    /// This is amiss.
    Problems(Vec<Finding>),
}

/// One thing that is amiss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// The cause, in one sentence without its full stop.
    pub(super) cause: String,
    pub(super) remedy: Remedy,
    /// What `--fix` does about it, where that is safe.
    pub(super) fix: Option<Fix>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Something does not work.
    Problem,
    /// Everything works, and this may end that, or is less safe than it should be.
    Warning,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Remedy {
    /// A command line of a shell, for the person.
    Person(String),
    /// A command line of a shell, for root.
    Root(String),
    /// A command line for whoever may do that at the server.
    Server(String),
    /// No command can do it: what somebody has to do.
    Text(String),
}

/// What can be mended without asking anybody: each changes nothing that is not amiss, and does nothing if that is no longer so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fix {
    /// Close a file or folder of the person's own to others.
    Mode {
        /// Which.
        path: String,
        /// The mode it gets.
        mode: u32,
    },
    /// Remove a lock that a process which is gone has left behind.
    Lock(String),
    /// Tell Claude Code that its first start is over.
    Onboarding,
    /// Let the planner decide: a sync of the person's.
    Sync,
    /// Start a unit (root).
    Start(String),
    /// Make an enrollment whole (root).
    Enroll(String),
}

impl Fix {
    /// What it does, for people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Mode { path, mode } => format!("give {path} the mode {mode:04o}"),
            Self::Lock(path) => format!("remove the lock {path}"),
            Self::Onboarding => {
                "note in Claude Code's own file, under its lock, that its first start is over".into()
            }
            Self::Sync => "run the sync, which decides what may be put back".into(),
            Self::Start(unit) => format!("start {unit}"),
            Self::Enroll(user) => format!("enrol {user} again, which mends what is missing"),
        }
    }
}

impl Finding {
    /// Something that does not work.
    pub(super) fn problem(cause: impl Into<String>, remedy: Remedy) -> Self {
        Self { severity: Severity::Problem, cause: cause.into(), remedy, fix: None }
    }

    /// Something that may not work for long, or is less safe than it should be.
    pub(super) fn warning(cause: impl Into<String>, remedy: Remedy) -> Self {
        Self { severity: Severity::Warning, ..Self::problem(cause, remedy) }
    }

    /// The same, with something that `--fix` may do.
    pub(super) fn with_fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

impl CheckResult {
    /// Fine when there is nothing.
    pub(super) fn of(findings: impl IntoIterator<Item = Finding>) -> Self {
        let findings: Vec<_> = findings.into_iter().take(MOST).collect();
        if findings.is_empty() { Self::Ok } else { Self::Problems(findings) }
    }
}

/// What one check said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) looks_at: String,
    pub(super) judgement: CheckResult,
}

/// What all of them say: pure.
pub(super) fn diagnose<Facts>(checks: &[Check<Facts>], facts: &Facts) -> Vec<Row> {
    let row = |check: &Check<Facts>| Row {
        id: check.id.to_owned(),
        looks_at: check.looks_at.to_owned(),
        judgement: (check.judge)(facts),
    };
    checks.iter().map(row).collect()
}

/// A command line of these words, each quoted as needed; words instead where one of them cannot be typed.
pub(super) fn command(words: &[&str]) -> Result<String, String> {
    let quoted: Option<Vec<String>> =
        words.iter().map(|word| crate::os::shell_quote::shell_quote(word)).collect();
    quoted.map(|words| words.join(" ")).ok_or_else(|| "its name cannot be typed: move it by hand".into())
}

/// The command that moves a file aside, and not away: it may be somebody's only copy.
///
/// # Errors
/// As [`command`].
pub(super) fn move_aside_command(path: &str) -> Result<String, String> {
    command(&["mv", "--backup=numbered", "-T", path, &format!("{path}.aside")])
}

/// The same for the person.
pub(super) fn move_aside_as_user(path: &str) -> Remedy {
    move_aside_command(path).map_or_else(Remedy::Text, Remedy::Person)
}

/// A command for the person.
pub(super) fn as_user(words: &[&str]) -> Remedy {
    command(words).map_or_else(Remedy::Text, Remedy::Person)
}

/// A command for root.
pub(super) fn as_root(words: &[&str]) -> Remedy {
    command(words).map_or_else(Remedy::Text, Remedy::Root)
}
