//! Warnings of a credential that expires soon or has expired: when the user is warned, and the
//! text. Pure.

use std::fmt;
use std::time::Duration;

use time::{Date, OffsetDateTime};

use crate::credential::expiry::{CredentialKind, Expiry, ExpirySource};
use crate::time::format::{abs_diff, format_relative_days, whole_days};
use crate::time::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its expiry users are warned of a setup token.
const SETUP_TOKEN_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long before its expiry users are warned of a login, which lasts about 30 days; a setup token
/// is repeated daily from then on.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A credential whose expiry has to be mentioned at `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryWarning {
    /// The kind of the credential.
    pub kind: CredentialKind,
    /// Its expiry.
    pub expiry: Expiry,
    /// The current time.
    pub now: Timestamp,
}

/// How close the expiry is. The user is warned once per stage, or daily:
/// [`WarningStage::repeats_daily`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningStage {
    /// A setup token expires within 30 days.
    Within30Days,
    /// The credential expires within seven days.
    Within7Days,
    /// A login expires within three days.
    Within3Days,
    /// A login expires within one day.
    Within1Day,
    /// The expiry is in the past.
    Expired,
}

impl ExpiryWarning {
    /// Returns the warning that is due at `now`, or `None` if the expiry is further ahead.
    pub fn check(now: Timestamp, kind: CredentialKind, expiry: Expiry) -> Option<Self> {
        let from = match kind {
            CredentialKind::SetupToken => SETUP_TOKEN_WARNING,
            CredentialKind::Login => WEEK,
        };
        (expiry.at <= now.saturating_add(from)).then_some(Self { kind, expiry, now })
    }

    /// Returns the stage of the warning.
    pub fn stage(&self) -> WarningStage {
        let ends_within = |span: Duration| self.expiry.at <= self.now.saturating_add(span);
        let is_login = self.kind == CredentialKind::Login;
        if ends_within(Duration::ZERO) {
            WarningStage::Expired
        } else if is_login && ends_within(DAY) {
            WarningStage::Within1Day
        } else if is_login && ends_within(DAY * 3) {
            WarningStage::Within3Days
        } else if ends_within(WEEK) {
            WarningStage::Within7Days
        } else {
            WarningStage::Within30Days
        }
    }

    /// Returns true if the warning is repeated every day: for a setup token in its last week, and
    /// for an expiry in the past that is not estimated.
    pub fn repeats_daily(&self) -> bool {
        match self.stage() {
            WarningStage::Within30Days | WarningStage::Within3Days | WarningStage::Within1Day => false,
            WarningStage::Within7Days => self.kind == CredentialKind::SetupToken,
            WarningStage::Expired => !self.expiry.is_estimated(),
        }
    }

    /// Formats the date and its distance: "expires on 3 Dec, in 3 days".
    pub fn describe(&self) -> impl fmt::Display {
        let bound = if self.expiry.source == ExpirySource::UpperBound { " at the latest" } else { "" };
        let day = Day { time: self.expiry.at, now: self.now };
        let far = format_relative_days(self.expiry.at, self.now);
        match (self.stage(), self.expiry.is_estimated()) {
            (WarningStage::Expired, false) if whole_days(abs_diff(self.expiry.at, self.now)) == 0 => {
                format!("expired on {day}")
            }
            (WarningStage::Expired, false) => format!("expired on {day}, {far}"),
            (WarningStage::Expired, true) => {
                format!("has an estimated expiry of {day}{bound}, and can expire any day")
            }
            _ => format!("expires on {day}{bound}, {far}"),
        }
    }
}

/// A date in UTC, with the year if it differs from the current one.
struct Day {
    time: Timestamp,
    now: Timestamp,
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(day) = date(self.time) else { return write!(formatter, "{}", self.time) };
        let month = day.month().to_string();
        write!(formatter, "{} {}", day.day(), month.get(..3).unwrap_or(&month))?;
        match date(self.now) {
            Some(today) if today.year() == day.year() => Ok(()),
            _ => write!(formatter, " {}", day.year()),
        }
    }
}

