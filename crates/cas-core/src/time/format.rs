//! Formats durations and relative times for users. Values are rounded down, in the largest unit of
//! which there are at least two, so that no duration appears longer than it is.

use std::time::Duration;

use crate::time::timestamp::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Formats a duration: `0 s`, `3 min`, `47 h`, `26 days`.
pub fn format_duration(length: Duration) -> String {
    let (number, unit) = in_units(length);
    let unit = match unit {
        Unit::Seconds => "s",
        Unit::Minutes => "min",
        Unit::Hours => "h",
        Unit::Days => "days",
    };
    format!("{number} {unit}")
}

/// Formats a duration for a table: `0s`, `3m`, `47h`, `26d`.
pub fn format_duration_short(length: Duration) -> String {
    let (number, unit) = in_units(length);
    let unit = match unit {
        Unit::Seconds => 's',
        Unit::Minutes => 'm',
        Unit::Hours => 'h',
        Unit::Days => 'd',
    };
    format!("{number}{unit}")
}

/// Formats a time relative to now: `3 h ago`, `in 25 days`, `now`.
pub fn format_relative(moment: Timestamp, now: Timestamp) -> String {
    let far = abs_diff(moment, now);
    match moment > now {
        _ if far < Duration::from_secs(1) => "now".to_owned(),
        true => format!("in {}", format_duration(far)),
        false => format!("{} ago", format_duration(far)),
    }
}

/// Formats a time relative to now in whole days: `in 3 days`, `1 day ago`, `within a day`, `within
/// the last day`.
pub fn format_relative_days(moment: Timestamp, now: Timestamp) -> String {
    match (whole_days(abs_diff(moment, now)), moment > now) {
        (0, true) => "within a day".to_owned(),
        (0, false) => "within the last day".to_owned(),
        (1, true) => "in 1 day".to_owned(),
        (1, false) => "1 day ago".to_owned(),
        (days, true) => format!("in {days} days"),
        (days, false) => format!("{days} days ago"),
    }
}

/// Formats the date of a time in UTC: `2026-11-22`.
pub fn day(moment: Timestamp) -> String {
    moment.to_string().chars().take_while(|letter| *letter != 'T').collect()
}

/// Returns the time between the two, in either order.
pub fn abs_diff(one: Timestamp, other: Timestamp) -> Duration {
    Duration::from_millis(one.millis().abs_diff(other.millis()))
}

/// Returns the number of whole days in a duration.
pub fn whole_days(length: Duration) -> u64 {
    length.as_secs() / DAY
}

enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

fn in_units(length: Duration) -> (u64, Unit) {
    let seconds = length.as_secs();
    if seconds < 2 * MINUTE {
        (seconds, Unit::Seconds)
    } else if seconds < 2 * HOUR {
        (seconds / MINUTE, Unit::Minutes)
    } else if seconds < 2 * DAY {
        (seconds / HOUR, Unit::Hours)
    } else {
        (whole_days(length), Unit::Days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn before(seconds: u64) -> Timestamp {
        Timestamp::from_millis(NOW.millis() - seconds * 1000)
    }

    fn after(seconds: u64) -> Timestamp {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn duration_is_formatted_in_the_largest_unit_of_at_least_two() {
        for (seconds, words, letters) in [
            (0, "0 s", "0s"),
            (119, "119 s", "119s"),
            (120, "2 min", "2m"),
            (2 * HOUR - 1, "119 min", "119m"),
            (2 * HOUR, "2 h", "2h"),
            (2 * DAY - 1, "47 h", "47h"),
            (2 * DAY, "2 days", "2d"),
            (30 * DAY - 1, "29 days", "29d"),
        ] {
            let span = Duration::from_secs(seconds);
            assert_eq!(
                (format_duration(span).as_str(), format_duration_short(span).as_str()),
                (words, letters)
            );
        }
    }

    #[test]
    fn relative_time_names_the_distance_and_the_direction() {
        for (moment, expected) in [
            (NOW, "now"),
            (NOW.saturating_add(Duration::from_millis(999)), "now"),
            (after(119), "in 119 s"),
            (after(27 * DAY), "in 27 days"),
            (before(3 * HOUR), "3 h ago"),
            (Timestamp::from_millis(0), "11574 days ago"),
        ] {
            assert_eq!(format_relative(moment, NOW), expected);
        }
    }

    #[test]
    fn relative_days_are_rounded_down() {
        for (moment, expected) in [
            (NOW, "within the last day"),
            (before(DAY - 1), "within the last day"),
            (before(DAY), "1 day ago"),
            (before(2 * DAY), "2 days ago"),
            (after(9), "within a day"),
            (after(DAY), "in 1 day"),
            (after(365 * DAY), "in 365 days"),
        ] {
            assert_eq!(format_relative_days(moment, NOW), expected);
        }
    }
}
