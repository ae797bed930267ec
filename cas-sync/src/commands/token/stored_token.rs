//! The content of the env file or of the store's field.

use cas_core::credential::fingerprint::Fingerprint;
use serde_json::{Value, json};

/// The content of the env file or of the store's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredToken {
    Absent,
    Token(Fingerprint),
    /// Not a token.
    Malformed,
    /// Could not be read.
    Unknown,
}

impl StoredToken {
    pub(super) fn token(self) -> Option<Fingerprint> {
        if let Self::Token(token) = self { Some(token) } else { None }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Absent => "holds none",
            Self::Token(_) => "holds one",
            Self::Malformed => "does not hold a setup token",
            Self::Unknown => "could not be read",
        }
    }

    pub(super) fn json(self) -> Value {
        let state = match self {
            Self::Absent => "missing",
            Self::Token(_) => "token",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
        };
        json!({ "state": state, "fingerprint": self.token() })
    }
}
