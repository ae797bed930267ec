//! What a live probe of a credential showed. Only `Ok` and `RateLimited` mean alive, only `Rejected` means dead.

use cas_protocol::secret::Secret;

/// Whoever can put a credential to the test of real inference. The programs that can hand one to a [`crate::engine::Engine`].
pub trait Verifier {
    /// Probes an access token or a setup-token by its value, without touching any file of its owner. Bounded.
    fn probe(&mut self, token: &Secret<String>) -> Verification;

    /// Lets Claude Code itself use the login in its owner's home, which refreshes it first where that is due. Nothing
    /// interrupts it, since a refresh that is cut short costs the login; the answer comes within a few minutes.
    fn refresh_in_place(&mut self) -> Verification;
}

/// The answer of real inference (`docs/design/claude-code.md` says how it is recognised).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The model answered.
    Ok,
    /// The credential is alive; its owner has used up a limit.
    RateLimited,
    /// The server refused the credential.
    Rejected {
        /// The account or organisation is refused, not this credential: signing in again may not help.
        account_level: bool,
    },
    /// `claude` is missing, too old, or does not use the credential it was given: says nothing about the credential.
    ClientUnusable(String),
    /// Anything else (network, overload, time-out, a proxy's page): we do not know, and change nothing.
    Inconclusive(String),
}

impl Verification {
    /// Whether the credential was shown to work.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Ok | Self::RateLimited)
    }

    /// Whether the credential itself was shown not to work. A refusal of the whole account says nothing about it: another
    /// credential would fare no better, and the same one works again once the account does.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { account_level: false })
    }
}
