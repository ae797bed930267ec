//! The table of all users, fitted to the terminal.

use cas_core::time::format::{abs_diff, format_duration_short};
use cas_core::time::timestamp::Timestamp;

use crate::published_state::rows::UserRow;
use crate::term::Terminal;
use crate::term::wrap::{pad_right, width as columns_of};

/// The columns before the last message, with their maximum width.
const HEADS: [(&str, usize); 5] = [("USER", 24), ("STATUS", 9), ("SYNC", 6), ("VERIFIED", 8), ("EXPIRES", 7)];
/// The text is the user's own sync's, so the heading does not present it as advice.
const LAST_MESSAGE: &str = "LAST MESSAGE";
/// Spaces between two columns.
const GAP: usize = 2;
/// With fewer columns the last message gets a separate line.
const MIN_REASON_WIDTH: usize = 24;

/// Returns the lines of the table and of its summary.
pub(crate) fn lines(rows: &[UserRow], now: Timestamp, terminal: Terminal) -> Vec<String> {
    let cells: Vec<[String; 5]> = rows.iter().map(|row| cells(row, now, terminal)).collect();
    let width = |column: usize| {
        let widest = cells.iter().map(|row| columns_of(&row[column])).max().unwrap_or(0);
        widest.max(HEADS[column].0.len())
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let before: usize = widths.iter().map(|width| width + GAP).sum();
    let left = terminal.columns.map(|columns| columns.saturating_sub(before));
    let heads = HEADS.map(|(head, _)| head.to_owned());
    let below = left.is_some_and(|left| left < MIN_REASON_WIDTH);
    let mut lines = vec![line(&heads, &widths, if below { "" } else { LAST_MESSAGE })];
    for (row, cells) in rows.iter().zip(&cells) {
        let message = ascii_only(&row.reason);
        let reason = match left {
            _ if below => String::new(),
            Some(left) => terminal.truncate(&message, left),
            None => terminal.sanitize(&message),
        };
        let status = &cells[1];
        let colored = terminal.colorize(row.status(), status) + &" ".repeat(widths[1] - status.len());
        // Only the status is colored. Other text before it could imitate a status.
        let [user, _, rest @ ..] = cells;
        let mut text = format!("{}{}{colored}", pad_right(user, widths[0]), " ".repeat(GAP));
        for (cell, width) in rest.iter().zip(&widths[2..]) {
            text.push_str(&format!("{}{}", " ".repeat(GAP), pad_right(cell, *width)));
        }
        lines.push(format!("{text}{}{reason}", " ".repeat(GAP)).trim_end().to_owned());
        if below {
            let columns = terminal.columns.map(|columns| columns.saturating_sub(GAP));
            lines.extend(terminal.wrap(&message, columns).into_iter().map(|part| format!("  {part}")));
        }
    }
    lines.push(summary(rows));
    lines
}

/// Replaces other characters: a wide one would shift text into the next row, which could then look
/// like another user's.
fn ascii_only(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
}

fn cells(row: &UserRow, now: Timestamp, terminal: Terminal) -> [String; 5] {
    let nothing = || "-".to_owned();
    let age = |moment: Option<Timestamp>| {
        moment.map_or_else(nothing, |moment| format_duration_short(abs_diff(moment, now)))
    };
    let report = row.report.as_ref();
    let at = report.map(|report| report.at).filter(|at| *at <= now);
    let verified = report.and_then(|report| report.verified_at).filter(|at| *at <= now);
    let [user, ..] = HEADS;
    [
        terminal.truncate(&row.name, user.1),
        row.status().to_string(),
        age(at),
        age(verified),
        expires_in(row, now).unwrap_or_else(nothing),
    ]
}

/// Returns the time until the credential expires, with `~` if it is estimated.
fn expires_in(row: &UserRow, now: Timestamp) -> Option<String> {
    let credential = row.report.as_ref()?.credential.as_ref()?;
    let at = credential.expires_at?;
    let about = if credential.expiry_is_estimated { "~" } else { "" };
    Some(if at <= now {
        "expired".to_owned()
    } else {
        format!("{about}{}", format_duration_short(abs_diff(at, now)))
    })
}

fn line(cells: &[String; 5], widths: &[usize; 5], last: &str) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&format!("{}{}", pad_right(cell, *width), " ".repeat(GAP)));
    }
    format!("{text}{last}").trim_end().to_owned()
}

