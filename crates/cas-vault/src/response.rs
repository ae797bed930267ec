//! Tells what an answer of the server means, from nothing but its status, two headers and its body. Total: whatever
//! arrives has a meaning, and an answer that is not the store's own is never taken for one.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::redact::redact_server_text;
use cas_core::store::StoreError;

/// An answer as it came over the wire.
pub(super) struct RawResponse {
    pub status: u16,
    /// The header `Retry-After`, if any.
    pub retry_after: Option<String>,
    /// The header `Date`, if any: what time it is there.
    pub date: Option<String>,
    /// The header `Location`, if any.
    pub location: Option<String>,
    /// The whole body. A lookup's contains the token, therefore it is wiped.
    pub body: Zeroizing<Vec<u8>>,
}

/// What the server means.
#[derive(Debug)]
pub(super) enum Response<'body> {
    /// It did what it was asked.
    Success(Success<'body>),
    /// Nothing was ever written here, or every trace of it was removed.
    NotFound,
    /// A merge found nothing to merge into.
    PatchTargetMissing,
    /// The newest version is deleted or destroyed.
    Deleted(DeletedVersion),
    /// The token is not valid, or its policy does not allow this: only a lookup tells which.
    Denied,
    /// Somebody wrote in between.
    CasMismatch,
    /// This server does not know how to merge.
    PatchUnsupported,
    /// Everything else.
    Failed(StoreError),
}

/// What came with a success.
#[derive(Debug)]
pub(super) struct Success<'body> {
    pub data: Option<&'body RawValue>,
    pub auth: Option<&'body RawValue>,
    pub warnings: Vec<String>,
}

/// The metadata of a version that is no more.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct DeletedVersion {
    pub version: u64,
    #[serde(default, deserialize_with = "said")]
    pub deletion_time: String,
    #[serde(default)]
    pub destroyed: bool,
}

/// The frame around every answer. An answer that does not fit into it comes from somebody else.
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
    /// What this answer means, if `action` was asked (for the reasons of failures: "reading X from Y").
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
            return busy(&format!("pointed elsewhere{}, which is not followed", self.redirected_to()));
        }
        if self.body.is_empty() {
            return match status {
                204 => Response::Success(Success { data: None, auth: None, warnings: Vec::new() }),
                404 => Response::PatchTargetMissing,
                405 | 415 => Response::PatchUnsupported,
                412 | 429 | 500 | 501 | 503 => busy("an answer without words"),
                _ => self.foreign(action),
            };
        }
        let Some(frame) = self.frame() else { return self.foreign(action) };
        let words = frame.words();
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
                (Some(_), None) if words.contains("namespace") => {
                    refused(&words, "correct the configured namespace")
                }
                (Some(_), None) => refused(&words, "correct the configured mount and path"),
                _ => self.foreign(action),
            },
            _ if frame.errors.is_none() => self.foreign(action),
            400 if words.contains("check-and-set") && !words.contains("required") => Response::CasMismatch,
            403 => Response::Denied,
            405 | 415 => Response::PatchUnsupported,
            412 => busy("this node has not caught up yet"),
            429 if words.is_empty() => busy("this node has not caught up yet"),
            429 | 500 | 501 | 503 => busy(&words),
            413 => refused(&words, "make the document smaller"),
            400..500 => {
                refused(&words, "this is a mistake of claude-auth-sync or its configuration; report it")
            }
            _ => self.foreign(action),
        }
    }

    /// The texts of the errors, if this is one of the store's own answers.
    pub(super) fn error_text(&self) -> Option<String> {
        let frame = self.frame()?;
        frame.errors.is_some().then(|| frame.words())
    }

    /// Not every JSON object is ours: one of these keys has to be there.
    fn frame(&self) -> Option<Frame<'_>> {
        let frame: Frame<'_> = serde_json::from_slice(&self.body).ok()?;
        let is_ours = frame.errors.is_some() || frame.data.is_some() || frame.auth.is_some();
        // Revoking what has ended already is answered with a warning alone.
        (is_ours || frame.warnings.is_some()).then_some(frame)
    }

    fn foreign(&self, action: &str) -> Response<'static> {
        let status = self.status;
        let reason = format!(
            "{action}: something that is not the store answered{} (status {status}, {} bytes)",
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

    /// The header counts seconds; its other form, a date, is not used by the store.
    fn wait(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse::<u32>().ok()?;
        Some(Duration::from_secs(seconds.into()))
    }
}

impl Frame<'_> {
    fn words(&self) -> String {
        redact_server_text(&self.errors.as_deref().unwrap_or_default().join("; "))
    }
}

fn said<'body, D: Deserializer<'body>>(text: D) -> Result<String, D::Error> {
    String::deserialize(text).map(|text| redact_server_text(&text))
}

/// The metadata of a deleted version, of a read (`{data, metadata}`) or of a merge (the metadata itself).
fn deletion(data: &RawValue) -> Option<DeletedVersion> {
    #[derive(Deserialize)]
    struct Read {
        metadata: DeletedVersion,
    }
    let text = data.get();
    serde_json::from_str(text).or_else(|_| serde_json::from_str(text).map(|read: Read| read.metadata)).ok()
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
