//! The result of verifying a credential. `Ok` and `RateLimited` mean valid; only `Rejected` means
//! rejected.

use crate::fs::obstacle::Obstacle;
use cas_protocol::secret::Secret;

/// Verifies credentials with the real client. The programs that can do this pass one to a
/// [`crate::engine::Engine`].
pub trait Verifier {
    /// Verifies an access token or a setup token by value, without changing the user's files.
    /// Bounded.
    fn probe(&mut self, token: &Secret<String>) -> Verification;

    /// Runs Claude Code with the login in the user's home, which refreshes it if that is due.
    /// Nothing interrupts it, because an interrupted refresh loses the login. It ends within a few
    /// minutes.
    ///
    /// # Errors
    /// What would keep Claude Code from writing the refreshed login, such as a full disk. Claude
    /// Code was not started.
    fn refresh_in_place(&mut self) -> Result<Verification, Obstacle>;
}

/// The reason of an inconclusive result: the Anthropic API says that the organization is disabled,
/// with a status that it also uses for malformed requests. If it says so in several runs, the
/// account is refused ([`crate::ledger::DisabledOrganization`]).
pub const ORGANIZATION_DISABLED: &str = "the API says that the organization has been disabled (400)";

/// The result of a verification (`docs/design/claude-code.md` describes how it is recognized).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The model answered.
    Ok,
    /// The credential is valid, but its account has reached a limit.
    RateLimited,
    /// The Anthropic API rejected the credential.
    Rejected {
        /// The account or organization is refused, not this credential. Signing in again may not
        /// help.
        account_level: bool,
    },
    /// `claude` is missing, too old, or did not use the given credential. This says nothing about
    /// the credential.
    ClientUnusable(String),
    /// Any other result (network, overload, timeout, a proxy's page). Nothing is changed.
    Inconclusive(String),
}

impl Verification {
    /// Returns true if the credential is valid.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Ok | Self::RateLimited)
    }

    /// Returns true if the Anthropic API says that the organization is disabled.
    pub fn is_organization_disabled(&self) -> bool {
        matches!(self, Self::Inconclusive(why) if why == ORGANIZATION_DISABLED)
    }

    /// Returns true if the credential itself is rejected. A refusal of the account says nothing
    /// about the credential: it is valid again once the account is.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { account_level: false })
    }
}
