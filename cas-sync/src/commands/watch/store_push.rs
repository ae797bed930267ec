//! When a new login is brought to the store, and by whom: `cas-sync run --no-verify`, as a process of its own, so that the
//! watcher never needs what speaks to a server.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long after the last new login: a person who signs in, or a client that refreshes, may write several times.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// How long after a push that could not be made the first time; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// How often it is tried, over nearly an hour; then it is left to the next sync.
const TRIES: u32 = 12;

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushResult {
    /// The store was asked, and trying again would change nothing.
    Done,
    /// Somebody else was at it, or the store was away.
    Retry,
}

/// The one push that is outstanding, or under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StorePush {
    /// The store has been told all.
    #[default]
    Idle,
    /// To be made then.
    Due { at: Instant, failed: u32 },
    /// Being made; `again` when something new was seen meanwhile.
    UnderWay { failed: u32, again: bool },
}

impl StorePush {
    /// There is something new.
    pub(super) fn schedule(&mut self, now: Instant) {
        *self = match *self {
            Self::Idle | Self::Due { .. } => Self::Due { at: now + DEBOUNCE, failed: 0 },
            Self::UnderWay { failed, .. } => Self::UnderWay { failed, again: true },
        };
    }

    /// When to wake up for it; never, when nothing is outstanding.
    pub(super) fn next_at(&self) -> Option<Instant> {
        match self {
            Self::Due { at, .. } => Some(*at),
            Self::Idle | Self::UnderWay { .. } => None,
        }
    }

    /// Whether it is to be begun now; if so, it counts as begun.
    pub(super) fn try_begin(&mut self, now: Instant) -> bool {
        match *self {
            Self::Due { at, failed } if at <= now => {
                *self = Self::UnderWay { failed, again: false };
                true
            }
            _ => false,
        }
    }

    /// The one that was under way has ended.
    pub(super) fn finish(&mut self, ending: PushResult, now: Instant) {
        let Self::UnderWay { failed, again } = *self else { return };
        *self = match ending {
            _ if again => Self::Due { at: now + DEBOUNCE, failed: 0 },
            PushResult::Retry if failed + 1 < TRIES => {
                Self::Due { at: now + pause_after(failed), failed: failed + 1 }
            }
            PushResult::Done | PushResult::Retry => Self::Idle,
        };
    }
}

fn pause_after(failed: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.saturating_pow(failed)).min(LONGEST_PAUSE)
}

/// What the unit gives the watch, taken back: seeing a login must not come late, bringing it to the store may.
const LOWER_PRIORITY: &str = "--adjustment=10";

/// Makes the push, and waits for its end. What it has to say stands in the journal.
pub(super) fn run_push(program: &Path) -> PushResult {
    let mut command = Command::new("/usr/bin/nice");
    command.arg(LOWER_PRIORITY).arg(program).args(["run", "--no-verify"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.output().map_or(PushResult::Retry, |output| ending_of(&output))
}

fn ending_of(output: &Output) -> PushResult {
    /// Of `cas-sync run`: the store is busy or away.
    const TRY_LATER: i32 = 75;
    let is_skipped = output.stdout.starts_with(b"SKIP");
    match output.status.code() {
        Some(TRY_LATER) | None => PushResult::Retry,
        Some(_) if is_skipped => PushResult::Retry,
        Some(_) => PushResult::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_after_the_last_of_several_new_logins() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut push = StorePush::default();
        assert!(push.next_at().is_none() && !push.try_begin(at(0)), "nobody wakes up for nothing");
        push.schedule(at(0));
        push.schedule(at(1));
        assert_eq!(push.next_at(), Some(at(3)));
        assert!(!push.try_begin(at(2)) && push.try_begin(at(3)) && !push.try_begin(at(4)));
        push.finish(PushResult::Done, at(4));
        assert_eq!(push, StorePush::Idle);
    }

    #[test]
    fn what_comes_while_it_is_made_is_pushed_afterwards() {
        let start = Instant::now();
        for ending in [PushResult::Done, PushResult::Retry] {
            let mut push = StorePush::UnderWay { failed: 3, again: false };
            push.schedule(start);
            assert_eq!(push.next_at(), None);
            push.finish(ending, start);
            assert_eq!(push, StorePush::Due { at: start + DEBOUNCE, failed: 0 });
        }
    }

    #[test]
    fn a_store_that_is_away_is_asked_ever_more_seldom_and_in_the_end_no_more() {
        let start = Instant::now();
        let mut push = StorePush::default();
        push.schedule(start);
        let mut now = start;
        let mut pauses = Vec::new();
        while let Some(at) = push.next_at() {
            pauses.push(at - now);
            now = at;
            assert!(push.try_begin(now));
            push.finish(PushResult::Retry, now);
        }
        assert_eq!(pauses.len(), TRIES as usize);
        assert_eq!(pauses.get(..4), Some(&[2, 5, 10, 20].map(Duration::from_secs)[..]));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!((2400..4000).contains(&(now - start).as_secs()), "{:?}", now - start);
        push.schedule(now);
        assert!(push.next_at().is_some(), "a new login is a new beginning");
    }
}
