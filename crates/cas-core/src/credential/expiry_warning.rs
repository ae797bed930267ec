//! A credential that lapses soon, or should have by now: when its person hears of it, and in which words. Pure.

use std::fmt;
use std::time::Duration;

use time::{Date, OffsetDateTime};

use crate::credential::expiry::{CredentialKind, Expiry, ExpirySource};
use crate::time::format::{abs_diff, format_relative_days, whole_days};
use crate::time::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A setup-token is warned of from so long before its end on.
const SETUP_TOKEN_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A login, which lasts for some 30 days in all, from so long before its end on; a setup-token then every day.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The end of a credential, seen from a moment at which there is something to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryWarning {
    /// Of what.
    pub kind: CredentialKind,
    /// When.
    pub lapse: Expiry,
    /// Seen from then.
    pub now: Timestamp,
}

/// How far it has come. Each stage is told its person once, or daily: [`WarningStage::repeats_daily`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningStage {
    /// A setup-token's last 30 days.
    Within30Days,
    /// The last seven days.
    Within7Days,
    /// The last three days of a login.
    Within3Days,
    /// The last day of a login.
    Within1Day,
    /// The date has passed.
    Expired,
}

impl ExpiryWarning {
    /// What there is to say at `now`; nothing while the end is far.
    pub fn check(now: Timestamp, kind: CredentialKind, lapse: Expiry) -> Option<Self> {
        let from = match kind {
            CredentialKind::SetupToken => SETUP_TOKEN_WARNING,
            CredentialKind::Login => WEEK,
        };
        (lapse.at <= now.saturating_add(from)).then_some(Self { kind, lapse, now })
    }

    /// How far it has come.
    pub fn stage(&self) -> WarningStage {
        let ends_within = |span: Duration| self.lapse.at <= self.now.saturating_add(span);
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

    /// Whether the person hears of this stage every day: of a setup-token in its last week, and of what has lapsed, unless
    /// that is only reckoned. Of every other stage they hear once.
    pub fn repeats_daily(&self) -> bool {
        match self.stage() {
            WarningStage::Within30Days | WarningStage::Within3Days | WarningStage::Within1Day => false,
            WarningStage::Within7Days => self.kind == CredentialKind::SetupToken,
            WarningStage::Expired => !self.lapse.is_estimated(),
        }
    }

    /// The day, and how far away it is: "lapses on 3 Dec, in 3 days".
    pub fn describe(&self) -> impl fmt::Display {
        let bound = if self.lapse.source == ExpirySource::UpperBound { " at the latest" } else { "" };
        let day = Day { of: self.lapse.at, seen_from: self.now };
        let far = format_relative_days(self.lapse.at, self.now);
        match (self.stage(), self.lapse.is_estimated()) {
            (WarningStage::Expired, false) if whole_days(abs_diff(self.lapse.at, self.now)) == 0 => {
                format!("lapsed on {day}")
            }
            (WarningStage::Expired, false) => format!("lapsed on {day}, {far}"),
            (WarningStage::Expired, true) => {
                format!("should have lapsed on {day}{bound} by our reckoning, and may any day")
            }
            _ => format!("lapses on {day}{bound}, {far}"),
        }
    }
}

/// A day in the calendar of UTC, with its year where that is not this one.
struct Day {
    of: Timestamp,
    seen_from: Timestamp,
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(day) = date(self.of) else { return write!(formatter, "{}", self.of) };
        let month = day.month().to_string();
        write!(formatter, "{} {}", day.day(), month.get(..3).unwrap_or(&month))?;
        match date(self.seen_from) {
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

    fn lapsing(kind: CredentialKind, certainty: ExpirySource, in_hours: i64) -> Option<ExpiryWarning> {
        let at = Timestamp::from_millis(NOW.checked_add_signed(in_hours * HOUR).expect("a time"));
        ExpiryWarning::check(Timestamp::from_millis(NOW), kind, Expiry { at, source: certainty })
    }

    #[test]
    fn a_login_is_told_of_at_seven_three_and_one_days_left_and_each_day_after_its_end() {
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
            let found = lapsing(CredentialKind::Login, ExpirySource::Declared, hours);
            assert_eq!(found.map(|it| (it.stage(), it.repeats_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn a_setup_token_is_told_of_once_in_its_last_month_and_daily_in_its_last_week() {
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
            let found = lapsing(CredentialKind::SetupToken, certainty, hours);
            assert_eq!(found.map(|it| (it.stage(), it.repeats_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn the_words_name_the_day() {
        use ExpirySource::{Declared, FromCreationDate, UpperBound};
        for (kind, hours, certainty, expected) in [
            (CredentialKind::Login, 75, Declared, "lapses on 3 Dec, in 3 days"),
            (CredentialKind::Login, 25, Declared, "lapses on 1 Dec, in 1 day"),
            (CredentialKind::Login, 5, Declared, "lapses on 30 Nov, within a day"),
            (CredentialKind::SetupToken, 30 * 24, UpperBound, "lapses on 30 Dec at the latest, in 30 days"),
            (CredentialKind::SetupToken, 100, FromCreationDate, "lapses on 4 Dec, in 4 days"),
            (CredentialKind::Login, -1, Declared, "lapsed on 30 Nov"),
            (CredentialKind::Login, -30, Declared, "lapsed on 29 Nov, 1 day ago"),
            (CredentialKind::Login, -24 * 365, Declared, "lapsed on 30 Nov 2025, 365 days ago"),
            (
                CredentialKind::SetupToken,
                -48,
                UpperBound,
                "should have lapsed on 28 Nov at the latest by our reckoning, and may any day",
            ),
        ] {
            let found = lapsing(kind, certainty, hours).expect("something to say");
            assert_eq!(found.describe().to_string(), expected);
        }
    }

    #[test]
    fn absurd_dates_are_far_away_or_long_past_and_nothing_panics() {
        let at = |millis| Expiry { at: Timestamp::from_millis(millis), source: ExpirySource::Declared };
        let now = Timestamp::from_millis(NOW);
        assert_eq!(ExpiryWarning::check(now, CredentialKind::Login, at(u64::MAX)), None);
        let end_of_time = Timestamp::from_millis(u64::MAX);
        for lapsing in [
            ExpiryWarning::check(now, CredentialKind::Login, at(1)),
            ExpiryWarning::check(end_of_time, CredentialKind::Login, at(u64::MAX)),
        ] {
            let text = lapsing.expect("something to say").describe().to_string();
            assert!(text.contains("lapsed on"), "{text}");
        }
    }
}
