//! Facts about the configuration, Vault and the user's Vault token.

use cas_core::time::timestamp::Timestamp;

/// Configuration and store.
#[derive(Debug, Default)]
pub(in crate::commands::doctor) struct StoreFacts {
    /// Why the configuration cannot be used.
    pub(in crate::commands::doctor) config_error: Option<String>,
    pub(in crate::commands::doctor) unknown_keys: Vec<UnknownKey>,
    /// `None` if no Vault server is configured.
    pub(in crate::commands::doctor) vault: Option<Vault>,
}

/// An unknown key in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) struct UnknownKey {
    pub(in crate::commands::doctor) path: String,
    pub(in crate::commands::doctor) key: String,
    pub(in crate::commands::doctor) warning: String,
}

/// Vault, the user's token and document.
#[derive(Debug)]
pub(in crate::commands::doctor) struct Vault {
    pub(in crate::commands::doctor) url: String,
    /// Mount and path of the document.
    pub(in crate::commands::doctor) mount: String,
    pub(in crate::commands::doctor) document: String,
    /// Path of the token file.
    pub(in crate::commands::doctor) token_path: String,
    pub(in crate::commands::doctor) token_file: TokenFile,
    /// `None` if there was no request or no answer.
    pub(in crate::commands::doctor) token: Option<TokenFacts>,
    /// Why a request failed.
    pub(in crate::commands::doctor) failure: Option<VaultFailure>,
    /// The result of reading the document.
    pub(in crate::commands::doctor) content: Content,
    /// Seconds that this machine's clock is ahead of Vault's; negative if it is behind.
    pub(in crate::commands::doctor) clock_ahead: Option<i64>,
}

/// The Vault token file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum TokenFile {
    Missing,
    /// Other users can read the file.
    Open {
        path: String,
        why: String,
    },
    /// The file does not hold one token of the user. `is_replaceable` allows a new token there.
    Unusable {
        why: String,
        is_replaceable: bool,
    },
    Valid,
}

/// The token according to Vault.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum TokenFacts {
    /// Expired, revoked or unknown.
    Ended,
    /// The token of another user; why.
    Foreign(String),
    Own {
        expires_at: Option<Timestamp>,
        /// Why it cannot be renewed.
        never_renewed: Option<String>,
        /// True if its policy allows the requests of a sync.
        has_required_access: Option<bool>,
        /// The forbidden requests that it allows.
        excess_access: Vec<&'static str>,
    },
}

/// Why a request to Vault failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum VaultFailure {
    Sealed(String),
    Busy(String),
    Untrusted(String),
    Unreachable(String),
    Misconfigured(String),
    Refused(String),
}

/// The user's document in Vault.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Content {
    #[default]
    NotRead,
    Read {
        /// The organization of the login in it.
        organization: Option<String>,
    },
    /// Marked as offboarded.
    Offboarded,
    Deleted {
        version: u64,
    },
    Destroyed {
        version: u64,
    },
}
