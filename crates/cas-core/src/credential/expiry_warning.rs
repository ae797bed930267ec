//! A credential that lapses soon, or should have by now: when its person hears of it, and in which words. Pure.

use std::fmt;
use std::time::Duration;

use time::{Date, OffsetDateTime};

use crate::credential::expiry::{Certainty, Kind, Lapse};
use crate::time::format::{days_from_now, distance, whole_days};
use crate::time::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A setup-token is warned of from so long before its end on.
const SETUP_TOKEN_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A login, which lasts for some 30 days in all, from so long before its end on; a setup-token then every day.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The end of a credential, seen from a moment at which there is something to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapsing {
    /// Of what.
    pub kind: Kind,
    /// When.
    pub lapse: Lapse,
    /// Seen from then.
    pub now: Timestamp,
}

/// How far it has come. Each stage is told its person once, or daily: [`Stage::is_told_daily`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A setup-token's last 30 days.
    Month,
    /// The last seven days.
    Week,
    /// The last three days of a login.
    ThreeDays,
    /// The last day of a login.
    Day,
    /// The date has passed.
    Passed,
}

impl Lapsing {
    /// What there is to say at `now`; nothing while the end is far.
    pub fn at(now: Timestamp, kind: Kind, lapse: Lapse) -> Option<Self> {
        let from = match kind {
            Kind::SetupToken => SETUP_TOKEN_WARNING,
            Kind::Login => WEEK,
        };
        (lapse.at <= now.plus(from)).then_some(Self { kind, lapse, now })
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        let ends_within = |span: Duration| self.lapse.at <= self.now.plus(span);
        let is_login = self.kind == Kind::Login;
        if ends_within(Duration::ZERO) {
            Stage::Passed
        } else if is_login && ends_within(DAY) {
            Stage::Day
        } else if is_login && ends_within(DAY * 3) {
            Stage::ThreeDays
        } else if ends_within(WEEK) {
            Stage::Week
        } else {
            Stage::Month
        }
    }

    /// Whether the person hears of this stage every day: of a setup-token in its last week, and of what has lapsed, unless
    /// that is only reckoned. Of every other stage they hear once.
    pub fn is_told_daily(&self) -> bool {
        match self.stage() {
            Stage::Month | Stage::ThreeDays | Stage::Day => false,
            Stage::Week => self.kind == Kind::SetupToken,
            Stage::Passed => !self.lapse.is_estimated(),
        }
    }

    /// The day, and how far away it is: "lapses on 3 Dec, in 3 days".
    pub fn when(&self) -> impl fmt::Display {
        let bound = if self.lapse.certainty == Certainty::AtTheLatest { " at the latest" } else { "" };
        let day = Day { of: self.lapse.at, seen_from: self.now };
        let far = days_from_now(self.lapse.at, self.now);
        match (self.stage(), self.lapse.is_estimated()) {
            (Stage::Passed, false) if whole_days(distance(self.lapse.at, self.now)) == 0 => {
                format!("lapsed on {day}")
            }
            (Stage::Passed, false) => format!("lapsed on {day}, {far}"),
            (Stage::Passed, true) => {
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

    fn lapsing(kind: Kind, certainty: Certainty, in_hours: i64) -> Option<Lapsing> {
        let at = Timestamp::from_millis(NOW.checked_add_signed(in_hours * HOUR).expect("a time"));
        Lapsing::at(Timestamp::from_millis(NOW), kind, Lapse { at, certainty })
    }

    #[test]
    fn a_login_is_told_of_at_seven_three_and_one_days_left_and_each_day_after_its_end() {
        for (hours, expected) in [
            (7 * 24 + 1, None),
            (7 * 24, Some((Stage::Week, false))),
            (3 * 24 + 1, Some((Stage::Week, false))),
            (3 * 24, Some((Stage::ThreeDays, false))),
            (25, Some((Stage::ThreeDays, false))),
            (24, Some((Stage::Day, false))),
            (1, Some((Stage::Day, false))),
            (0, Some((Stage::Passed, true))),
            (-400, Some((Stage::Passed, true))),
        ] {
            let found = lapsing(Kind::Login, Certainty::Stated, hours);
            assert_eq!(found.map(|it| (it.stage(), it.is_told_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn a_setup_token_is_told_of_once_in_its_last_month_and_daily_in_its_last_week() {
        use Certainty::{AtTheLatest, Reckoned, Stated};
        for (hours, certainty, expected) in [
            (30 * 24 + 1, Stated, None),
            (30 * 24, Stated, Some((Stage::Month, false))),
            (30 * 24, AtTheLatest, Some((Stage::Month, false))),
            (7 * 24 + 1, Stated, Some((Stage::Month, false))),
            (7 * 24, Stated, Some((Stage::Week, true))),
            (1, Reckoned, Some((Stage::Week, true))),
            (0, Stated, Some((Stage::Passed, true))),
            (-1, Reckoned, Some((Stage::Passed, false))),
            (-9000, AtTheLatest, Some((Stage::Passed, false))),
        ] {
            let found = lapsing(Kind::SetupToken, certainty, hours);
            assert_eq!(found.map(|it| (it.stage(), it.is_told_daily())), expected, "{hours} hours");
        }
    }

    #[test]
    fn the_words_name_the_day() {
        use Certainty::{AtTheLatest, Reckoned, Stated};
        for (kind, hours, certainty, expected) in [
            (Kind::Login, 75, Stated, "lapses on 3 Dec, in 3 days"),
            (Kind::Login, 25, Stated, "lapses on 1 Dec, in 1 day"),
            (Kind::Login, 5, Stated, "lapses on 30 Nov, within a day"),
            (Kind::SetupToken, 30 * 24, AtTheLatest, "lapses on 30 Dec at the latest, in 30 days"),
            (Kind::SetupToken, 100, Reckoned, "lapses on 4 Dec, in 4 days"),
            (Kind::Login, -1, Stated, "lapsed on 30 Nov"),
            (Kind::Login, -30, Stated, "lapsed on 29 Nov, 1 day ago"),
            (Kind::Login, -24 * 365, Stated, "lapsed on 30 Nov 2025, 365 days ago"),
            (
                Kind::SetupToken,
                -48,
                AtTheLatest,
                "should have lapsed on 28 Nov at the latest by our reckoning, and may any day",
            ),
        ] {
            let found = lapsing(kind, certainty, hours).expect("something to say");
            assert_eq!(found.when().to_string(), expected);
        }
    }

    #[test]
    fn absurd_dates_are_far_away_or_long_past_and_nothing_panics() {
        let at = |millis| Lapse { at: Timestamp::from_millis(millis), certainty: Certainty::Stated };
        let now = Timestamp::from_millis(NOW);
        assert_eq!(Lapsing::at(now, Kind::Login, at(u64::MAX)), None);
        let end_of_time = Timestamp::from_millis(u64::MAX);
        for lapsing in
            [Lapsing::at(now, Kind::Login, at(1)), Lapsing::at(end_of_time, Kind::Login, at(u64::MAX))]
        {
            let text = lapsing.expect("something to say").when().to_string();
            assert!(text.contains("lapsed on"), "{text}");
        }
    }
}
