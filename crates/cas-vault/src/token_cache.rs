//! Caches the lookup of a token between runs, so that not every login needs it. The token itself is
//! not part of the cache.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::address::ServerUrl;
use super::token_file::Token;

/// The result of the last lookup. The caller stores it in the user's state directory. A lost cache
/// costs one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenCache {
    /// Identifies the token, its user and the server: the first half of a SHA-256 in hexadecimal.
    /// Empty if nothing is cached.
    pub fingerprint: String,
    /// The time of the lookup, in milliseconds since the epoch.
    pub checked_at_ms: u64,
    /// The expiry without a renewal, in milliseconds since the epoch. `None` if the token does not
    /// expire.
    pub expires_at_ms: Option<u64>,
    /// The last renewal or the creation, in milliseconds since the epoch.
    pub last_renewed_ms: u64,
    /// The lifetime after a renewal, in milliseconds. `None` if it is unknown.
    pub period_ms: Option<u64>,
    /// True if it can be renewed at all.
    pub renewable: bool,
    /// The method of writing that the token's policy permits.
    pub write_method: WriteMethod,
}

/// The method of changing a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMethod {
    /// The server merges (HTTP PATCH). Needs the capability `patch`.
    #[default]
    Patch,
    /// The client merges and writes the whole document with a version check. Needs the capability
    /// `update`.
    Put,
}

impl WriteMethod {
    /// Returns the method to try if this one is not permitted.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Patch => Self::Put,
            Self::Put => Self::Patch,
        }
    }
}

impl TokenCache {
    /// Returns true if the token with this fingerprint is known to belong to the user and has not
    /// expired.
    pub(super) fn is_valid_for(&self, fingerprint: &str, now_ms: u64) -> bool {
        self.fingerprint == fingerprint && self.expires_at_ms.is_none_or(|moment| moment > now_ms)
    }
}

/// Returns a fingerprint of this token, user and server. It reveals nothing about the token.
pub(super) fn fingerprint(address: &ServerUrl, user: &str, token: &Token) -> String {
    let mut context = Context::new(&SHA256);
    for part in [&address.to_string(), user, token.expose()] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
