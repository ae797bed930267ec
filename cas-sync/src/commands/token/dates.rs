//! Parses the creation date of a setup token.

use cas_core::credential::expiry::SETUP_TOKEN_LIFETIME;
use cas_core::outcome::ExitStatus;
use cas_core::time::timestamp::Timestamp;

use crate::user::error::CommandError;

/// Returns the time of `--minted-at`: the start of a day (UTC), or an RFC 3339 time.
///
/// # Errors
/// Returns [`CommandError`], a usage error, if it is not a date, is in the future, or is so old
/// that the token has expired.
pub(crate) fn minted_at(given: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
    let Some(text) = given else { return Ok(None) };
    let usage = |why: &str| CommandError::new(ExitStatus::UsageError, format!("--minted-at: {why}"));
    let moment =
        Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).or_else(|| Timestamp::parse_rfc3339(text));
    let moment = moment.ok_or_else(|| usage("give a day such as 2026-11-21, or a time of RFC 3339"))?;
    if moment > now {
        return Err(usage("the date is in the future"));
    }
    if moment.saturating_add(SETUP_TOKEN_LIFETIME) <= now {
        return Err(usage(
            "the date is a year ago or more, so the setup token has expired: create another one",
        ));
    }
    Ok(Some(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_295_860_000; // 2026-11-21T21:17:40Z

    #[test]
    fn day_or_time_within_the_last_year_is_accepted() {
        let now = Timestamp::from_millis(NOW);
        let read = |text: &str| minted_at(Some(text), now).ok().flatten().map(|moment| moment.to_string());
        assert!(minted_at(None, now).is_ok_and(|moment| moment.is_none()));
        assert_eq!(read("2026-11-21").as_deref(), Some("2026-11-21T00:00:00Z"));
        assert_eq!(read("2026-11-21T20:00:00+01:00").as_deref(), Some("2026-11-21T19:00:00Z"));
        assert_eq!(read("2025-11-22").as_deref(), Some("2025-11-22T00:00:00Z"));
        for text in ["2026-11-22", "2025-11-21", "yesterday", "", "21.11.2026", "2026-13-01"] {
            assert!(
                minted_at(Some(text), now).is_err_and(|failed| failed.status == ExitStatus::UsageError),
                "{text}"
            );
        }
    }
}
