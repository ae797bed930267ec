//! What the catcher, and whoever waits for a push, leave for the mender. Bounded: what is newer makes what is older
//! unnecessary.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cas_core::credential::login::OauthLogin;

use super::store_push::Ending;
use super::sync_marker::Marker;

/// How many logins wait at most; the history keeps no more either.
const MOST: usize = 8;

/// Empty until something happens.
#[derive(Default)]
pub(super) struct Inbox {
    mail: Mutex<Mail>,
    arrived: Condvar,
    /// How often the catcher was up to date.
    up_to_date: Mutex<u64>,
    is_up_to_date: Condvar,
}

/// What has arrived since the last time.
#[derive(Default)]
pub(super) struct Mail {
    /// Logins that were seen in the credential file, oldest first.
    pub(super) seen: VecDeque<OauthLogin>,
    /// Whether the file may hold something else than before.
    pub(super) look: bool,
    /// How the push ended that was under way.
    pub(super) pushed: Option<Ending>,
}

impl Inbox {
    /// The file was written; these logins were in it, and may be gone by now.
    pub(super) fn look(&self, seen: impl IntoIterator<Item = OauthLogin>) {
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
    pub(super) fn pushed(&self, ending: Ending) {
        self.mail().pushed = Some(ending);
        self.arrived.notify_one();
    }

    /// The catcher has told all that it was told before the marker was set.
    pub(super) fn up_to_date(&self) {
        *self.up_to_date.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.is_up_to_date.notify_one();
    }

    /// Waits until all has been told that has happened so far; false, when that takes longer than `patience`.
    pub(super) fn catch_up(&self, marker: &Marker, patience: Duration) -> bool {
        let count = self.up_to_date.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        if marker.set().is_err() {
            return false;
        }
        let waited = self.is_up_to_date.wait_timeout_while(count, patience, |count| *count == before);
        *waited.unwrap_or_else(PoisonError::into_inner).0 != before
    }

    /// The logins that were seen, without anything else that has arrived.
    pub(super) fn take_seen(&self) -> VecDeque<OauthLogin> {
        std::mem::take(&mut self.mail().seen)
    }

    /// Waits until something has arrived, or `until`, and takes it.
    pub(super) fn take(&self, until: Option<Instant>) -> Mail {
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

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.look && self.pushed.is_none()
    }
}
