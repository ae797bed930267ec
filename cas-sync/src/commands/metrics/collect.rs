//! The metrics of all users' published reports. `docs/admin/metrics.md` lists them.

use std::time::Duration;

use cas_core::time::timestamp::Timestamp;

use super::text::Family;
use crate::published_state::rows::{UserRow, UserSeverity};

/// The code of each severity, which rises with the severity. A code never changes its meaning.
const CODES: [(UserSeverity, u8); 10] = [
    (UserSeverity::Ok, 0),
    (UserSeverity::Recovered, 1),
    (UserSeverity::Skipped, 2),
    (UserSeverity::Unknown, 3),
    (UserSeverity::Warning, 4),
    (UserSeverity::Overdue, 5),
    (UserSeverity::ClockSkew, 6),
    (UserSeverity::Unreadable, 7),
    (UserSeverity::Failed, 8),
    (UserSeverity::AccountMissing, 9),
];

/// Returns the metrics of the rows that were collected at `now` in `took`.
pub(super) fn text(rows: &[UserRow], now: Timestamp, took: Duration) -> String {
    let mut text = String::new();
    user_families(rows)
        .iter()
        .chain(&summary_families(rows, now, took))
        .for_each(|family| family.write(&mut text));
    text
}

fn user_families(rows: &[UserRow]) -> [Family; 7] {
    let mut status = Family::gauge(
        "claude_auth_status_code",
        "State of the login of an enrolled user: 0 ok, 1 recovered, 2 skipped, 3 never synced, 4 warning, 5 overdue, 6 clock skew, 7 unreadable, 8 failed, 9 account missing.",
    );
    let mut exit_code = Family::gauge("claude_auth_exit_code", "Exit status of the last sync.");
    let mut last_run = Family::gauge("claude_auth_last_run_timestamp_seconds", "Start of the last sync.");
    let mut verified = Family::gauge(
        "claude_auth_last_verified_timestamp_seconds",
        "Time of the last successful verification by a real request.",
    );
    let mut access_token = Family::gauge(
        "claude_auth_access_token_expiry_timestamp_seconds",
        "Expiry of the access token at the last sync; Claude Code refreshes it.",
    );
    let mut expiry = Family::gauge(
        "claude_auth_credential_expiry_timestamp_seconds",
        "Expiry of the credential; then the user must sign in or create a setup token.",
    );
    let mut outage = Family::gauge(
        "claude_auth_outage_since_timestamp_seconds",
        "Start of the current temporary outage; absent without an outage.",
    );
    for row in rows {
        let user = [("user", row.name.as_str())];
        status.add(&user, f64::from(code(row.severity)));
        // A time in the future is not plausible.
        let Some(report) = row.report.as_ref().filter(|_| row.severity != UserSeverity::ClockSkew) else {
            continue;
        };
        exit_code.add(&user, f64::from(report.exit_code));
        last_run.add(&user, seconds(report.at));
        if let Some(at) = report.verified_at {
            verified.add(&user, seconds(at));
        }
        if let Some(since) = report.outage_since.filter(|_| report.outage.is_some()) {
            outage.add(&user, seconds(since));
        }
        let Some(credential) = &report.credential else { continue };
        if let Some(at) = credential.access_token_expires_at {
            access_token.add(&user, seconds(at));
        }
        if let Some(at) = credential.expires_at {
            let estimated = credential.expiry_is_estimated.to_string();
            expiry.add(&[user[0], ("credential", &credential.kind), ("estimated", &estimated)], seconds(at));
        }
    }
    [status, exit_code, last_run, verified, access_token, expiry, outage]
}

fn summary_families(rows: &[UserRow], now: Timestamp, took: Duration) -> [Family; 5] {
    let mut users = Family::gauge("claude_auth_users", "Enrolled users by the state of their login.");
    for (severity, _) in CODES {
        users.add(&[("state", severity.code())], count(rows, severity));
    }
    let mut unreadable = Family::gauge(
        "claude_auth_collector_unreadable",
        "Published reports that could not be read and were skipped.",
    );
    unreadable.add(&[], count(rows, UserSeverity::Unreadable));
    let mut last_run = Family::gauge(
        "claude_auth_collector_last_run_timestamp_seconds",
        "Time at which these metrics were collected.",
    );
    last_run.add(&[], seconds(now));
    let mut duration = Family::gauge(
        "claude_auth_collector_duration_seconds",
        "Time that the collection of these metrics took.",
    );
    duration.add(&[], took.as_secs_f64());
    let mut build =
        Family::gauge("claude_auth_build_info", "Version that collected these metrics; always 1.");
    build.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    [users, unreadable, last_run, duration, build]
}

