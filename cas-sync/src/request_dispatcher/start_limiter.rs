//! When a sync may be started for a request: pure, with the time as a parameter. A request that comes too early is kept, as
//! one bit of its user, and starts one sync as soon as the limits allow.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// So many starts at most in any interval of this length, for one user. Each sync runs a client of 200 MB for seconds.
const LIMITS: [(usize, Duration); 2] = [(1, Duration::from_secs(60)), (MAX_STARTS, Duration::from_secs(600))];

/// The most starts of one user that are remembered: those of the longest interval.
const MAX_STARTS: usize = 20;

/// What is known of the requests of all users. The caller passes enrolled users only, which bounds its size.
#[derive(Debug, Default)]
pub(super) struct StartLimiter(BTreeMap<u32, UserState>);

#[derive(Debug, Default)]
struct UserState {
    /// The last starts, the oldest first; at most [`MAX_STARTS`].
    starts: VecDeque<Instant>,
    /// Whether a request waits, and from when on it may be tried again.
    pending_from: Option<Instant>,
}

impl StartLimiter {
    /// Takes a request of the user.
    pub(super) fn request(&mut self, uid: u32, now: Instant) {
        self.0.entry(uid).or_default().pending_from.get_or_insert(now);
    }

    /// Those whose requests may start a sync now.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let is_due = |state: &UserState| state.due_at().is_some_and(|due| due <= now);
        self.0.iter().filter(|(_, state)| is_due(state)).map(|(uid, _)| *uid).collect()
    }

    /// Notes that a sync was started for the user: their request is answered.
    pub(super) fn note_start(&mut self, uid: u32, now: Instant) {
        let state = self.0.entry(uid).or_default();
        state.pending_from = None;
        state.starts.push_back(now);
        if state.starts.len() > MAX_STARTS {
            state.starts.pop_front();
        }
    }

    /// Lets the user's request wait until then, because no sync can be started before.
    pub(super) fn postpone(&mut self, uid: u32, until: Instant) {
        if let Some(state) = self.0.get_mut(&uid) {
            state.pending_from = state.pending_from.map(|_| until);
        }
    }

    /// Forgets the user.
    pub(super) fn forget(&mut self, uid: u32) {
        self.0.remove(&uid);
    }

    /// Those whose requests wait.
    pub(super) fn pending(&self) -> Vec<u32> {
        self.0.iter().filter(|(_, state)| state.pending_from.is_some()).map(|(uid, _)| *uid).collect()
    }

    /// When the next request becomes due. `None` when none waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(UserState::due_at).min()
    }

    /// Forgets all that no longer limits anything. Returns whether nothing is left.
    pub(super) fn forget_expired(&mut self, now: Instant) -> bool {
        self.0.retain(|_, state| {
            state.pending_from.is_some() || state.allowed_from().is_some_and(|from| from > now)
        });
        self.0.is_empty()
    }
}

impl UserState {
    fn due_at(&self) -> Option<Instant> {
        let pending_from = self.pending_from?;
        Some(self.allowed_from().map_or(pending_from, |allowed_from| allowed_from.max(pending_from)))
    }

    /// From when on the limits allow another start. `None` when they always did.
    fn allowed_from(&self) -> Option<Instant> {
        let end_of = |(most, interval): (usize, Duration)| {
            let first = self.starts.len().checked_sub(most)?;
            self.starts.get(first)?.checked_add(interval)
        };
        LIMITS.into_iter().filter_map(end_of).max()
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
    fn a_request_within_the_limit_starts_one_sync_when_the_interval_ends() {
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
        assert_eq!(limiter.due(after(start, 30)), [BOB], "nobody else waits for it");
        limiter.note_start(BOB, after(start, 30));
        assert_eq!(limiter.next_due(), Some(after(start, 60)));
        assert!(limiter.due(after(start, 59)).is_empty());
        assert_eq!(limiter.due(after(start, 60)), [ALICE], "all of them, by one");
        limiter.note_start(ALICE, after(start, 60));
        assert_eq!((limiter.due(after(start, 600)), limiter.next_due()), (vec![], None));
    }

    #[test]
    fn a_request_that_is_postponed_is_not_lost() {
        let start = Instant::now();
        let mut limiter = StartLimiter::default();
        limiter.request(ALICE, start);
        limiter.postpone(ALICE, after(start, 2));
        limiter.request(ALICE, after(start, 1));
        assert!(limiter.due(after(start, 1)).is_empty());
        assert_eq!(limiter.due(after(start, 2)), [ALICE]);
        limiter.postpone(BOB, after(start, 2));
        assert_eq!(limiter.due(after(start, 9)), [ALICE], "who has asked for nothing gets nothing");
    }

    #[test]
    fn what_limits_nothing_any_more_is_forgotten() {
        let start = Instant::now();
        let mut limiter = StartLimiter::default();
        assert!(limiter.forget_expired(start));
        limiter.request(ALICE, start);
        assert!(!limiter.forget_expired(after(start, 9999)), "a request that waits");
        limiter.note_start(ALICE, start);
        assert!(!limiter.forget_expired(after(start, 59)));
        assert!(limiter.forget_expired(after(start, 60)));
    }

    proptest! {
        /// Whatever is asked for and whenever the dispatcher looks: the limits hold, and the last request is answered.
        #[test]
        fn the_limits_hold_and_no_request_is_lost(pauses in proptest::collection::vec(0_u64..90_000, 1..200)) {
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
            for (most, interval) in [(1, 60), (20, 600)] {
                for window in starts.windows(most + 1) {
                    prop_assert!(window[most] - window[0] >= Duration::from_secs(interval));
                }
            }
        }
    }
}
