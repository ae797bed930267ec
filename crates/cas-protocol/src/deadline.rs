//! A shared deadline. Every wait during a login uses the same object, so that two bounded waits
//! cannot add up to more than the limit.

use std::time::{Duration, Instant};

/// A moment on the monotonic clock. Setting the wall clock does not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline `span` from now.
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// Returns the time left, or zero after the deadline.
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns true after the deadline.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns this deadline, or one `span` from now if that is earlier. Use it for a step that
    /// must not use up all the time left.
    #[must_use]
    pub fn capped(&self, span: Duration) -> Self {
        Self(self.0.min(Instant::now() + span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capped_deadline_is_never_later_than_the_original() {
        let whole = Deadline::after(Duration::from_secs(1));
        assert!(whole.capped(Duration::from_secs(5)) <= whole);
        assert!(whole.capped(Duration::ZERO) < whole);
        assert!(Deadline::after(Duration::ZERO).is_expired());
    }
}