fn summary(rows: &[UserRow]) -> String {
    let failing = rows.iter().filter(|row| row.exit_code() != 0).count();
    match (rows.len(), failing) {
        (0, _) => "No users are enrolled. Run `cas-sync enroll USER` to enroll one.".into(),
        (all, 0) => format!("{all} enrolled, all ok"),
        (all, failing) => format!("{all} enrolled, {failing} not ok"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::published_state::read::{EnrolledUser, PublishedEntry};
    use crate::published_state::report::PublishedReport;
    use crate::published_state::rows::worst_first;

    const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    fn rows() -> Vec<UserRow> {
        let hour = 3_600_000;
        let now = NOW.millis();
        let expires = NOW.saturating_add(Duration::from_secs(27 * 24 * 3600)).millis();
        let states = [
            (
                "alice",
                format!(
                    r#"{{"at_ms":{},"status":"OK","text":"the login works: verified by inference","exit_code":0,"verified_at_ms":{},"credential":{{"kind":"login","expires_at_ms":{expires}}}}}"#,
                    now - hour,
                    now - hour
                ),
            ),
            (
                "jörg",
                format!(
                    r#"{{"at_ms":{},"status":"FAIL","text":"the login is beyond repair: sign in again with `cas-sync login`, as jörg","exit_code":79,"credential":{{"kind":"setup-token","expires_at_ms":{expires},"expiry_is_estimated":true}}}}"#,
                    now - 3 * hour
                ),
            ),
        ];
        let user = |(name, json): &(&str, String)| EnrolledUser {
            name: (*name).into(),
            found: PublishedEntry::Known(Box::new(PublishedReport::parse(json.as_bytes()).expect("a state"))),
        };
        let mut users: Vec<_> = states.iter().map(user).collect();
        users.push(EnrolledUser {
            name: "mallory".into(),
            found: PublishedEntry::Unreadable("it is a link".into()),
        });
        worst_first(users, NOW)
    }

    fn table(columns: Option<usize>, is_unicode: bool, has_color: bool) -> Vec<String> {
        lines(&rows(), NOW, Terminal { columns, has_color, is_unicode })
    }

    #[test]
    fn table_at_200_columns_is_complete() {
        assert_eq!(
            table(Some(200), true, false),
            [
                "USER     STATUS  SYNC  VERIFIED  EXPIRES  LAST MESSAGE",
                "jörg     FAIL    3h    -         ~27d     the login is beyond repair: sign in again with `cas-sync login`, as j?rg",
                "mallory  WARN    -     -         -        unreadable: it is a link",
                "alice    OK      60m   60m       27d      the login works: verified by inference",
                "3 enrolled, 2 not ok",
            ]
        );
    }

    #[test]
    fn wide_characters_of_a_name_are_aligned() {
        let mut rows = rows();
        rows[0].name = "李小龍".into();
        let terminal = Terminal { columns: Some(80), has_color: false, is_unicode: true };
        let lines = lines(&rows, NOW, terminal);
        assert!(lines[1].starts_with("李小龍   FAIL    3h    -"), "{lines:#?}");
        assert!(lines.iter().all(|line| columns_of(line) <= 80), "{lines:#?}");
        let at = |line: &str, word: &str| columns_of(line.split(word).next().unwrap_or_default());
        assert_eq!(at(&lines[1], "FAIL"), at(&lines[0], "STATUS"));
    }

    #[test]
    fn table_at_80_columns_truncates_with_a_mark() {
        let lines = table(Some(80), false, false);
        assert!(lines.iter().all(|line| line.chars().count() <= 80 && line.is_ascii()), "{lines:#?}");
        assert_eq!(
            lines[1],
            "j?rg     FAIL    3h    -         ~27d     the login is beyond repair: sign in..."
        );
    }

    #[test]
    fn narrow_table_has_the_message_on_its_own_lines() {
        let lines = table(Some(40), true, false);
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
        assert!(lines.contains(&"  the login is beyond repair: sign in".to_owned()), "{lines:#?}");
    }

    #[test]
    fn table_in_a_pipe_is_not_truncated() {
        assert!(table(None, true, false)[1].ends_with("as j?rg"));
        let colored = table(None, true, true);
        assert!(colored[1].contains("\x1b[1;31mFAIL\x1b[0m  "), "{colored:?}");
        let stripped: Vec<_> = colored.iter().map(|line| without_colors(line)).collect();
        assert_eq!(stripped, table(None, true, false));
    }

    fn without_colors(line: &str) -> String {
        let mut text = String::new();
        for (index, part) in line.split('\x1b').enumerate() {
            text.push_str(if index == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) });
        }
        text
    }

    #[test]
    fn table_without_users_says_how_to_enroll() {
        let empty = lines(&[], NOW, Terminal { columns: None, has_color: false, is_unicode: false });
        assert_eq!(empty[1], "No users are enrolled. Run `cas-sync enroll USER` to enroll one.");
    }
}
