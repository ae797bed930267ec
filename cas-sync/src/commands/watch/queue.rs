//! What the catcher, and whoever waits for a push, leave for the mender. Bounded: what is newer makes what is older
//! unnecessary.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cas_core::credential::login::Login;

use super::store_push::PushResult;
use super::sync_marker::SyncMarker;

/// How many logins wait at most; the history keeps no more either.
const MOST: usize = 8;

/// Empty until something happens.
#[derive(Default)]
pub(super) struct Queue {
    mail: Mutex<Batch>,
    arrived: Condvar,
    /// How often the catcher was up to date.
    up_to_date: Mutex<u64>,
    is_up_to_date: Condvar,
}

/// What has arrived since the last time.
#[derive(Default)]
pub(super) struct Batch {
    /// Logins that were seen in the credential file, oldest first.
    pub(super) seen: VecDeque<Login>,
    /// Whether the file may hold something else than before.
    pub(super) look: bool,
    /// How the push ended that was under way.
    pub(super) pushed: Option<PushResult>,
}

impl Queue {
    /// The file was written; these logins were in it, and may be gone by now.
    pub(super) fn push(&self, seen: impl IntoIterator<Item = Login>) {
        let mut mail = self.mail();
        for login in seen {
            mail.seen.retain(|known| known.summary != login.summary);
            mail.seen.push_back(login);
        }
        while mail.seen.len() > MOST {
            mail.seen.pop_front();
        }
        mail.look = true;
        self.arrived.notify_one();
    }

    /// The push that was under way has ended.
    pub(super) fn pushed(&self, ending: PushResult) {
        self.mail().pushed = Some(ending);
        self.arrived.notify_one();
    }

    /// The catcher has told all that it was told before the marker was set.
    pub(super) fn up_to_date(&self) {
        *self.up_to_date.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.is_up_to_date.notify_one();
    }

    /// Waits until all has been told that has happened so far; false, when that takes longer than `patience`.
    pub(super) fn wait_synced(&self, marker: &SyncMarker, patience: Duration) -> bool {
        let count = self.up_to_date.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        if marker.touch().is_err() {
            return false;
        }
        let waited = self.is_up_to_date.wait_timeout_while(count, patience, |count| *count == before);
        *waited.unwrap_or_else(PoisonError::into_inner).0 != before
    }

    /// The logins that were seen, without anything else that has arrived.
    pub(super) fn drain_logins(&self) -> VecDeque<Login> {
        std::mem::take(&mut self.mail().seen)
    }

    /// Waits until something has arrived, or `until`, and takes it.
    pub(super) fn take(&self, until: Option<Instant>) -> Batch {
        let mut mail = self.mail();
        while mail.is_empty() {
            mail = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(mail).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.arrived.wait_timeout(mail, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        std::mem::take(&mut *mail)
    }

    fn mail(&self) -> MutexGuard<'_, Batch> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.look && self.pushed.is_none()
    }
}
