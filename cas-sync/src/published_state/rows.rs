//! Rates all enrolled users by their published state: one row each, the worst first.

use std::path::Path;

use anyhow::{Context, Result};
use cas_core::outcome::{ExitStatus, Status};
use cas_core::time::format::format_relative;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::paths::STATE_DIR;

use crate::os::environment::now;
use crate::published_state::accounts::Accounts;
use crate::published_state::read::{self, EnrolledUser, PublishedEntry};
use crate::published_state::report::PublishedReport;

/// The row of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserRow {
    /// The login name.
    pub(crate) name: String,
    /// The severity.
    pub(crate) severity: UserSeverity,
    /// The reason for the severity.
    pub(crate) reason: String,
    /// The published state, if it is valid.
    pub(crate) report: Option<PublishedReport>,
}

/// The severity of a user's state, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UserSeverity {
    /// The last sync needs an action.
    Failed,
    /// The account that was enrolled is missing.
    AccountMissing,
    /// The published state is invalid.
    Unreadable,
    /// The time of the published state is in the future.
    ClockSkew,
    /// Syncs are missing.
    Overdue,
    /// The last sync has a warning.
    Warning,
    /// No sync has published anything yet.
    Unknown,
    /// The last sync was not possible.
    Skipped,
    /// The last sync restored the login.
    Recovered,
    /// There is no problem.
    Ok,
}

impl UserRow {
    /// Creates the row of this user at the time `now`.
    pub(crate) fn new(user: EnrolledUser, now: Timestamp) -> Self {
        let name = user.name;
        match user.found {
            PublishedEntry::Nothing => Self {
                severity: UserSeverity::Unknown,
                reason: "no sync has published anything yet".into(),
                report: None,
                name,
            },
            PublishedEntry::Unreadable(why) => Self {
                severity: UserSeverity::Unreadable,
                reason: format!("unreadable: {why}"),
                report: None,
                name,
            },
            PublishedEntry::AccountMissing(why) => {
                Self { severity: UserSeverity::AccountMissing, reason: why, report: None, name }
            }
            PublishedEntry::Known(report) => {
                let (severity, reason) = rate(&report, now);
                Self { severity, reason, report: Some(*report), name }
            }
        }
    }

    /// Returns the exit code: that of the last sync if its state is valid and recent, else a
    /// failure; [`ExitStatus::TryLater`] if no sync has run yet.
    pub(crate) fn exit_code(&self) -> u8 {
        match (self.severity, &self.report) {
            (UserSeverity::AccountMissing | UserSeverity::Unreadable | UserSeverity::ClockSkew, _) => {
                ExitStatus::Failure.code()
            }
            (UserSeverity::Overdue, Some(report)) => report.exit_code.max(ExitStatus::Failure.code()),
            (_, Some(report)) => report.exit_code,
            (_, None) => ExitStatus::TryLater.code(),
        }
    }

    /// Returns the status that is shown.
    pub(crate) fn status(&self) -> Status {
        match self.severity {
            UserSeverity::Failed | UserSeverity::AccountMissing => Status::Fail,
            UserSeverity::Unreadable
            | UserSeverity::ClockSkew
            | UserSeverity::Overdue
            | UserSeverity::Warning => Status::Warn,
            UserSeverity::Unknown | UserSeverity::Skipped => Status::Skip,
            UserSeverity::Recovered => Status::Recovered,
            UserSeverity::Ok => Status::Ok,
        }
    }
}

impl UserSeverity {
    /// Returns its code for programs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::AccountMissing => "account-missing",
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

/// Returns the rows of these users, the worst first.
pub(crate) fn worst_first(users: Vec<EnrolledUser>, now: Timestamp) -> Vec<UserRow> {
    let mut rows: Vec<_> = users.into_iter().map(|user| UserRow::new(user, now)).collect();
    rows.sort_by(|one, other| one.severity.cmp(&other.severity).then_with(|| one.name.cmp(&other.name)));
    rows
}

/// Returns the rows of all enrolled users, the worst first, and the time at which they were rated.
///
/// # Errors
/// If the enrollment directory cannot be read.
pub(crate) fn read_all() -> Result<(Vec<UserRow>, Timestamp)> {
    let now = now();
    let users = read::read_all(Path::new(STATE_DIR), Accounts::look_up);
    let users = users.with_context(|| format!("cannot list the enrolled users in {STATE_DIR}"))?;
    Ok((worst_first(users, now), now))
}

/// Returns the exit code of the worst row that has one other than 0.
pub(crate) fn exit_code(rows: &[UserRow]) -> u8 {
    rows.iter().map(UserRow::exit_code).find(|code| *code != 0).unwrap_or(ExitStatus::Success.code())
}

fn rate(report: &PublishedReport, now: Timestamp) -> (UserSeverity, String) {
    let message = || report.text.clone();
    if report.is_in_future(now) {
        let ahead = format_relative(report.at, now);
        return (
            UserSeverity::ClockSkew,
            format!(
                "the last sync has a time in the future ({ahead}); check the clock; last message: {}",
                message()
            ),
        );
    }
    match report.status {
        Status::Fail => (UserSeverity::Failed, message()),
        _ if report.is_outdated(now) => (
            UserSeverity::Overdue,
            format!("no sync since {}; last message: {}", format_relative(report.at, now), message()),
        ),
        Status::Warn => (UserSeverity::Warning, message()),
        Status::Skip => (UserSeverity::Skipped, message()),
        Status::Recovered => (UserSeverity::Recovered, message()),
        Status::Ok => (UserSeverity::Ok, message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    fn user(name: &str, status: &str, hours_ago: i64, exit_code: u8) -> EnrolledUser {
        let at = i64::try_from(NOW.millis()).expect("a time") - hours_ago * 3_600_000;
        let json = format!(r#"{{"at_ms":{at},"status":"{status}","text":"so","exit_code":{exit_code}}}"#);
        let report = PublishedReport::parse(json.as_bytes()).expect("a state");
        EnrolledUser { name: name.into(), found: PublishedEntry::Known(Box::new(report)) }
    }

    #[test]
    fn worst_user_is_first_and_determines_the_exit_code() {
        let users = vec![
            user("ann", "OK", 1, 0),
            user("ben", "SKIP", 1, 0),
            user("cem", "RECOVERED", 1, 0),
            EnrolledUser { name: "dan".into(), found: PublishedEntry::Nothing },
            user("eve", "WARN", 1, 75),
            user("fay", "OK", 14, 0),
            user("gus", "OK", -1, 0),
            EnrolledUser {
                name: "gil".into(),
                found: PublishedEntry::AccountMissing("the account was removed".into()),
            },
            EnrolledUser { name: "hal".into(), found: PublishedEntry::Unreadable("it is a link".into()) },
            user("ida", "FAIL", 900, 79),
            user("abe", "OK", 1, 0),
        ];
        let rows = worst_first(users, NOW);
        let seen: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.severity.code(), row.exit_code())).collect();
        let expected = [
            ("ida", "failed", 79),
            ("gil", "account-missing", 1),
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
