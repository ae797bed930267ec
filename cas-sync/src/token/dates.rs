//! The day on which a setup-token was made, as somebody types it.

use cas_core::lapse::SETUP_TOKEN_LASTS;
use cas_core::timestamp::Timestamp;

use crate::failed::Failed;

/// The moment that `--minted-at` names, if it is given: a day (its beginning, UTC), or a time of RFC 3339.
///
/// # Errors
/// [`Failed`], of usage: it is no date, or lies in the future, or so far back that the token has lapsed.
pub(crate) fn minted_at(given: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Failed> {
    let Some(text) = given else { return Ok(None) };
    let usage = |why: &str| Failed::new(2, format!("--minted-at: {why}"));
    let moment =
        Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).or_else(|| Timestamp::parse_rfc3339(text));
    let moment = moment.ok_or_else(|| usage("give a day such as 2026-11-21, or a time of RFC 3339"))?;
    if moment > now {
        return Err(usage("that lies in the future"));
    }
    if moment.plus(SETUP_TOKEN_LASTS) <= now {
        return Err(usage("that is a year ago or more, and setup-tokens last for a year: make another one"));
    }
    Ok(Some(moment))
}

/// How a moment that is not long ago or ahead is shown beside its date.
pub(crate) fn in_days(moment: Timestamp, now: Timestamp) -> String {
    const DAY: u64 = 24 * 60 * 60;
    // What is written down is in whole seconds: a year from a moment ago is a year.
    let (moment, now) = (moment.millis() / 1000, now.millis() / 1000);
    let (ahead, behind) = (moment.saturating_sub(now), now.saturating_sub(moment));
    let days = |count: u64| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
    match (ahead / DAY, behind / DAY) {
        (0, 0) if ahead > 0 => "within a day".to_owned(),
        (0, 0) => "within the last day".to_owned(),
        (0, past) => format!("{} ago", days(past)),
        (future, _) => format!("in {}", days(future)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_295_860_000; // 2026-11-21T21:17:40Z

    #[test]
    fn a_day_or_a_time_within_the_last_year_is_taken() {
        let now = Timestamp::from_millis(NOW);
        let read = |text: &str| minted_at(Some(text), now).ok().flatten().map(|moment| moment.to_string());
        assert!(minted_at(None, now).is_ok_and(|moment| moment.is_none()));
        assert_eq!(read("2026-11-21").as_deref(), Some("2026-11-21T00:00:00Z"));
        assert_eq!(read("2026-11-21T20:00:00+01:00").as_deref(), Some("2026-11-21T19:00:00Z"));
        assert_eq!(read("2025-11-22").as_deref(), Some("2025-11-22T00:00:00Z"));
        for text in ["2026-11-22", "2025-11-21", "yesterday", "", "21.11.2026", "2026-13-01"] {
            assert!(minted_at(Some(text), now).is_err_and(|failed| failed.code == 2), "{text}");
        }
    }

    #[test]
    fn days_are_counted_in_words() {
        let now = Timestamp::from_millis(NOW);
        let days = |count: u64| Timestamp::from_millis(NOW + count * 86_400_000);
        assert_eq!(in_days(days(365), now), "in 365 days");
        assert_eq!(in_days(days(1), now), "in 1 day");
        let milliseconds_later = Timestamp::from_millis(NOW + 999);
        assert_eq!(in_days(days(365), milliseconds_later), "in 365 days");
        assert_eq!(in_days(now, days(2)), "2 days ago");
        assert_eq!(
            (in_days(now, now), in_days(days(0).plus(std::time::Duration::from_secs(9)), now)),
            ("within the last day".to_owned(), "within a day".to_owned())
        );
    }
}
