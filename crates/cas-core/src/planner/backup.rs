//! Whether, and where to, the login in the credential file is backed up.

use super::{Facts, VerificationTarget};
use crate::config::StoreKind;
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file;
use crate::ledger::{GenerationState, Origin};
use crate::outcome::BackupLocation;

/// The next place that lacks this login and may have it: the local history, which a login adds to as well, so that what
/// it saw once can be put back; then the server.
pub(super) fn next_location(facts: &Facts, login: &LoginSummary) -> Option<BackupLocation> {
    if !facts.settings.oauth_backup || !is_trusted(facts, login) {
        return None;
    }
    if facts.done.history_backup.is_none() && !in_history(facts, login) {
        return Some(BackupLocation::LocalHistory);
    }
    let has_server = facts.settings.mode.is_background() && facts.settings.store == StoreKind::Vault;
    (has_server && facts.done.store_backup.is_none() && store_lacks(facts, login))
        .then_some(BackupLocation::Store)
}

/// Why the server's copy was not replaced by this login, when that is worth telling.
pub(super) fn store_refusal(facts: &Facts, login: &LoginSummary) -> Option<String> {
    if !facts.settings.oauth_backup {
        return None; // none was to be made
    }
    if let Some(expected) = &facts.settings.expected_organization {
        match &login.owner.organization {
            Some(found) if found == expected => (),
            Some(found) => {
                return Some(format!(
                    "it belongs to the organisation {found}; sign in to the expected one, {expected}"
                ));
            }
            None => {
                return Some(format!(
                    "it does not name its organisation, which should be {expected}; sign in again"
                ));
            }
        }
    }
    if facts.settings.store == StoreKind::Local {
        return None; // it keeps them side by side
    }
    let kept = kept(facts)?;
    if kept.owner.contradicts(&login.owner) {
        let remedy = "sign in to that one, or remove it there";
        return Some(format!("the store holds another account's or organisation's login; {remedy}"));
    }
    if login.owner == Owner::default() && kept.owner != login.owner {
        let remedy = "sign in again, so that it does";
        return Some(format!("it does not say whose it is, as the login in the store does; {remedy}"));
    }
    if !login_file::is_dated(login.expires_at, facts.now) {
        return Some(
            "its expiresAt is not a time in milliseconds; Claude Code corrects it at its next refresh".into(),
        );
    }
    let is_older = kept.generation != login.generation && login.expires_at <= kept.expires_at;
    is_older.then(|| {
        let end = kept.expires_at;
        format!(
            "the store holds a later login, until {end}; somebody put an old one back, or the clock was wrong"
        )
    })
}

/// Why this login was not backed up although some place lacks it: for a person who asked for it.
pub(super) fn untrusted_reason(facts: &Facts, login: &LoginSummary) -> Option<String> {
    let lacks_it =
        !in_history(facts, login) || (facts.settings.store == StoreKind::Vault && store_lacks(facts, login));
    if is_trusted(facts, login) || !lacks_it {
        return None;
    }
    let is_probed = facts.verdict(VerificationTarget::Login(login.generation)).is_some();
    let why = match facts.ledger.fate(login.generation) {
        _ if is_probed => "it was not shown to work",
        Some(GenerationState::Rejected) => "the server rejected it",
        Some(GenerationState::Superseded) => "it is an old copy, whose refresh token was exchanged since",
        _ => "it was put back, and not shown to work since: `cas-sync backup --verify` finds out",
    };
    Some(why.into())
}

/// Where copies of logins lie although none is to be kept any more.
pub(super) fn remaining_backups(facts: &Facts) -> Vec<BackupLocation> {
    if facts.settings.oauth_backup {
        return Vec::new();
    }
    let in_history = (!facts.history.is_empty()).then_some(BackupLocation::LocalHistory);
    let is_in_store = facts.document().is_some_and(|document| document.backup.is_some());
    let has_server = facts.settings.store == StoreKind::Vault;
    in_history.into_iter().chain((has_server && is_in_store).then_some(BackupLocation::Store)).collect()
}

/// Whether the local history keeps this very login.
pub(super) fn in_history(facts: &Facts, login: &LoginSummary) -> bool {
    facts
        .history
        .iter()
        .any(|kept| kept.generation == login.generation && kept.expires_at >= login.expires_at)
}

/// Alive as a probe showed; or, where none was made, just written by Claude Code on this machine and replaced by nothing
/// since. A probe without a certain answer is no reason to write anything.
fn is_trusted(facts: &Facts, login: &LoginSummary) -> bool {
    match facts.verdict(VerificationTarget::Login(login.generation)) {
        Some(verdict) => verdict.is_alive(),
        None if facts.done.refresh_run.is_some() => false,
        None => {
            let entry = facts.ledger.generations.get(&login.generation);
            entry.is_some_and(|entry| entry.state == GenerationState::Current && entry.origin == Origin::File)
        }
    }
}

fn store_lacks(facts: &Facts, login: &LoginSummary) -> bool {
    let is_newer = kept(facts).is_none_or(|kept| login.expires_at > kept.expires_at);
    facts.document().is_some() && is_newer && store_refusal(facts, login).is_none()
}

/// The login the document holds, unless it claims an end that no real one has.
fn kept(facts: &Facts) -> Option<&LoginSummary> {
    let kept = facts.document()?.backup.as_ref()?;
    login_file::is_plausible(kept.expires_at, facts.now).then_some(kept)
}