fn code(severity: UserSeverity) -> u8 {
    CODES.iter().find(|(known, _)| *known == severity).map_or(u8::MAX, |(_, code)| *code)
}

/// A float is exact for the number of users of a machine.
#[expect(clippy::cast_precision_loss, reason = "counts of users are small")]
fn count(rows: &[UserRow], severity: UserSeverity) -> f64 {
    rows.iter().filter(|row| row.severity == severity).count() as f64
}

/// A float is exact for times until the year 9999.
#[expect(clippy::cast_precision_loss, reason = "times end with the year 9999")]
fn seconds(moment: Timestamp) -> f64 {
    moment.millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published_state::read::{EnrolledUser, PublishedEntry};
    use crate::published_state::report::PublishedReport;
    use crate::published_state::rows::worst_first;

    const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    fn metrics(states: &[(&str, &str)]) -> String {
        let user = |(name, json): &(&str, &str)| EnrolledUser {
            name: (*name).into(),
            found: match PublishedReport::parse(json.as_bytes()) {
                Ok(report) => PublishedEntry::Known(Box::new(report)),
                Err(why) => PublishedEntry::Unreadable(why.into()),
            },
        };
        text(&worst_first(states.iter().map(user).collect(), NOW), NOW, Duration::from_millis(250))
    }

    #[track_caller]
    fn assert_has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn user_has_all_known_metrics() {
        let text = metrics(&[(
            "alice",
            r#"{"at_ms":1999999999500,"status":"WARN","exit_code":75,"verified_at_ms":1999990000000,"outage":"529","outage_since_ms":1999991000000,
                "credential":{"kind":"login","access_token_expires_at_ms":2000001000000,"expires_at_ms":2001000000000}}"#,
        )]);
        assert_has(
            &text,
            &[
                r#"claude_auth_status_code{user="alice"} 4"#,
                r#"claude_auth_exit_code{user="alice"} 75"#,
                r#"claude_auth_last_run_timestamp_seconds{user="alice"} 1999999999.5"#,
                r#"claude_auth_last_verified_timestamp_seconds{user="alice"} 1999990000"#,
                r#"claude_auth_access_token_expiry_timestamp_seconds{user="alice"} 2000001000"#,
                r#"claude_auth_credential_expiry_timestamp_seconds{user="alice",credential="login",estimated="false"} 2001000000"#,
                r#"claude_auth_outage_since_timestamp_seconds{user="alice"} 1999991000"#,
                r#"claude_auth_users{state="warning"} 1"#,
                r#"claude_auth_users{state="ok"} 0"#,
                "claude_auth_collector_unreadable 0",
                "claude_auth_collector_last_run_timestamp_seconds 2000000000",
                "claude_auth_collector_duration_seconds 0.25",
            ],
        );
    }

    #[test]
    fn implausible_and_invalid_reports_are_only_counted() {
        let text = metrics(&[
            ("mallory", "[["),
            ("eve", r#"{"at_ms":9000000000000,"status":"OK","verified_at_ms":9000000000000}"#),
        ]);
        assert_has(
            &text,
            &[
                r#"claude_auth_status_code{user="mallory"} 7"#,
                r#"claude_auth_status_code{user="eve"} 6"#,
                "claude_auth_collector_unreadable 1",
                r#"claude_auth_users{state="clock-skew"} 1"#,
            ],
        );
        assert!(!text.contains("last_verified") && !text.contains("9000000000"), "{text}");
    }

    #[test]
    fn codes_match_the_help_text() {
        for (severity, code) in CODES {
            let word = if severity == UserSeverity::Unknown {
                "never synced".to_owned()
            } else {
                severity.code().replace('-', " ")
            };
            assert!(metrics(&[("alice", "{}")]).contains(&format!(" {code} {word}")), "{word}");
        }
    }
}
