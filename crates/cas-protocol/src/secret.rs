//! A wrapper for values that must never be printed.

use std::fmt;

use zeroize::Zeroize;
pub use zeroize::Zeroizing;

/// A value whose `Debug` is redacted, that has no `Display` and no `Clone`, and whose memory is
/// overwritten on drop. Each use of the value is a visible [`Secret::expose`].
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps the value. The caller must keep no copy.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. Search for this name to find every place that reads a secret.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Zeroize + Eq> Eq for Secret<T> {}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_debug_output_omits_the_value() {
        let secret = Secret::new(String::from("canary"));
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
