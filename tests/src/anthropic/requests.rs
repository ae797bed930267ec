//! The log of the requests of the client. It has only the fingerprints of tokens.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// One request, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// The name of the requested host.
    pub host: String,
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The fingerprint of the bearer token, or of the exchanged refresh token; `None` if the
    /// request had none.
    pub token: Option<String>,
    /// The fingerprint of the API key (`x-api-key`); `None` if the request had none.
    #[serde(default)]
    pub key: Option<String>,
    /// The `User-Agent` header.
    pub client: String,
}

impl LoggedRequest {
    /// Returns true for a request for inference.
    pub fn is_message(&self) -> bool {
        self.path == super::MESSAGES
    }

    /// Returns true for the exchange of a refresh token.
    pub fn is_refresh(&self) -> bool {
        self.path == super::TOKEN
    }
}

/// Returns the first 16 hexadecimal digits of the SHA-256 of a token.
pub fn fingerprint(token: &str) -> String {
    let digest = digest(&SHA256, token.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_short_and_distinguishes_tokens() {
        // printf abc | sha256sum
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
        assert_ne!(fingerprint("abd"), fingerprint("abc"));
    }
}
