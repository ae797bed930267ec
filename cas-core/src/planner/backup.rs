//! Whether, and where to, the login in the credential file is backed up.

use super::{Facts, Mode, StoreKind, Subject};
use crate::ledger::{Fate, Origin};
use crate::oauth_login::LoginSummary;
use crate::outcome::Source;

/// The next place that lacks this login and may have it: the local history, then the store.
pub(super) fn next_place(facts: &Facts, login: &LoginSummary) -> Option<Source> {
    if facts.settings.mode == Mode::Login || !is_trusted(facts, login) {
        return None;
    }
    let has_own_history = facts.settings.store == StoreKind::Vault;
    if has_own_history && facts.done.history_backup.is_none() && !in_history(facts, login) {
        return Some(Source::History);
    }
    (facts.done.store_backup.is_none() && store_lacks(facts, login)).then_some(Source::Store)
}

/// Why the store's copy was not replaced by this login, when that is worth telling.
pub(super) fn refusal(facts: &Facts, login: &LoginSummary) -> Option<String> {
    let backup = facts.document()?.backup.as_ref();
    if let Some(expected) = &facts.settings.expected_organization {
        if login.organization.as_ref() != Some(expected) {
            return Some(format!(
                "it does not belong to the expected organisation {expected}; sign in to that one"
            ));
        }
    }
    if backup.is_some_and(|kept| is_foreign(kept, login)) {
        return Some("the store holds another account's or organisation's login; sign in to that one, or remove it there".into());
    }
    None
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
    match facts.verdict(Subject::Login(login.generation)).or(facts.done.refresh_run.as_ref()) {
        Some(verdict) => verdict.is_alive(),
        None => {
            let entry = facts.ledger.generations.get(&login.generation);
            entry.is_some_and(|entry| entry.fate == Fate::Current && entry.origin == Origin::File)
        }
    }
}

fn store_lacks(facts: &Facts, login: &LoginSummary) -> bool {
    let Some(document) = facts.document() else { return false };
    let is_newer = document.backup.as_ref().is_none_or(|kept| login.expires_at > kept.expires_at);
    is_newer && refusal(facts, login).is_none()
}

/// Whether both say whose they are and disagree.
fn is_foreign(kept: &LoginSummary, login: &LoginSummary) -> bool {
    let differ =
        |left: &Option<String>, right: &Option<String>| left.is_some() && right.is_some() && left != right;
    differ(&kept.account, &login.account) || differ(&kept.organization, &login.organization)
}
