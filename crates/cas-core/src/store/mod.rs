//! The store interface: one document per user with named fields and a version, read as a whole and
//! changed by merge. Fields of other tools survive every change.

pub mod backup_fields;
pub mod merge;
pub mod user_document;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;

use cas_protocol::deadline::Deadline;

/// The fields of a document. Each value is the JSON text that was read.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// One version of a document.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// All fields, including those of other tools.
    pub fields: Fields,
    /// The version, or 0 if nothing was ever written.
    pub version: u64,
}

/// A store that holds one user's document.
pub trait Store {
    /// Reads the newest version. If nothing was ever written, returns an empty document of version
    /// 0.
    ///
    /// # Errors
    /// Any [`StoreError`] except [`StoreError::Conflict`].
    fn read(&mut self, deadline: &Deadline) -> Result<Document, StoreError>;

    /// Sets `changes` and keeps every other field, if the newest version still is `expected`.
    /// Returns the written version, or `expected` if nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a change to `null` or an object, because a server would merge it
    /// instead of setting it. [`StoreError::Conflict`] if another writer was faster: read and
    /// decide again.
    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, StoreError>;

    /// Renews the token that opens this store, if there is one and it is due. For a server this is
    /// a write, so only the regular sync calls it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this token can never be renewed; [`StoreError::Busy`] and
    /// [`StoreError::Unreachable`] if the next run may succeed.
    fn renew_if_due(&mut self, _deadline: &Deadline) -> Result<Renewal, StoreError> {
        Ok(Renewal::NotDue)
    }

    /// Returns how many requests were sent to a server.
    fn requests(&self) -> u64 {
        0
    }

    /// Saves what this run learned about its token, so that the next run can skip those requests.
    fn save_token_cache(&self) {}
}

/// The result of a renewal of the token that opens a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It was not due. No request was sent.
    NotDue,
    /// The token was renewed.
    Renewed {
        /// The new expiry, in milliseconds since the epoch.
        expires_at_ms: u64,
        /// Warnings of the server, for example that a limit shortened the lifetime.
        warnings: Vec<String>,
    },
    /// The token cannot be renewed: an administrator must replace it before it expires.
    NotRenewable {
        /// The expiry, in milliseconds since the epoch; `None` if it does not expire.
        expires_at_ms: Option<u64>,
    },
}

/// Why a store operation failed. Its `Display` ends in the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store, or a check before the request, refused the operation. A repetition changes
    /// nothing.
    #[error("refused: {reason}; {remedy}")]
    Refused {
        /// What was refused, and the cause if it is known. Never contains a token.
        reason: String,
        /// The remedy for a user or an administrator.
        remedy: String,
    },
    /// The configured store is not usable, so no request was sent. An administrator has to correct
    /// it.
    #[error("not configured: {reason}; {remedy}")]
    Misconfigured {
        /// The setting, and what is wrong with it.
        reason: String,
        /// Where to correct it.
        remedy: String,
    },
    /// The document was deleted or destroyed. It is reported and never written again.
    #[error("{reason}; an admin can undelete it, or write a new one, in the store")]
    Deleted {
        /// The deleted version, the time, and whether it can be undeleted.
        reason: String,
        /// That version.
        version: u64,
        /// True if it was destroyed and cannot be undeleted.
        is_destroyed: bool,
    },
    /// The document changed since it was read.
    #[error("the document changed meanwhile; the next run reads it again")]
    Conflict,
    /// The store is temporarily unavailable: sealed, rate limited, without a leader.
    #[error("busy: {reason}; it is asked again later")]
    Busy {
        /// The server's message.
        reason: String,
        /// The delay that the server requested, if any.
        retry_after: Option<Duration>,
    },
    /// There was no response of the store: refused connection, timeout, TLS failure, or a response
    /// of another server.
    #[error("unreachable: {reason}; it is asked again later")]
    Unreachable {
        /// The peer, the step and the error.
        reason: String,
    },
}

impl StoreError {
    /// Returns the error for the document of an offboarded user.
    pub fn offboarded() -> Self {
        Self::Refused {
            reason: "the document in the store is marked as offboarded, so it is not used".into(),
            remedy: "if its user is back, an administrator runs `cas-sync provision --adopt USER`".into(),
        }
    }
}
