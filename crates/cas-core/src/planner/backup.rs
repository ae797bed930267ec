//! Decides whether the login in the credential file is backed up, and where.

use super::{Facts, VerificationTarget};
use crate::config::StoreKind;
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file;
use crate::ledger::{GenerationState, Origin};
use crate::outcome::BackupLocation;

/// Returns the next location that lacks this login and may receive it: the local history, which a
/// login writes too, then the server.
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

/// Returns why the server's backup is not replaced by this login, if that should be reported.
pub(super) fn store_refusal(facts: &Facts, login: &LoginSummary) -> Option<String> {
    if !facts.settings.oauth_backup {
        return None; // backups are disabled
    }
    if let Some(expected) = &facts.settings.expected_organization {
        match &login.owner.organization {
            Some(found) if found == expected => (),
            Some(found) => {
                return Some(format!(
                    "it belongs to the organization {found}; sign in to the expected one, {expected}"
                ));
            }
            None => {
                return Some(format!(
                    "it does not name its organization, which should be {expected}; sign in again"
                ));
            }
        }
    }
    if facts.settings.store == StoreKind::Local {
        return None; // the local history keeps several logins
    }
    let kept = kept(facts)?;
    if kept.owner.contradicts(&login.owner) {
        let remedy = "sign in to that account, or remove the login there";
        return Some(format!("the store has the login of another account or organization; {remedy}"));
    }
    if login.owner == Owner::default() && kept.owner != login.owner {
        let remedy = "sign in again, so that it does";
        return Some(format!("it does not name its account, as the login in the store does; {remedy}"));
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
            "the store has a later login, until {end}; an old one was written to the file again, or the clock was wrong"
        )
    })
}

/// Returns why this login was not backed up although a location lacks it, for a user who requested
/// the backup.
pub(super) fn untrusted_reason(facts: &Facts, login: &LoginSummary) -> Option<String> {
    let is_missing =
        !in_history(facts, login) || (facts.settings.store == StoreKind::Vault && store_lacks(facts, login));
    if is_trusted(facts, login) || !is_missing {
        return None;
    }
    let is_verified = facts.verdict(VerificationTarget::Login(login.generation)).is_some();
    let why = match facts.ledger.generation_state(login.generation) {
        _ if is_verified => "its verification did not succeed",
        Some(GenerationState::Rejected) => "the Anthropic API rejected it",
        Some(GenerationState::Superseded) => "it is outdated (its refresh token was already used)",
        _ => "it was restored and is not verified yet: run `cas-sync backup --verify`",
    };
    Some(why.into())
}

/// Returns where backups still exist although backups are disabled.
pub(super) fn remaining_backups(facts: &Facts) -> Vec<BackupLocation> {
    if facts.settings.oauth_backup {
        return Vec::new();
    }
    let in_history = (!facts.history.is_empty()).then_some(BackupLocation::LocalHistory);
    let is_in_store = facts.document().is_some_and(|document| document.backup.is_some());
    let has_server = facts.settings.store == StoreKind::Vault;
    in_history.into_iter().chain((has_server && is_in_store).then_some(BackupLocation::Store)).collect()
}

/// Returns true if the local history has this login, and not under another account.
pub(super) fn in_history(facts: &Facts, login: &LoginSummary) -> bool {
    facts.history.iter().any(|kept| {
        kept.generation == login.generation
            && kept.expires_at >= login.expires_at
            && !kept.owner.contradicts(&login.owner)
    })
}

/// Returns true if the login may be backed up: it was verified as valid, or it was not verified and
/// Claude Code wrote it on this machine and nothing has superseded it. An inconclusive verification
/// is no reason to write anything.
fn is_trusted(facts: &Facts, login: &LoginSummary) -> bool {
    match facts.verdict(VerificationTarget::Login(login.generation)) {
        Some(verdict) => verdict.is_alive(),
        None if facts.done.refresh_run.is_some() || facts.done.obstacle.is_some() => false,
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

/// Returns the login of the document, unless its expiry is implausible.
fn kept(facts: &Facts) -> Option<&LoginSummary> {
    let kept = facts.document()?.backup.as_ref()?;
    login_file::is_plausible(kept.expires_at, facts.now).then_some(kept)
}
