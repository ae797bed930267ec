//! Decides whether the env file follows the store.

use super::{EnvFileFact, Facts, MAX_PROBES, Step, TokenFact, VerificationTarget, probe};
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::ledger::GenerationState;

/// What is known of the store's setup token that is not active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// It may be activated. `is_verified` says whether the Anthropic API accepted it.
    Allowed {
        /// Whether it was verified.
        is_verified: bool,
    },
    /// It is verified first, in this run or in the next sync.
    Pending,
    /// Its verification was inconclusive, and another credential works.
    Postponed(String),
    /// The Anthropic API rejected it, or its account.
    Rejected,
}

/// Makes the env file follow the store. A new token is verified before it replaces a credential
/// that works. A token is removed only if this store held it.
pub(super) fn sync_env_file(facts: &Facts) -> Option<Step> {
    if facts.done.env_file.is_some() {
        return None;
    }
    if let Some(token) = new_token(facts) {
        return match activation(facts, token) {
            Activation::Allowed { .. } => Some(Step::WriteEnvFile),
            Activation::Pending => probe(facts, VerificationTarget::SetupToken(token)),
            Activation::Postponed(_) | Activation::Rejected => None,
        };
    }
    is_withdrawn(facts).then_some(Step::RemoveEnvFile)
}

/// Returns the store's setup token if the env file could have it and does not.
pub(super) fn new_token(facts: &Facts) -> Option<Fingerprint> {
    match (&facts.document()?.setup_token, &facts.env_file) {
        (TokenFact::Token(_), EnvFileFact::Unreadable(_)) => None,
        (TokenFact::Token(token), found) => (*found != EnvFileFact::Token(*token)).then_some(*token),
        _ => None,
    }
}

/// Returns true if the store has no setup token and held the active one before.
fn is_withdrawn(facts: &Facts) -> bool {
    let is_absent = facts.document().is_some_and(|document| document.setup_token == TokenFact::Withdrawn);
    let held = |token| facts.ledger.setup_tokens.was_in_store(token, facts.settings.store_id);
    is_absent && facts.active_token().is_some_and(held)
}

/// Returns true if the active setup token is not in the store and was never seen there.
pub(super) fn is_missing_in_store(facts: &Facts) -> bool {
    let is_absent = facts.document().is_some_and(|document| document.setup_token == TokenFact::Withdrawn);
    is_absent && facts.active_token().is_some() && !is_withdrawn(facts)
}

/// Decides whether `token` of the store may be activated.
pub(super) fn activation(facts: &Facts, token: Fingerprint) -> Activation {
    match facts.verdict(VerificationTarget::SetupToken(token)) {
        Some(verdict) if verdict.is_alive() => return Activation::Allowed { is_verified: true },
        Some(Verification::Rejected { .. }) => return Activation::Rejected,
        Some(Verification::ClientUnusable(_)) => return Activation::Allowed { is_verified: false },
        Some(Verification::Inconclusive(why)) if has_working_credential(facts) => {
            return Activation::Postponed(why.clone());
        }
        Some(_) => return Activation::Allowed { is_verified: false },
        None => (),
    }
    match facts.ledger.setup_tokens.is_valid(token) {
        Some(true) => return Activation::Allowed { is_verified: true },
        Some(false) => return Activation::Rejected,
        None => (),
    }
    let is_verified_here = super::verifies(facts) && facts.done.probes < MAX_PROBES;
    let is_verified_later = facts.settings.verifies_in_sync && has_working_credential(facts);
    match is_verified_here || is_verified_later {
        true => Activation::Pending,
        false => Activation::Allowed { is_verified: false },
    }
}

/// Returns true if Claude Code has a credential that was not rejected.
fn has_working_credential(facts: &Facts) -> bool {
    let has_token =
        facts.active_token().is_some_and(|token| facts.ledger.setup_tokens.is_valid(token) != Some(false));
    let has_login = match &facts.login {
        LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login) => {
            facts.ledger.generation_state(login.generation) != Some(GenerationState::Rejected)
        }
        LoginFileState::NotRefreshable(_) => true,
        _ => false,
    };
    has_token || has_login
}

#[cfg(test)]
#[path = "setup_token_tests.rs"]
mod tests;
