//! The queue from the event thread and the push to the repair thread. It is bounded: newer entries
//! replace older ones.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cas_core::credential::login::Login;

use super::store_push::PushResult;
use super::sync_marker::SyncMarker;

/// Limits the waiting logins; the history stores no more either.
const MAX_LOGINS: usize = 8;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    batch: Mutex<Batch>,
    arrived: Condvar,
    /// How often the event thread has marked the queue as synced.
    sync_count: Mutex<u64>,
    has_synced: Condvar,
}

/// The entries since the last call.
#[derive(Default)]
pub(super) struct Batch {
    /// Logins that were seen in the credential file, oldest first.
    pub(super) seen: VecDeque<Login>,
    /// True if the file may have changed.
    pub(super) needs_inspection: bool,
    /// The result of the push, if one has ended.
    pub(super) pushed: Option<PushResult>,
}

impl Queue {
    /// Adds logins that were in the file, which may be gone by now.
    pub(super) fn push(&self, seen: impl IntoIterator<Item = Login>) {
        let mut batch = self.batch();
        for login in seen {
            batch.seen.retain(|known| known.summary != login.summary);
            batch.seen.push_back(login);
        }
        while batch.seen.len() > MAX_LOGINS {
            batch.seen.pop_front();
        }
        batch.needs_inspection = true;
        self.arrived.notify_one();
    }

    /// Adds the result of the push.
    pub(super) fn pushed(&self, ending: PushResult) {
        self.batch().pushed = Some(ending);
        self.arrived.notify_one();
    }

    /// Records that all events before the last touch of the marker are in the queue.
    pub(super) fn mark_synced(&self) {
        *self.sync_count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.has_synced.notify_one();
    }

    /// Waits until all events so far are in the queue; returns false after `timeout`.
    pub(super) fn wait_synced(&self, marker: &SyncMarker, timeout: Duration) -> bool {
        let count = self.sync_count.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        if marker.touch().is_err() {
            return false;
        }
        let waited = self.has_synced.wait_timeout_while(count, timeout, |count| *count == before);
        *waited.unwrap_or_else(PoisonError::into_inner).0 != before
    }

    /// Takes the logins only.
    pub(super) fn drain_logins(&self) -> VecDeque<Login> {
        std::mem::take(&mut self.batch().seen)
    }

    /// Waits for entries, at most to `until`, and takes them.
    pub(super) fn take(&self, until: Option<Instant>) -> Batch {
        let mut batch = self.batch();
        while batch.is_empty() {
            batch = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(batch).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    self.arrived.wait_timeout(batch, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        std::mem::take(&mut *batch)
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.needs_inspection && self.pushed.is_none()
    }
}
