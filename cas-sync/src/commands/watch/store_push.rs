//! Schedules the push of a new login to the store. The push is `cas-sync internal push` in a
//! separate process, so that the watcher needs no network code.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cas_core::outcome::ExitStatus;

/// The delay after the last new login: a sign-in or a refresh may write several times.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// The delay after the first failed push; it doubles after each further one.
const MIN_BACKOFF: Duration = Duration::from_secs(5);

/// The maximum delay.
const MAX_BACKOFF: Duration = Duration::from_secs(10 * 60);

/// Limits the attempts, which take nearly an hour; then the next sync pushes.
const MAX_ATTEMPTS: u32 = 12;

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushResult {
    /// The store was reached; another attempt would change nothing.
    Done,
    /// Another run was active, or the store was not reachable.
    Retry,
}

/// The state of the push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StorePush {
    /// The store is up to date.
    #[default]
    Idle,
    /// Scheduled at this time.
    Due { at: Instant, failed: u32 },
    /// Running; `again` is set if a new login was seen meanwhile.
    UnderWay { failed: u32, again: bool },
}

impl StorePush {
    /// Schedules a push of a new login.
    pub(super) fn schedule(&mut self, now: Instant) {
        *self = match *self {
            Self::Idle | Self::Due { .. } => Self::Due { at: now + DEBOUNCE, failed: 0 },
            Self::UnderWay { failed, .. } => Self::UnderWay { failed, again: true },
        };
    }

    /// Returns the time of the scheduled push.
    pub(super) fn next_at(&self) -> Option<Instant> {
        match self {
            Self::Due { at, .. } => Some(*at),
            Self::Idle | Self::UnderWay { .. } => None,
        }
    }

    /// Returns true if the push is due, and marks it as running.
    pub(super) fn try_begin(&mut self, now: Instant) -> bool {
        match *self {
            Self::Due { at, failed } if at <= now => {
                *self = Self::UnderWay { failed, again: false };
                true
            }
            _ => false,
        }
    }

    /// Records the end of the running push.
    pub(super) fn finish(&mut self, ending: PushResult, now: Instant) {
        let Self::UnderWay { failed, again } = *self else { return };
        *self = match ending {
            _ if again => Self::Due { at: now + DEBOUNCE, failed: 0 },
            PushResult::Retry if failed + 1 < MAX_ATTEMPTS => {
                Self::Due { at: now + backoff_after(failed), failed: failed + 1 }
            }
            PushResult::Done | PushResult::Retry => Self::Idle,
        };
    }
}

fn backoff_after(failed: u32) -> Duration {
    (MIN_BACKOFF * 2_u32.saturating_pow(failed)).min(MAX_BACKOFF)
}

/// Runs the push and waits for its end. The journal has its messages. The new process lowers its
/// own priority: nice(1) would have the watcher's until it has done so, and users can trace
/// nice(1), because they can read it.
pub(super) fn run_push(program: &Path) -> PushResult {
    let mut command = Command::new(program);
    command.args(["internal", "push"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.output().map_or(PushResult::Retry, |output| result_of(&output))
}

fn result_of(output: &Output) -> PushResult {
    let is_skipped = output.stdout.starts_with(b"SKIP");
    match output.status.code() {
        None => PushResult::Retry,
        Some(code) if code == i32::from(ExitStatus::TryLater.code()) => PushResult::Retry,
        Some(_) if is_skipped => PushResult::Retry,
        Some(_) => PushResult::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_runs_once_after_last_new_login() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut push = StorePush::default();
        assert!(push.next_at().is_none() && !push.try_begin(at(0)), "no push is scheduled");
        push.schedule(at(0));
        push.schedule(at(1));
        assert_eq!(push.next_at(), Some(at(3)));
        assert!(!push.try_begin(at(2)) && push.try_begin(at(3)) && !push.try_begin(at(4)));
        push.finish(PushResult::Done, at(4));
        assert_eq!(push, StorePush::Idle);
    }

    #[test]
    fn login_during_push_is_pushed_afterwards() {
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
    fn failed_push_is_retried_with_backoff_to_limit() {
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
        assert_eq!(pauses.len(), MAX_ATTEMPTS as usize);
        assert_eq!(pauses.get(..4), Some(&[2, 5, 10, 20].map(Duration::from_secs)[..]));
        assert!(pauses.iter().all(|pause| *pause <= MAX_BACKOFF));
        assert!((2400..4000).contains(&(now - start).as_secs()), "{:?}", now - start);
        push.schedule(now);
        assert!(push.next_at().is_some(), "a new login schedules a push again");
    }
}
