//! Where a user's good copies are kept: one document of named fields with a version, read whole and changed by merge.
//! Fields that are not ours belong to other tools and survive everything done here.

pub mod merge;
pub mod user_document;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

use cas_protocol::deadline::Deadline;

/// The fields of a document: each value is kept as the very JSON text that was read.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// A document as it was read.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// All fields, ours and those of other tools.
    pub fields: Fields,
    /// The version read; 0 when nothing was ever written at this place.
    pub version: u64,
}

/// A place that holds one user's document.
pub trait Store {
    /// Reads the newest version; a place where nothing was ever written is an empty document of version 0.
    ///
    /// # Errors
    /// Any [`StoreError`] but [`StoreError::Conflict`].
    fn read(&mut self, deadline: &Deadline) -> Result<Document, StoreError>;

    /// Sets `changes` and leaves every other field as it is, provided the newest version is still `expected`.
    /// Returns the version written, or `expected` when there was nothing to change.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a change to `null` or an object: a server would merge it instead of setting it.
    /// [`StoreError::Conflict`] when somebody else wrote in between: read again and decide again.
    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, StoreError>;

    /// Renews the token that opens this store, if there is one and it is due. It is a write for a server, so only the
    /// regular sync calls it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this token can never be renewed again;
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] when the next run may succeed.
    fn renew_if_due(&mut self, _deadline: &Deadline) -> Result<Renewal, StoreError> {
        Ok(Renewal::NotDue)
    }

    /// Returns how many requests were sent to a server.
    fn requests(&self) -> u64 {
        0
    }

    /// Saves what this run learned about its token, so that the next run need not ask the server again.
    fn save_token_cache(&self) {}
}

/// The result of a renewal of the token that opens a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It was not due; the server was not asked.
    NotDue,
    /// The token was renewed.
    Renewed {
        /// The new expiry, in milliseconds since the epoch.
        expires_at_ms: u64,
        /// Warnings of the server, such as a lifetime that a limit has cut short. Worth showing to an administrator.
        warnings: Vec<String>,
    },
    /// The token cannot be renewed: an administrator must replace it before it expires.
    NotRenewable {
        /// The expiry, in milliseconds since the epoch; `None` if it does not expire.
        expires_at_ms: Option<u64>,
    },
}

/// Why a store did not do what it was asked. Its `Display` ends in what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store, or our own check before asking it, said no; asking again changes nothing.
    Refused {
        /// What was refused, and why if known. Never contains a token.
        reason: String,
        /// What a person can do about it.
        remedy: String,
    },
    /// What is configured is no usable store, so none was asked; an admin has to mend it.
    Misconfigured {
        /// Which setting, and what is wrong with it.
        reason: String,
        /// Where to mend it.
        remedy: String,
    },
    /// The document was deleted or destroyed by somebody; it is explained, never resurrected.
    Deleted {
        /// Which version was deleted, when, and whether it can be undeleted.
        reason: String,
        /// That version.
        version: u64,
        /// Whether it was destroyed, so that it cannot be undeleted.
        is_destroyed: bool,
    },
    /// The document changed since it was read.
    Conflict,
    /// The store is there but not now: sealed, rate limited, without a leader.
    Busy {
        /// What it said.
        reason: String,
        /// How long it asked us to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// No answer: refused connection, time-out, TLS failure, or an answer that is not the store's.
    Unreachable {
        /// Which peer, which step, which error.
        reason: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { reason, remedy } => write!(formatter, "refused: {reason}; {remedy}"),
            Self::Misconfigured { reason, remedy } => write!(formatter, "not configured: {reason}; {remedy}"),
            Self::Deleted { reason, .. } => {
                write!(formatter, "{reason}; an admin can undelete it, or write a new one, in the store")
            }
            Self::Conflict => {
                formatter.write_str("the document changed meanwhile; it is read again by the next run")
            }
            Self::Busy { reason, .. } => write!(formatter, "busy: {reason}; it is asked again later"),
            Self::Unreachable { reason } => {
                write!(formatter, "unreachable: {reason}; it is asked again later")
            }
        }
    }
}

impl std::error::Error for StoreError {}
