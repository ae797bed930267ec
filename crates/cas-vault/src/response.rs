//! Classifies a response of the server by its status, two headers and its body. Total: each
//! response has a meaning, and a response of another program is never taken for one of the store.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::redact::redact_server_text;
use cas_core::store::StoreError;

/// A response as received.
pub(super) struct RawResponse {
    pub status: u16,
    /// The header `Retry-After`, if any.
    pub retry_after: Option<String>,
    /// The header `Date`, if any: the server's time.
    pub date: Option<String>,
    /// The header `Location`, if any.
    pub location: Option<String>,
    /// The whole body. It is wiped on drop, because the body of a lookup contains the token.
    pub body: Zeroizing<Vec<u8>>,
}

/// The meaning of a response.
#[derive(Debug)]
pub(super) enum Response<'body> {
    /// The request succeeded.
    Success(Success<'body>),
    /// Nothing was ever written here, or all versions were removed.
    NotFound,
    /// There is no document to merge into.
    PatchTargetMissing,
    /// The newest version is deleted or destroyed.
    Deleted(DeletedVersion),
    /// The token is invalid, or its policy does not permit this. Only a lookup tells which.
    Denied,
    /// Another writer was faster.
    CasMismatch,
    /// This server does not support merging.
    PatchUnsupported,
    /// Any other failure.
    Failed(StoreError),
}

/// The content of a successful response.
#[derive(Debug)]
pub(super) struct Success<'body> {
    pub data: Option<&'body RawValue>,
    pub auth: Option<&'body RawValue>,
    pub warnings: Vec<String>,
}

/// The metadata of a deleted version.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct DeletedVersion {
    pub version: u64,
    #[serde(default, deserialize_with = "redacted")]
    pub deletion_time: String,
    #[serde(default)]
    pub destroyed: bool,
}

/// The common frame of all responses of the store. A response of another form comes from another
/// program.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame<'body> {
    errors: Option<Vec<String>>,
    #[serde(borrow)]
    data: Option<&'body RawValue>,
    #[serde(borrow)]
    auth: Option<&'body RawValue>,
    warnings: Option<Vec<String>>,
}

impl RawResponse {
    /// Returns the meaning of this response to `action` ("reading X from Y").
    pub(super) fn classify(&self, action: &str) -> Response<'_> {
        let status = self.status;
        let busy = |what: &str| {
            let reason = format!("{action}: {what} (status {status})");
            Response::Failed(StoreError::Busy { reason, retry_after: self.wait() })
        };
        let refused = |what: &str, remedy: &str| {
            let reason = format!("{action}: {what} (status {status})");
            Response::Failed(StoreError::Refused { reason, remedy: remedy.to_owned() })
        };
        if status == 307 {
            return busy(&format!("redirected{}, which is not followed", self.redirected_to()));
        }
        if self.body.is_empty() {
            return match status {
                204 => Response::Success(Success { data: None, auth: None, warnings: Vec::new() }),
                404 => Response::PatchTargetMissing,
                405 | 415 => Response::PatchUnsupported,
                412 | 429 | 500 | 501 | 503 => busy("a response without a message"),
                _ => self.foreign(action),
            };
        }
        let Some(frame) = self.frame() else { return self.foreign(action) };
        let text = frame.error_text();
        match status {
            200 | 204 => match frame.errors {
                None => Response::Success(Success {
                    data: frame.data,
                    auth: frame.auth,
                    warnings: frame
                        .warnings
                        .unwrap_or_default()
                        .iter()
                        .map(|text| redact_server_text(text))
                        .collect(),
                }),
                Some(_) => self.foreign(action),
            },
            404 => match (&frame.errors, frame.data.and_then(deletion)) {
                (None, Some(deletion)) => Response::Deleted(deletion),
                (Some(errors), None) if errors.is_empty() => Response::NotFound,
                (Some(_), None) if text.contains("namespace") => {
                    refused(&text, "correct the configured namespace")
                }
                (Some(_), None) => refused(&text, "correct the configured mount and path"),
                _ => self.foreign(action),
            },
            _ if frame.errors.is_none() => self.foreign(action),
            400 if text.contains("check-and-set") && !text.contains("required") => Response::CasMismatch,
            403 => Response::Denied,
            405 | 415 => Response::PatchUnsupported,
            412 => busy("this node has not caught up yet"),
            429 if text.is_empty() => busy("this node has not caught up yet"),
            429 | 500 | 501 | 503 => busy(&text),
            413 => refused(&text, "make the document smaller"),
            400..500 => {
                refused(&text, "this is a defect of claude-auth-sync or its configuration; report it")
            }
            _ => self.foreign(action),
        }
    }

    /// Returns the texts of the errors, if this is a response of the store.
    pub(super) fn error_text(&self) -> Option<String> {
        let frame = self.frame()?;
        frame.errors.is_some().then(|| frame.error_text())
    }

    /// Parses the frame. One of its keys must exist, because other programs send JSON objects too.
    fn frame(&self) -> Option<Frame<'_>> {
        let frame: Frame<'_> = serde_json::from_slice(&self.body).ok()?;
        let is_ours = frame.errors.is_some() || frame.data.is_some() || frame.auth.is_some();
        // The response to revoking a token that has ended already has a warning only.
        (is_ours || frame.warnings.is_some()).then_some(frame)
    }

    fn foreign(&self, action: &str) -> Response<'static> {
        let status = self.status;
        let reason = format!(
            "{action}: the response{} is not from the store (status {status}, {} bytes)",
            self.redirected_to(),
            self.body.len()
        );
        Response::Failed(StoreError::Unreachable { reason })
    }

    fn redirected_to(&self) -> String {
        self.location
            .as_deref()
            .map(|target| format!(" to {}", redact_server_text(target)))
            .unwrap_or_default()
    }

    /// Returns the delay of `Retry-After` in seconds. The store does not use the date form of the
    /// header.
    fn wait(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse::<u32>().ok()?;
        Some(Duration::from_secs(seconds.into()))
    }
}

impl Frame<'_> {
    fn error_text(&self) -> String {
        redact_server_text(&self.errors.as_deref().unwrap_or_default().join("; "))
    }
}

fn redacted<'body, D: Deserializer<'body>>(text: D) -> Result<String, D::Error> {
    String::deserialize(text).map(|text| redact_server_text(&text))
}

/// Parses the metadata of a deleted version, from the response to a read (`{data, metadata}`) or to
/// a merge (the metadata itself).
fn deletion(data: &RawValue) -> Option<DeletedVersion> {
    #[derive(Deserialize)]
    struct DeletedDocument {
        metadata: DeletedVersion,
    }
    let text = data.get();
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(text).map(|read: DeletedDocument| read.metadata))
        .ok()
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
