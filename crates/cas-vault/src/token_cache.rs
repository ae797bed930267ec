//! What is remembered of a token between runs, so that it is looked up once in its life and not at every login. The
//! token itself is not part of it.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::address::ServerUrl;
use super::token_file::Token;

/// What the last run learnt about the token. The caller keeps it, in the user's state directory; a lost or empty memory
/// costs one more request, nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenCache {
    /// Names the token, the user it was found to belong to, and the server that said so: the first half of a SHA-256 in
    /// hex. Empty when nothing is remembered.
    pub fingerprint: String,
    /// When the server was asked, in milliseconds since the epoch.
    pub checked_at_ms: u64,
    /// When the token expires unless it is renewed, in milliseconds since the epoch; none if never.
    pub expires_at_ms: Option<u64>,
    /// When it was last renewed, or else issued, in milliseconds since the epoch.
    pub last_renewed_ms: u64,
    /// How long one renewal lasts, in milliseconds; none when the server did not say.
    pub period_ms: Option<u64>,
    /// Whether it can be renewed at all.
    pub renewable: bool,
    /// Which way of changing a document the token's policy was seen to allow.
    pub write_method: WriteMethod,
}

/// How a document is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMethod {
    /// The server merges (HTTP PATCH); needs the capability `patch`.
    #[default]
    Patch,
    /// We merge and write the whole, provided nobody else did in between; needs the capability `update`.
    Put,
}

impl WriteMethod {
    /// The one to try when this one is not allowed.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Patch => Self::Put,
            Self::Put => Self::Patch,
        }
    }
}

impl TokenCache {
    /// Whether the token behind `fingerprint` is known to be this user's and, as far as we know, still valid.
    pub(super) fn is_valid_for(&self, fingerprint: &str, now_ms: u64) -> bool {
        self.fingerprint == fingerprint && self.expires_at_ms.is_none_or(|moment| moment > now_ms)
    }
}

/// A name for this token as used by this user with this server; it tells nothing about the token.
pub(super) fn fingerprint(address: &ServerUrl, user: &str, token: &Token) -> String {
    let mut context = Context::new(&SHA256);
    for part in [&address.to_string(), user, token.expose()] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
