//! One moment by which everything has to be over. Every wait of a login takes the same object, so that no two bounded
//! waits can add up to more than the bound.

use std::time::{Duration, Instant};

/// A moment on the monotonic clock; setting the wall clock does not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `span` from now.
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left; zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The same moment, or one `span` from now if that is earlier: for a part that may not use up the whole.
    #[must_use]
    pub fn capped(&self, span: Duration) -> Self {
        Self(self.0.min(Instant::now() + span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_never_outlives_the_whole() {
        let whole = Deadline::after(Duration::from_secs(1));
        assert!(whole.capped(Duration::from_secs(5)) <= whole);
        assert!(whole.capped(Duration::ZERO) < whole);
        assert!(Deadline::after(Duration::ZERO).is_expired());
    }
}
