//! Times as people say them: how long ago, how long until.

use std::time::Duration;

use cas_core::timestamp::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How far a moment is from now: `3 h ago`, `in 25 days`, `now`.
pub(crate) fn relative(moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.millis().abs_diff(now.millis()) / 1000;
    match (seconds, moment > now) {
        (0, _) => "now".to_owned(),
        (_, true) => format!("in {}", span(Duration::from_secs(seconds))),
        (_, false) => format!("{} ago", span(Duration::from_secs(seconds))),
    }
}

/// The day of a moment, in UTC.
pub(crate) fn day(moment: Timestamp) -> String {
    moment.to_string().chars().take_while(|letter| *letter != 'T').collect()
}

/// A length of time, in the largest unit of which there are at least two.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        _ if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        _ if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// How far a moment is from now, whether before or after, in few letters, for a table: `3h`.
pub(crate) fn short(moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.millis().abs_diff(now.millis()) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        _ if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_largest_unit_of_which_there_are_two() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let after = |seconds: u64| now.plus(Duration::from_secs(seconds));
        for (moment, expected) in [
            (now, "now"),
            (after(119), "in 119 s"),
            (after(120), "in 2 min"),
            (after(2 * HOUR), "in 2 h"),
            (after(2 * DAY - 1), "in 47 h"),
            (after(27 * DAY), "in 27 days"),
            (Timestamp::from_millis(now.millis() - 3 * HOUR * 1000), "3 h ago"),
            (Timestamp::from_millis(0), "11574 days ago"),
        ] {
            assert_eq!(relative(moment, now), expected);
        }
        assert_eq!(short(after(27 * DAY), now), "27d");
    }
}