fn date(moment: Timestamp) -> Option<Date> {
    let seconds = i64::try_from(moment.millis() / 1000).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(OffsetDateTime::date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 November 2026, noon.
    const NOW: u64 = 1_796_040_000_000;
    const HOUR: i64 = 60 * 60 * 1000;

    fn warning(kind: CredentialKind, certainty: ExpirySource, in_hours: i64) -> Option<ExpiryWarning> {
        let at = Timestamp::from_millis(NOW.checked_add_signed(in_hours * HOUR).expect("a time"));
        ExpiryWarning::check(Timestamp::from_millis(NOW), kind, Expiry { at, source: certainty })
    }

    #[test]
    fn login_expiry_is_warned_of_at_7_3_and_1_days_then_daily() {
        for (hours, expected) in [
            (7 * 24 + 1, None),
            (7 * 24, Some((WarningStage::Within7Days, false))),
            (3 * 24 + 1, Some((WarningStage::Within7Days, false))),
            (3 * 24, Some((WarningStage::Within3Days, false))),
            (25, Some((WarningStage::Within3Days, false))),
            (24, Some((WarningStage::Within1Day, false))),
            (1, Some((WarningStage::Within1Day, false))),
            (0, Some((WarningStage::Expired, true))),
            (-400, Some((WarningStage::Expired, true))),
        ] {
            let found = warning(CredentialKind::Login, ExpirySource::Declared, hours);
            assert_eq!(found.map(|it| (it.stage(), it.repeats_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn setup_token_expiry_is_warned_of_at_30_days_then_daily() {
        use ExpirySource::{Declared, FromCreationDate, UpperBound};
        for (hours, certainty, expected) in [
            (30 * 24 + 1, Declared, None),
            (30 * 24, Declared, Some((WarningStage::Within30Days, false))),
            (30 * 24, UpperBound, Some((WarningStage::Within30Days, false))),
            (7 * 24 + 1, Declared, Some((WarningStage::Within30Days, false))),
            (7 * 24, Declared, Some((WarningStage::Within7Days, true))),
            (1, FromCreationDate, Some((WarningStage::Within7Days, true))),
            (0, Declared, Some((WarningStage::Expired, true))),
            (-1, FromCreationDate, Some((WarningStage::Expired, false))),
            (-9000, UpperBound, Some((WarningStage::Expired, false))),
        ] {
            let found = warning(CredentialKind::SetupToken, certainty, hours);
            assert_eq!(found.map(|it| (it.stage(), it.repeats_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn warning_text_names_the_date() {
        use ExpirySource::{Declared, FromCreationDate, UpperBound};
        for (kind, hours, certainty, expected) in [
            (CredentialKind::Login, 75, Declared, "expires on 3 Dec, in 3 days"),
            (CredentialKind::Login, 25, Declared, "expires on 1 Dec, in 1 day"),
            (CredentialKind::Login, 5, Declared, "expires on 30 Nov, within a day"),
            (CredentialKind::SetupToken, 30 * 24, UpperBound, "expires on 30 Dec at the latest, in 30 days"),
            (CredentialKind::SetupToken, 100, FromCreationDate, "expires on 4 Dec, in 4 days"),
            (CredentialKind::Login, -1, Declared, "expired on 30 Nov"),
            (CredentialKind::Login, -30, Declared, "expired on 29 Nov, 1 day ago"),
            (CredentialKind::Login, -24 * 365, Declared, "expired on 30 Nov 2025, 365 days ago"),
            (
                CredentialKind::SetupToken,
                -48,
                UpperBound,
                "has an estimated expiry of 28 Nov at the latest, and can expire any day",
            ),
        ] {
            let found = warning(kind, certainty, hours).expect("something to say");
            assert_eq!(found.describe().to_string(), expected);
        }
    }

    #[test]
    fn extreme_dates_never_panic() {
        let at = |millis| Expiry { at: Timestamp::from_millis(millis), source: ExpirySource::Declared };
        let now = Timestamp::from_millis(NOW);
        assert_eq!(ExpiryWarning::check(now, CredentialKind::Login, at(u64::MAX)), None);
        let end_of_time = Timestamp::from_millis(u64::MAX);
        for warning in [
            ExpiryWarning::check(now, CredentialKind::Login, at(1)),
            ExpiryWarning::check(end_of_time, CredentialKind::Login, at(u64::MAX)),
        ] {
            let text = warning.expect("something to say").describe().to_string();
            assert!(text.contains("expired on"), "{text}");
        }
    }
}
