//! Rates all enrolled users by their published state: one row each, the worst first.

use std::path::Path;

use anyhow::{Context, Result};
use cas_core::outcome::Status;
use cas_core::time::format::format_relative;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::paths::STATE_DIR;

use crate::os::environment::now;
use crate::published_state::accounts::Accounts;
use crate::published_state::read::{self, EnrolledUser, PublishedEntry};
use crate::published_state::report::PublishedReport;

/// How one person is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Whose it is.
    pub(crate) name: String,
    /// How bad it is.
    pub(crate) rank: Severity,
    /// Why, in words.
    pub(crate) reason: String,
    /// What they have published, where that could be read.
    pub(crate) standing: Option<PublishedReport>,
}

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The last sync needs an action.
    Failed,
    /// The account that was enrolled is not there any more.
    Gone,
    /// What is published is no state of theirs.
    Unreadable,
    /// What is published is of a time that is yet to come.
    ClockSkew,
    /// The last sync was longer ago than syncs are apart.
    Overdue,
    /// The last sync says that something is not as it should be.
    Warning,
    /// No sync has published anything yet.
    Unknown,
    /// The last sync could do nothing.
    Skipped,
    /// The last sync restored the login.
    Recovered,
    /// All is well.
    Ok,
}

impl Row {
    /// The row of this person, as seen at `now`.
    pub(crate) fn of(person: EnrolledUser, now: Timestamp) -> Self {
        let name = person.name;
        match person.found {
            PublishedEntry::Nothing => Self {
                rank: Severity::Unknown,
                reason: "no sync has published anything yet".into(),
                standing: None,
                name,
            },
            PublishedEntry::Unreadable(why) => Self {
                rank: Severity::Unreadable,
                reason: format!("unreadable: {why}"),
                standing: None,
                name,
            },
            PublishedEntry::Gone(why) => Self { rank: Severity::Gone, reason: why, standing: None, name },
            PublishedEntry::Standing(standing) => {
                let (rank, reason) = judged(&standing, now);
                Self { rank, reason, standing: Some(*standing), name }
            }
        }
    }

    /// The exit code: that of the last sync, where it can be believed and is recent; else 1, or 75 where there was none yet.
    pub(crate) fn exit_code(&self) -> u8 {
        match (self.rank, &self.standing) {
            (Severity::Gone | Severity::Unreadable | Severity::ClockSkew, _) => 1,
            (Severity::Overdue, Some(standing)) => standing.exit_code.max(1),
            (_, Some(standing)) => standing.exit_code,
            (_, None) => 75,
        }
    }

    /// The status as which it is shown.
    pub(crate) fn status(&self) -> Status {
        match self.rank {
            Severity::Failed | Severity::Gone => Status::Fail,
            Severity::Unreadable | Severity::ClockSkew | Severity::Overdue | Severity::Warning => {
                Status::Warn
            }
            Severity::Unknown | Severity::Skipped => Status::Skip,
            Severity::Recovered => Status::Recovered,
            Severity::Ok => Status::Ok,
        }
    }
}

impl Severity {
    /// Its name for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
            Self::ClockSkew => "clock-skew",
            Self::Overdue => "overdue",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::Recovered => "recovered",
            Self::Ok => "ok",
        }
    }
}

/// All of them, the worst first.
pub(crate) fn worst_first(people: Vec<EnrolledUser>, now: Timestamp) -> Vec<Row> {
    let mut rows: Vec<_> = people.into_iter().map(|person| Row::of(person, now)).collect();
    rows.sort_by(|one, other| one.rank.cmp(&other.rank).then_with(|| one.name.cmp(&other.name)));
    rows
}

/// Returns the rows of all enrolled users, the worst first, and the moment for which they hold.
///
/// # Errors
/// When the enrollment directory cannot be read.
pub(crate) fn read_all() -> Result<(Vec<Row>, Timestamp)> {
    let now = now();
    let users = read::read_all(Path::new(STATE_DIR), Accounts::look_up);
    let users = users.with_context(|| format!("cannot list the enrolled users in {STATE_DIR}"))?;
    Ok((worst_first(users, now), now))
}

/// The exit code of all of them: that of the worst.
pub(crate) fn exit_code(rows: &[Row]) -> u8 {
    rows.iter().map(Row::exit_code).find(|code| *code != 0).unwrap_or(0)
}

fn judged(standing: &PublishedReport, now: Timestamp) -> (Severity, String) {
    let said = || standing.text.clone();
    if standing.is_in_future(now) {
        let ahead = format_relative(standing.at, now);
        return (
            Severity::ClockSkew,
            format!("it says to be of a sync {ahead}: look at the clock; it said: {}", said()),
        );
    }
    match standing.status {
        Status::Fail => (Severity::Failed, said()),
        _ if standing.is_outdated(now) => (
            Severity::Overdue,
            format!("no sync since {}; the last one said: {}", format_relative(standing.at, now), said()),
        ),
        Status::Warn => (Severity::Warning, said()),
        Status::Skip => (Severity::Skipped, said()),
        Status::Recovered => (Severity::Recovered, said()),
        Status::Ok => (Severity::Ok, said()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    fn person(name: &str, status: &str, hours_ago: i64, exit_code: u8) -> EnrolledUser {
        let at = i64::try_from(NOW.millis()).expect("a time") - hours_ago * 3_600_000;
        let json = format!(r#"{{"at_ms":{at},"status":"{status}","text":"so","exit_code":{exit_code}}}"#);
        let standing = PublishedReport::parse(json.as_bytes()).expect("a state");
        EnrolledUser { name: name.into(), found: PublishedEntry::Standing(Box::new(standing)) }
    }

    #[test]
    fn the_worst_comes_first_and_gives_the_exit_code() {
        let people = vec![
            person("ann", "OK", 1, 0),
            person("ben", "SKIP", 1, 0),
            person("cem", "RECOVERED", 1, 0),
            EnrolledUser { name: "dan".into(), found: PublishedEntry::Nothing },
            person("eve", "WARN", 1, 75),
            person("fay", "OK", 14, 0),
            person("gus", "OK", -1, 0),
            EnrolledUser {
                name: "gil".into(),
                found: PublishedEntry::Gone("the account was removed".into()),
            },
            EnrolledUser { name: "hal".into(), found: PublishedEntry::Unreadable("it is a link".into()) },
            person("ida", "FAIL", 900, 79),
            person("abe", "OK", 1, 0),
        ];
        let rows = worst_first(people, NOW);
        let seen: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.rank.word(), row.exit_code())).collect();
        let expected = [
            ("ida", "failed", 79),
            ("gil", "gone", 1),
            ("hal", "unreadable", 1),
            ("gus", "clock-skew", 1),
            ("fay", "overdue", 1),
            ("eve", "warning", 75),
            ("dan", "unknown", 75),
            ("ben", "skipped", 0),
            ("cem", "recovered", 0),
            ("abe", "ok", 0),
            ("ann", "ok", 0),
        ];
        assert_eq!(seen, expected);
        assert_eq!(exit_code(&rows), 79);
        assert_eq!(exit_code(&rows[5..]), 75);
        assert_eq!(exit_code(&rows[7..]), 0);
        assert_eq!(rows[2].reason, "unreadable: it is a link");
    }
}
