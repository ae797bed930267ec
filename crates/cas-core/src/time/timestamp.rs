//! Wall-clock time as this project stores it: whole milliseconds since the Unix epoch, like Claude
//! Code's `expiresAt`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z. `Display` writes RFC 3339 in UTC, without fractions of
/// a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates a timestamp from milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Parses RFC 3339, such as `2026-11-21T20:15:00Z`, and drops fractions of a millisecond.
    /// Returns `None` for any other text and for times before the epoch.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// Adds `span`, and stops at the end of the range.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the time since `earlier`, or `None` if `earlier` is later than `self`.
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_millis)
    }

    /// Returns true if `self` is in the `span` that ends at `now`. A time after `now` (the clock
    /// was set back) is not.
    pub fn is_within(self, span: Duration, now: Self) -> bool {
        self <= now && now < self.saturating_add(span)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(i64::MAX);
        let text =
            OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|moment| moment.format(&Rfc3339).ok());
        match text {
            Some(text) => formatter.write_str(&text),
            None => write!(formatter, "{} ms after the epoch", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_since_a_later_time_is_none() {
        let moment = Timestamp::from_millis;
        assert_eq!(moment(1_500).checked_duration_since(moment(500)), Some(Duration::from_secs(1)));
        assert_eq!(moment(500).checked_duration_since(moment(1_500)), None);
    }

    #[test]
    fn times_are_shown_in_rfc_3339_and_never_panic() {
        assert_eq!(Timestamp::from_millis(1_750_000_000_999).to_string(), "2025-06-15T15:06:40Z");
        assert!(Timestamp::from_millis(u64::MAX).to_string().contains("epoch"));
    }

    #[test]
    fn displayed_time_is_parsed_and_other_text_is_rejected() {
        let moment = Timestamp::from_millis(1_750_000_000_000);
        for text in ["2025-06-15T15:06:40Z", "2025-06-15T17:06:40+02:00", " 2025-06-15T15:06:40.0009Z\n"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Some(moment), "{text}");
        }
        for text in
            ["", "2025-06-15", "tomorrow", "1750000000", "1969-12-31T23:59:59Z", "2025-13-01T00:00:00Z"]
        {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn time_in_the_future_is_not_within_a_recent_span() {
        let now = Timestamp::from_millis(100_000);
        let minute = Duration::from_secs(60);
        assert!(Timestamp::from_millis(41_000).is_within(minute, now));
        assert!(!Timestamp::from_millis(40_000).is_within(minute, now));
        assert!(!Timestamp::from_millis(100_001).is_within(minute, now));
    }
}
