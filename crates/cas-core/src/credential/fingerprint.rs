//! Fingerprints of secrets: a truncated SHA-256 distinguishes two tokens and reveals neither.

use std::fmt;

use ring::digest;
use serde::{Deserialize, Serialize};

/// The first 64 bits of a secret's SHA-256, displayed as 16 hexadecimal digits. It can be logged,
/// stored and printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Returns the fingerprint of this secret.
    pub fn from_bytes(secret: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, secret.as_bytes());
        Self(digest.as_ref().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() != 16 {
            return Err(format!("{text:?} is not a fingerprint of 16 hexadecimal digits"));
        }
        u64::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|error| format!("{text:?} is not a fingerprint: {error}"))
    }
}

/// Identifies a **generation** of a login: one refresh token, which Claude Code replaces at each
/// refresh.
pub type RefreshTokenId = Fingerprint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_the_first_64_bits_of_sha_256() {
        // sha256("abc") of FIPS 180-2, appendix B.1
        assert_eq!(Fingerprint::from_bytes("abc").to_string(), "ba7816bf8f01cfea");
        assert_eq!(
            Fingerprint::try_from(String::from("ba7816bf8f01cfea")),
            Ok(Fingerprint::from_bytes("abc"))
        );
        assert!(Fingerprint::try_from(String::from("nonsense")).is_err());
    }
}
