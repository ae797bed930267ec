//! Decides whether the env file follows the store, and whether Vault gets the local store's token.

use super::{EnvFileFact, Facts, MAX_PROBES, Mode, Step, TokenFact, VerificationTarget, probe};
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::{Owner, UnrefreshedToken};
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::ledger::{GenerationRecord, GenerationState, Origin};

/// What is known of the store's setup token that is not active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// It may be activated. It was verified in this run, or cannot be verified first.
    Allowed,
    /// It is verified first, in this run or in the next sync.
    Pending,
    /// Its verification was inconclusive, and another credential works.
    Postponed(String),
    /// The Anthropic API rejected it.
    Rejected,
    /// The Anthropic API refused its account or organization.
    AccountRefused,
}

/// Makes the env file follow the store. A new token is verified before it replaces a credential
/// that works. A token is removed only if this store held it.
pub(super) fn sync_env_file(facts: &Facts) -> Option<Step> {
    if facts.done.env_file.is_some() {
        return None;
    }
    if let Some(token) = new_token(facts) {
        return match activation(facts, token) {
            Activation::Allowed => Some(Step::WriteEnvFile),
            Activation::Pending => probe(facts, VerificationTarget::SetupToken(token)),
            Activation::Postponed(_) | Activation::Rejected | Activation::AccountRefused => None,
        };
    }
    is_withdrawn(facts).then_some(Step::RemoveEnvFile)
}

/// Copies the setup token of the local store to Vault, after a verification where that is possible.
pub(super) fn copy_to_vault(facts: &Facts) -> Option<Step> {
    let token = copied_token(facts)?;
    let target = VerificationTarget::SetupToken(token);
    let is_refused = matches!(facts.verdict(target), Some(Verification::Rejected { .. }))
        || facts.ledger.setup_tokens.is_valid(token) == Some(false);
    (!is_refused).then(|| probe(facts, target).unwrap_or(Step::CopyToken(token)))
}

/// Returns the setup token that Vault should get from the local store. Vault must never have held
/// it, because it was withdrawn there since, and must have no field, because an empty one or
/// another token was written on purpose. A login in the document must be this user's: after a login
/// name was given to another account, the former user may still read it.
fn copied_token(facts: &Facts) -> Option<Fingerprint> {
    let token = facts.local_token.filter(|_| facts.settings.can_copy_setup_token)?;
    let is_free = matches!(facts.document()?.setup_token, TokenFact::Absent | TokenFact::NotSpecified);
    let is_active = match facts.env_file {
        EnvFileFact::Absent => true,
        EnvFileFact::Token(active) => active == token,
        EnvFileFact::Malformed(_) | EnvFileFact::Unreadable(_) => false,
    };
    let is_due = facts.settings.mode == Mode::Sync && facts.done.copied_token.is_none();
    let is_free = is_free && has_no_foreign_login(facts);
    (is_due && is_free && is_active && !is_held(facts, token)).then_some(token)
}

/// Returns true if the document has no login, or one that the login file had, or one of the same
/// account.
fn has_no_foreign_login(facts: &Facts) -> bool {
    let Some(backup) = facts.document().and_then(|document| document.backup.as_ref()) else { return true };
    let mut own = facts.ledger.generations.iter().filter(|(_, record)| record.origin != Origin::Store);
    let is_own = |(generation, record): (&RefreshTokenId, &GenerationRecord)| {
        *generation == backup.generation || is_same_account(&record.owner, &backup.owner)
    };
    own.any(is_own) || facts.login.login().is_some_and(|login| is_same_account(&login.owner, &backup.owner))
}

fn is_same_account(one: &Owner, other: &Owner) -> bool {
    one.account.is_some() && one.account == other.account && !one.contradicts(other)
}

/// Removes the setup token from the local store when Vault has decided about it: another one or the
/// same one of Vault is active, or Vault held it and it was withdrawn there. It would come back if
/// the local store became the store again.
pub(super) fn remove_local_token(facts: &Facts) -> Option<Step> {
    let is_possible = facts.settings.can_copy_setup_token && !facts.done.removed_local_token;
    let local = facts.local_token.filter(|_| is_possible)?;
    let is_decided = match facts.document()?.setup_token {
        TokenFact::Token(token) => facts.active_token() == Some(token),
        TokenFact::Absent | TokenFact::Withdrawn => is_held(facts, local),
        TokenFact::NotSpecified | TokenFact::Malformed(_) => false,
    };
    (is_decided && facts.settings.mode == Mode::Sync).then_some(Step::RemoveLocalToken)
}

