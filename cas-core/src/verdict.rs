//! What a live probe of a credential showed. Only `Ok` and `Limited` mean alive, only `Rejected` means dead.

/// The answer of real inference (`docs/claude-code.md` says how it is recognised).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The model answered.
    Ok,
    /// The credential is alive; its owner has used up a limit.
    Limited,
    /// The server refused the credential.
    Rejected {
        /// The account or organisation is refused, not only this credential: signing in again may not help.
        account_level: bool,
    },
    /// `claude` is missing, too old, or does not use the credential it was given: says nothing about the credential.
    Unusable(String),
    /// Anything else (network, overload, time-out, a proxy's page): we do not know, and change nothing.
    Unknown(String),
}

impl Verdict {
    /// Whether the credential was shown to work.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Ok | Self::Limited)
    }

    /// Whether the credential was shown not to work.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }
}
