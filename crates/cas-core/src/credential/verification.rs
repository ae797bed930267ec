//! What a live probe of a credential showed. Only `Ok` and `Limited` mean alive, only `Rejected` means dead.

use cas_protocol::secret::Secret;

/// Whoever can put a credential to the test of real inference. The programs that can hand one to a [`crate::engine::Run`].
pub trait Verifier {
    /// Probes an access token or a setup-token by its value, without touching any file of its owner. Bounded.
    fn probe(&mut self, token: &Secret<String>) -> Verdict;

    /// Lets Claude Code itself use the login in its owner's home, which refreshes it first where that is due. Nothing
    /// interrupts it, since a refresh that is cut short costs the login; the answer comes within a few minutes.
    fn refresh_run(&mut self) -> Verdict;
}

/// The answer of real inference (`docs/claude-code.md` says how it is recognised).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The model answered.
    Ok,
    /// The credential is alive; its owner has used up a limit.
    Limited,
    /// The server refused the credential.
    Rejected {
        /// The account or organisation is refused, not this credential: signing in again may not help.
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

    /// Whether the credential itself was shown not to work. A refusal of the whole account says nothing about it: another
    /// credential would fare no better, and the same one works again once the account does.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { account_level: false })
    }
}