/// Returns the store's setup token if the env file could have it and does not.
pub(super) fn new_token(facts: &Facts) -> Option<Fingerprint> {
    match (&facts.document()?.setup_token, &facts.env_file) {
        (TokenFact::Token(_), EnvFileFact::Unreadable(_)) => None,
        (TokenFact::Token(token), found) => {
            (*found != EnvFileFact::Token(*token) && !is_older_than_local(facts, *token)).then_some(*token)
        }
        _ => None,
    }
}

/// Returns true if the local store has a setup token that is active, was not refused, and that this
/// machine saw later than `token`: Vault became the store again after it was set.
fn is_older_than_local(facts: &Facts, token: Fingerprint) -> bool {
    let Some(local) = facts.local_token.filter(|local| facts.active_token() == Some(*local)) else {
        return false;
    };
    let seen = &facts.ledger.setup_tokens;
    let is_refused = seen.is_valid(local) == Some(false) || seen.is_account_refused(local);
    let times = seen.first_seen(token).zip(seen.first_seen(local));
    !is_refused && times.is_some_and(|(of_store, of_local)| of_store < of_local)
}

fn is_held(facts: &Facts, token: Fingerprint) -> bool {
    facts.ledger.setup_tokens.was_in_store(token, facts.settings.store_id)
}

fn lacks_token(facts: &Facts) -> bool {
    let lacks = |fact: &TokenFact| matches!(fact, TokenFact::Withdrawn | TokenFact::Absent);
    facts.document().is_some_and(|document| lacks(&document.setup_token))
}

/// Returns true if the store has no setup token and held the active one before.
fn is_withdrawn(facts: &Facts) -> bool {
    lacks_token(facts) && facts.active_token().is_some_and(|token| is_held(facts, token))
}

/// Returns true if the active setup token was not rejected, is not in the store and was never seen
/// there.
pub(super) fn is_missing_in_store(facts: &Facts) -> bool {
    let Some(active) = facts.active_token() else { return false };
    let is_older = match facts.document().map(|document| &document.setup_token) {
        Some(TokenFact::Token(token)) => is_older_than_local(facts, *token),
        _ => false,
    };
    let is_rejected = facts.ledger.setup_tokens.is_valid(active) == Some(false);
    is_older || (lacks_token(facts) && !is_held(facts, active) && !is_rejected)
}

/// Decides whether `token` of the store may be activated. An earlier successful verification does
/// not count: the token may have been revoked since it was replaced.
pub(super) fn activation(facts: &Facts, token: Fingerprint) -> Activation {
    let seen = &facts.ledger.setup_tokens;
    match facts.verdict(VerificationTarget::SetupToken(token)) {
        Some(verdict) if verdict.is_alive() => return Activation::Allowed,
        Some(Verification::Rejected { account_level: false }) => return Activation::Rejected,
        Some(Verification::Rejected { account_level: true }) => return Activation::AccountRefused,
        Some(Verification::ClientUnusable(_)) => return Activation::Allowed,
        Some(Verification::Inconclusive(why)) if has_working_credential(facts) => {
            return Activation::Postponed(why.clone());
        }
        Some(_) => return Activation::Allowed,
        None if seen.is_valid(token) == Some(false) => return Activation::Rejected,
        None => (),
    }
    let is_verified_here = super::verifies(facts) && facts.done.probes < MAX_PROBES;
    let has_other = has_working_credential(facts) || seen.is_account_refused(token);
    match is_verified_here || (facts.settings.verifies_in_sync && has_other) {
        true => Activation::Pending,
        false => Activation::Allowed,
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
        LoginFileState::NotRefreshable(login) => {
            let is_valid = |token: UnrefreshedToken| facts.ledger.setup_tokens.is_valid(token.fingerprint);
            login.token.and_then(is_valid) != Some(false)
        }
        _ => false,
    };
    has_token || has_login
}

#[cfg(test)]
#[path = "setup_token_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "setup_token_cases.rs"]
mod cases;
