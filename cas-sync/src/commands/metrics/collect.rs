//! What is counted and timed of everybody's published states. `docs/admin/metrics.md` lists it all.

use std::time::Duration;

use cas_core::time::timestamp::Timestamp;

use super::text::Family;
use crate::published_state::rows::{Row, Severity};

/// The code of each rank, which rises with how bad it is. A code never changes its meaning.
const CODES: [(Severity, u8); 9] = [
    (Severity::Ok, 0),
    (Severity::Recovered, 1),
    (Severity::Skipped, 2),
    (Severity::Unknown, 3),
    (Severity::Warning, 4),
    (Severity::Overdue, 5),
    (Severity::ClockSkew, 6),
    (Severity::Unreadable, 7),
    (Severity::Failed, 8),
];

/// The text for the exporter, of what was seen at `now` and took so long to see.
pub(super) fn text(rows: &[Row], now: Timestamp, took: Duration) -> String {
    let mut text = String::new();
    of_people(rows).iter().chain(&of_all(rows, now, took)).for_each(|family| family.write(&mut text));
    text
}

fn of_people(rows: &[Row]) -> [Family; 7] {
    let mut status = Family::gauge(
        "claude_auth_status_code",
        "How the login of an enrolled person is: 0 well, 1 recovered, 2 skipped, 3 never synced, 4 warned, 5 silent, 6 of the future, 7 unreadable, 8 failed.",
    );
    let mut exit_code = Family::gauge("claude_auth_exit_code", "Exit status of the last sync.");
    let mut last_run = Family::gauge("claude_auth_last_run_timestamp_seconds", "When the last sync began.");
    let mut verified = Family::gauge(
        "claude_auth_last_verified_timestamp_seconds",
        "When the credential was last shown to work by real inference.",
    );
    let mut access_token = Family::gauge(
        "claude_auth_access_token_expiry_timestamp_seconds",
        "End of the access token as of the last sync; Claude Code renews it by itself.",
    );
    let mut lapse = Family::gauge(
        "claude_auth_credential_lapse_timestamp_seconds",
        "When the credential lapses as a whole, and somebody has to sign in or make a token.",
    );
    let mut outage = Family::gauge(
        "claude_auth_outage_since_timestamp_seconds",
        "Since when something stands in the way that passes by itself; absent while nothing does.",
    );
    for row in rows {
        let user = [("user", row.name.as_str())];
        status.add(&user, f64::from(code(row.rank)));
        // What is of the future may be a lie, and is no time to reckon with.
        let Some(standing) = row.standing.as_ref().filter(|_| row.rank != Severity::ClockSkew) else {
            continue;
        };
        exit_code.add(&user, f64::from(standing.exit_code));
        last_run.add(&user, seconds(standing.at));
        if let Some(at) = standing.verified_at {
            verified.add(&user, seconds(at));
        }
        if let Some(since) = standing.outage_since.filter(|_| standing.outage.is_some()) {
            outage.add(&user, seconds(since));
        }
        let Some(credential) = &standing.credential else { continue };
        if let Some(at) = credential.access_token_expires_at {
            access_token.add(&user, seconds(at));
        }
        if let Some(at) = credential.lapses_at {
            let estimated = credential.expiry_is_estimated.to_string();
            lapse.add(&[user[0], ("credential", &credential.kind), ("estimated", &estimated)], seconds(at));
        }
    }
    [status, exit_code, last_run, verified, access_token, lapse, outage]
}

fn of_all(rows: &[Row], now: Timestamp, took: Duration) -> [Family; 5] {
    let mut people = Family::gauge("claude_auth_people", "Enrolled people by how their login is.");
    for (rank, _) in CODES {
        people.add(&[("state", rank.word())], count(rows, rank));
    }
    let mut unreadable = Family::gauge(
        "claude_auth_collector_unreadable",
        "Published states that were no state of their person, and were left out.",
    );
    unreadable.add(&[], count(rows, Severity::Unreadable));
    let mut last_run = Family::gauge(
        "claude_auth_collector_last_run_timestamp_seconds",
        "When these figures were collected.",
    );
    last_run.add(&[], seconds(now));
    let mut duration =
        Family::gauge("claude_auth_collector_duration_seconds", "How long it took to collect these figures.");
    duration.add(&[], took.as_secs_f64());
    let mut build =
        Family::gauge("claude_auth_build_info", "Which version has collected these figures; always 1.");
    build.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    [people, unreadable, last_run, duration, build]
}

fn code(rank: Severity) -> u8 {
    CODES.iter().find(|(known, _)| *known == rank).map_or(u8::MAX, |(_, code)| *code)
}

/// A machine has fewer people than a float has whole numbers.
#[expect(clippy::cast_precision_loss, reason = "counts of people are small")]
fn count(rows: &[Row], rank: Severity) -> f64 {
    rows.iter().filter(|row| row.rank == rank).count() as f64
}

/// Milliseconds since the epoch are exact in a float for longer than there will be clocks.
#[expect(clippy::cast_precision_loss, reason = "times of ours end with the year 9999")]
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

    fn figures(states: &[(&str, &str)]) -> String {
        let person = |(name, json): &(&str, &str)| EnrolledUser {
            name: (*name).into(),
            found: match PublishedReport::parse(json.as_bytes()) {
                Ok(standing) => PublishedEntry::Standing(Box::new(standing)),
                Err(why) => PublishedEntry::Unreadable(why.into()),
            },
        };
        text(&worst_first(states.iter().map(person).collect(), NOW), NOW, Duration::from_millis(250))
    }

    #[track_caller]
    fn assert_has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn each_person_has_what_is_known_of_them() {
        let text = figures(&[(
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
                r#"claude_auth_credential_lapse_timestamp_seconds{user="alice",credential="login",estimated="false"} 2001000000"#,
                r#"claude_auth_outage_since_timestamp_seconds{user="alice"} 1999991000"#,
                r#"claude_auth_people{state="warned"} 1"#,
                r#"claude_auth_people{state="well"} 0"#,
                "claude_auth_collector_unreadable 0",
                "claude_auth_collector_last_run_timestamp_seconds 2000000000",
                "claude_auth_collector_duration_seconds 0.25",
            ],
        );
    }

    #[test]
    fn lies_and_trash_lead_to_no_figures_but_that_there_are_some() {
        let text = figures(&[
            ("mallory", "[["),
            ("eve", r#"{"at_ms":9000000000000,"status":"OK","verified_at_ms":9000000000000}"#),
        ]);
        assert_has(
            &text,
            &[
                r#"claude_auth_status_code{user="mallory"} 7"#,
                r#"claude_auth_status_code{user="eve"} 6"#,
                "claude_auth_collector_unreadable 1",
                r#"claude_auth_people{state="of-the-future"} 1"#,
            ],
        );
        assert!(!text.contains("last_verified") && !text.contains("9000000000"), "{text}");
    }

    #[test]
    fn the_codes_are_those_of_the_help() {
        for (rank, code) in CODES {
            let word = if rank == Severity::Unknown {
                "never synced".to_owned()
            } else {
                rank.word().replace('-', " ")
            };
            assert!(figures(&[("alice", "{}")]).contains(&format!(" {code} {word}")), "{word}");
        }
    }
}
