//! Decides when a token is renewed: early and rarely, because a renewal is a write for the server.

use super::token_cache::TokenCache;

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Returns true if the last renewal was a week ago, or a third of the lifetime has passed.
pub(super) fn is_due(cache: &TokenCache, now_ms: u64) -> bool {
    let Some(expires_at_ms) = cache.expires_at_ms else { return false };
    let left_ms = expires_at_ms.saturating_sub(now_ms);
    let is_a_week_old = now_ms.saturating_sub(cache.last_renewed_ms) > WEEK_MS;
    let is_below_two_thirds = cache.period_ms.is_some_and(|period_ms| left_ms < period_ms / 3 * 2);
    is_a_week_old || is_below_two_thirds
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    const NOW_MS: u64 = 1_790_000_000_000;

    fn token(renewed_days_ago: u64, days_left: Option<u64>, period_days: Option<u64>) -> TokenCache {
        TokenCache {
            last_renewed_ms: NOW_MS - renewed_days_ago * DAY_MS,
            expires_at_ms: days_left.map(|days| NOW_MS + days * DAY_MS),
            period_ms: period_days.map(|days| days * DAY_MS),
            ..TokenCache::default()
        }
    }

    #[test]
    fn token_is_renewed_weekly_or_after_a_third_of_its_lifetime() {
        for (renewed_days_ago, days_left, period_days, expected) in [
            (0, Some(32), Some(32), false),
            (7, Some(25), Some(32), false),
            (8, Some(24), Some(32), true),
            (1, Some(21), Some(32), true),
            (1, Some(22), Some(32), false),
            (0, Some(3), Some(3), false),
            (1, Some(1), Some(3), true),
            (1, Some(5), None, false),
            (8, Some(5), None, true),
            (99, None, None, false),
        ] {
            let cache = token(renewed_days_ago, days_left, period_days);
            assert_eq!(is_due(&cache, NOW_MS), expected, "{cache:?}");
        }
    }

    #[test]
    fn clock_set_back_does_not_renew_or_overflow() {
        assert!(!is_due(&token(0, Some(32), Some(32)), NOW_MS - 400 * DAY_MS));
    }
}
