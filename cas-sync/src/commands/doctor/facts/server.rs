//! What is known of the configuration, the server and the person's token there.

use cas_core::time::timestamp::Timestamp;

/// Configuration and store.
#[derive(Debug, Default)]
pub(in crate::commands::doctor) struct Store {
    /// The configuration cannot be used; why.
    pub(in crate::commands::doctor) broken: Option<String>,
    /// Keys that nobody knows: the file, the key, and what is said of it.
    pub(in crate::commands::doctor) unknown_keys: Vec<UnknownKey>,
    /// The server, if one is configured.
    pub(in crate::commands::doctor) vault: Option<Vault>,
}

/// A key of the configuration that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct UnknownKey {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) key: String,
    pub(in crate::commands::doctor) said: String,
}

/// What the server and the person's token there say.
#[derive(Debug)]
pub(in crate::commands::doctor) struct Vault {
    pub(in crate::commands::doctor) address: String,
    /// Mount and path of the document.
    pub(in crate::commands::doctor) mount: String,
    pub(in crate::commands::doctor) document: String,
    /// Where the person's token lies.
    pub(in crate::commands::doctor) token_path: String,
    pub(in crate::commands::doctor) token_file: TokenFile,
    /// What the server said of the token; nothing where it was not asked or did not say.
    pub(in crate::commands::doctor) token: Option<Token>,
    /// Why the server did not answer.
    pub(in crate::commands::doctor) silence: Option<Silence>,
    /// What became of reading the document.
    pub(in crate::commands::doctor) content: Content,
    /// How far this machine's clock is ahead of the server's, in seconds; behind is negative.
    pub(in crate::commands::doctor) clock_ahead: Option<i64>,
}

/// The file with the person's token.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum TokenFile {
    Missing,
    /// A file of theirs that others may read.
    Open {
        path: String,
        why: String,
    },
    /// No token of theirs can be read there; whether a new one may take its place.
    Unfit {
        why: String,
        is_replaceable: bool,
    },
    Fine,
}

/// What the server says of a token.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Token {
    /// Expired, revoked, or none.
    Ended,
    /// Somebody else's; why.
    Foreign(String),
    Own {
        expires_at: Option<Timestamp>,
        /// Why it will never be renewed.
        never_renewed: Option<String>,
        /// Whether it may do what a sync does.
        may_work: Option<bool>,
        /// What it could do besides.
        too_wide: Vec<&'static str>,
    },
}

/// Why a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Silence {
    Sealed(String),
    Busy(String),
    Untrusted(String),
    Unreachable(String),
    Misconfigured(String),
    Refused(String),
}

/// The document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Content {
    #[default]
    NotRead,
    Read {
        /// The organisation of the login in it.
        organization: Option<String>,
    },
    Deleted {
        version: u64,
    },
    Destroyed {
        version: u64,
    },
}
