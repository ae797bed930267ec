//! Limits the starts of syncs for requests. Pure, with the time as a parameter. An early request is
//! kept as one pending entry per user, and starts one sync as soon as the limit allows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The minimum interval between two starts for one user: each sync runs a client of 200 MB for
/// seconds. It also limits the starts to ten in ten minutes, half of what systemd allows
/// (`StartLimitBurst=` of the service).
const MIN_START_INTERVAL: Duration = Duration::from_secs(60);

/// The requests of all users. The caller passes enrolled users only, which limits its size.
#[derive(Debug, Default)]
pub(super) struct StartLimiter(BTreeMap<u32, UserState>);

#[derive(Debug, Default)]
struct UserState {
    /// The earliest time of the next start; `None` before the first start.
    allowed_from: Option<Instant>,
    /// The earliest time to handle the waiting request, if there is one.
    pending_from: Option<Instant>,
}

impl StartLimiter {
    /// Records a request of the user.
    pub(super) fn request(&mut self, uid: u32, now: Instant) {
        self.0.entry(uid).or_default().pending_from.get_or_insert(now);
    }

    /// Returns the users whose requests may start a sync now.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let is_due = |state: &UserState| state.due_at().is_some_and(|due| due <= now);
        self.0.iter().filter(|(_, state)| is_due(state)).map(|(uid, _)| *uid).collect()
    }

    /// Records that a sync was started for the user, which answers the request.
    pub(super) fn note_start(&mut self, uid: u32, now: Instant) {
        self.0.insert(uid, UserState { allowed_from: Some(now + MIN_START_INTERVAL), pending_from: None });
    }

    /// Postpones the request of the user, because no sync can be started before.
    pub(super) fn postpone(&mut self, uid: u32, until: Instant) {
        if let Some(state) = self.0.get_mut(&uid) {
            state.pending_from = state.pending_from.map(|_| until);
        }
    }

    /// Removes the user.
    pub(super) fn forget(&mut self, uid: u32) {
        self.0.remove(&uid);
    }

    /// Returns the users with a waiting request.
    pub(super) fn pending(&self) -> Vec<u32> {
        self.0.iter().filter(|(_, state)| state.pending_from.is_some()).map(|(uid, _)| *uid).collect()
    }

    /// Returns when the next request is due; `None` if none waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(UserState::due_at).min()
    }

    /// Removes expired limits.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        self.0.retain(|_, state| {
            state.pending_from.is_some() || state.allowed_from.is_some_and(|from| from > now)
        });
    }
}

impl UserState {
    fn due_at(&self) -> Option<Instant> {
        let pending_from = self.pending_from?;
        Some(self.allowed_from.map_or(pending_from, |allowed_from| allowed_from.max(pending_from)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALICE: u32 = 1000;
    const BOB: u32 = 1001;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn requests_within_interval_start_one_sync() {
        let start = Instant::now();
        let mut limiter = StartLimiter::default();
        limiter.request(ALICE, start);
        assert_eq!(limiter.due(start), [ALICE]);
        limiter.note_start(ALICE, start);
        for second in 1..=30 {
            limiter.request(ALICE, after(start, second));
            assert!(limiter.due(after(start, second)).is_empty());
        }
        limiter.request(BOB, after(start, 30));
        assert_eq!(limiter.due(after(start, 30)), [BOB], "each user has a separate limit");
        limiter.note_start(BOB, after(start, 30));
        assert_eq!(limiter.next_due(), Some(after(start, 60)));
        assert!(limiter.due(after(start, 59)).is_empty());
        assert_eq!(limiter.due(after(start, 60)), [ALICE], "one start for all requests");
        limiter.note_start(ALICE, after(start, 60));
        assert_eq!((limiter.due(after(start, 600)), limiter.next_due()), (vec![], None));
    }

    #[test]
    fn postponed_request_is_not_lost() {
        let start = Instant::now();
        let mut limiter = StartLimiter::default();
        limiter.request(ALICE, start);
        limiter.postpone(ALICE, after(start, 2));
        limiter.request(ALICE, after(start, 1));
        assert!(limiter.due(after(start, 1)).is_empty());
        assert_eq!(limiter.due(after(start, 2)), [ALICE]);
        limiter.postpone(BOB, after(start, 2));
        assert_eq!(limiter.due(after(start, 9)), [ALICE], "a user without a request is not postponed");
    }

    #[test]
    fn expired_limit_is_removed() {
        let start = Instant::now();
        let mut limiter = StartLimiter::default();
        let is_forgotten_after = |limiter: &mut StartLimiter, seconds| {
            limiter.forget_expired(after(start, seconds));
            limiter.0.is_empty()
        };
        limiter.request(ALICE, start);
        assert!(!is_forgotten_after(&mut limiter, 9999), "a waiting request");
        limiter.note_start(ALICE, start);
        assert!(!is_forgotten_after(&mut limiter, 59));
        assert!(is_forgotten_after(&mut limiter, 60));
    }

    proptest! {
        /// For all requests and times, the limit holds and the last request starts a sync.
        #[test]
        fn limit_holds_and_no_request_is_lost(pauses in proptest::collection::vec(0_u64..90_000, 1..200)) {
            let begin = Instant::now();
            let (mut limiter, mut now, mut starts) = (StartLimiter::default(), begin, Vec::new());
            let mut requested_at = None;
            for pause in pauses {
                now += Duration::from_millis(pause);
                limiter.request(ALICE, now);
                requested_at = Some(now);
                for uid in limiter.due(now) {
                    limiter.note_start(uid, now);
                    starts.push(now);
                }
            }
            if let Some(due) = limiter.next_due() {
                prop_assert_eq!(limiter.due(due), vec![ALICE]);
                starts.push(due);
            }
            prop_assert!(starts.last() >= requested_at.as_ref());
            for pair in starts.windows(2) {
                prop_assert!(pair[1] - pair[0] >= MIN_START_INTERVAL);
            }
        }
    }
}
