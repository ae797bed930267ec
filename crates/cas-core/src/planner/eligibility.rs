//! The list of backups, and why a backup may not be restored.

use std::fmt;

use super::{DocumentFact, Facts};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::ledger::{GenerationRecord, GenerationState, Origin};
use crate::outcome::BackupLocation;

/// A backup of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The login.
    pub login: LoginSummary,
    /// Where it is stored.
    pub source: BackupLocation,
    /// Why it may not be restored. `None` if it may.
    pub ineligible: Option<Ineligible>,
}

/// Why a backup may not be restored. No option overrides these rules, because a restore against
/// them could consume a refresh token or use another account's login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// Backups are disabled on this machine.
    BackupsDisabled,
    /// Its expiry is implausible.
    Implausible,
    /// The Anthropic API rejected it.
    Rejected,
    /// A later login superseded it.
    Superseded,
    /// It is in the credential file already.
    AlreadyInFile,
    /// It belongs to another organization than the expected one.
    AnotherOrganization,
    /// It belongs to another account than the login that was last in the file.
    AnotherAccount,
    /// The credential file is a symlink whose target has changed since a login was last seen there.
    LinkRepointed,
    /// Another machine uses it.
    AnotherMachine,
    /// The clock was set back, so the order of the logins is unknown.
    OrderUnknown,
    /// The credential file holds a newer login, which no client uses.
    OlderThanFile,
    /// Its access token has expired, and it was restored before.
    AlreadyRestoredOnce,
    /// It was restored too often within the hour.
    RestoreLimitReached,
}

impl Ineligible {
    /// Returns the code for programs and for `restore --list`. A code never changes its meaning.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupsDisabled => "disabled",
            Self::Implausible => "implausible",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::AlreadyInFile => "in use",
            Self::AnotherOrganization => "another organization",
            Self::AnotherAccount => "another account",
            Self::LinkRepointed => "another file",
            Self::AnotherMachine => "another machine",
            Self::OlderThanFile => "older than file",
            Self::OrderUnknown => "order unknown",
            Self::AlreadyRestoredOnce => "restored once",
            Self::RestoreLimitReached => "restored too often",
        }
    }
}

impl fmt::Display for Ineligible {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BackupsDisabled => "backups are disabled on this machine (oauth_backup = false)",
            Self::Implausible => "its expiry is later than that of any real login",
            Self::Rejected => "the Anthropic API rejected it",
            Self::Superseded => {
                "its refresh token was already used, and reusing a consumed refresh token can revoke the login"
            }
            Self::AlreadyInFile => "it is in the login file already",
            Self::AnotherOrganization => "it does not belong to the organization in expected_organization",
            Self::LinkRepointed => {
                "the credential file is a symlink whose target has changed, and the new target may belong to another account; sign in there, or restore the symlink"
            }
            Self::AnotherAccount => "it belongs to another account than the login that was used last",
            Self::AnotherMachine => {
                "another machine uses it, and each refresh there consumes its refresh token (restore_from_other_machines permits it)"
            }
            Self::OlderThanFile => {
                "the damaged login in the credential file may be newer, and reusing a consumed refresh token can revoke the login; sign in with `cas-sync login`"
            }
            Self::OrderUnknown => "the clock was set back or an expiry is not a time, so it is unknown whether a later login superseded it",
            Self::AlreadyRestoredOnce => {
                "its access token has expired and it was restored once already, so its refresh token may be consumed"
            }
            Self::RestoreLimitReached => {
                "it was restored several times within the hour; find the process that keeps overwriting it"
            }
        })
    }
}

/// Returns all backups: those of the local history, newest first, then that of the store, if it was
/// read.
pub fn backups(facts: &Facts) -> Vec<Backup> {
    let in_history = facts.history.iter().map(|login| (login, BackupLocation::LocalHistory));
    let in_store = facts.document().and_then(|document| document.backup.as_ref());
    let all = in_history.chain(in_store.map(|login| (login, BackupLocation::Store)));
    all.map(|(login, source)| Backup {
        login: login.clone(),
        source,
        ineligible: ineligibility(facts, login, source),
    })
    .collect()
}

/// Returns why a backup may not be restored. The most severe reason takes precedence.
pub(super) fn ineligibility(
    facts: &Facts,
    login: &LoginSummary,
    source: BackupLocation,
) -> Option<Ineligible> {
    let state = facts.ledger.generation_state(login.generation);
    let expected = facts.settings.expected_organization.as_deref();
    let is_fresh = login_file::is_fresh(login.expires_at, facts.now);
    let rows = [
        (!facts.settings.oauth_backup, Ineligible::BackupsDisabled),
        (!is_plausible(facts, login), Ineligible::Implausible),
        (state == Some(GenerationState::Rejected), Ineligible::Rejected),
        (
            state == Some(GenerationState::Superseded) || is_superseded_by_expiry(facts, login),
            Ineligible::Superseded,
        ),
        (
            facts.login.login().is_some_and(|found| found.generation == login.generation),
            Ineligible::AlreadyInFile,
        ),
        (
            expected.is_some_and(|expected| login.owner.organization.as_deref() != Some(expected)),
            Ineligible::AnotherOrganization,
        ),
        (facts.ledger.belongs_to_other_account(login), Ineligible::AnotherAccount),
        (facts.ledger.is_repointed(facts.place), Ineligible::LinkRepointed),
        (source == BackupLocation::Store && !store_backup_allowed(facts), Ineligible::AnotherMachine),
        (is_older_than_file(facts, login), Ineligible::OlderThanFile),
        (order_is_unknown(facts, login), Ineligible::OrderUnknown),
        (
            !facts.ledger.may_restore(login, facts.now),
            if is_fresh { Ineligible::RestoreLimitReached } else { Ineligible::AlreadyRestoredOnce },
        ),
    ];
    rows.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
}

/// Returns true if the store's backup may be restored. If two machines use one login, each refresh
/// on one logs the other out. So another machine's backup is restored only if the configuration or
/// the user's command permits it, also on a machine without a login.
pub(super) fn store_backup_allowed(facts: &Facts) -> bool {
    facts.settings.uses_other_machines()
        || facts.document().is_some_and(|document| !document.from_another_machine)
}

pub(super) fn is_plausible(facts: &Facts, login: &LoginSummary) -> bool {
    login_file::is_plausible(login.expires_at, facts.now)
}

/// Returns true if another login of this machine expires later and has thereby superseded this one,
/// even if the exchange was not observed.
pub(super) fn is_superseded_by_expiry(facts: &Facts, login: &LoginSummary) -> bool {
    known_here(facts).any(|other| ends_later(facts, other, login))
}

/// Returns true if what is left of the login in an unusable file may be newer than this backup.
///
/// A refresh token that the ledger does not know, and whose expiry the file does not tell, counts
/// as the newer one: a used refresh token logs the user out.
fn is_older_than_file(facts: &Facts, login: &LoginSummary) -> bool {
    let Some(remnant) = &facts.remnant else { return false };
    if remnant.generation == login.generation || remnant.owner.contradicts(&login.owner) {
        return false;
    }
    let known = facts.ledger.generations.get(&remnant.generation);
    match known.map(|record| record.state) {
        Some(GenerationState::Superseded | GenerationState::Rejected) => false,
        _ => {
            let expires_at = known.map(|record| record.expires_at).or(remnant.expires_at);
            let dated = expires_at.filter(|end| login_file::is_dated(*end, facts.now));
            dated.is_none_or(|end| end >= login.expires_at)
        }
    }
}

/// Returns true if the order of this login and a later one, by the ledger's count, is unknown: the
/// clock was set back between the two, or one of the two expiries is not a time. (Otherwise a login
/// that expires earlier is an old copy.)
pub(super) fn order_is_unknown(facts: &Facts, login: &LoginSummary) -> bool {
    let is_dated = |record: &GenerationRecord| login_file::is_dated(record.expires_at, facts.now);
    let is_undated_newest =
        |other: &GenerationRecord| !is_dated(other) && other.state != GenerationState::Superseded;
    let is_later = |other: &GenerationRecord| match facts.ledger.generations.get(&login.generation) {
        Some(record) => {
            let clock_was_set_back = other.first_seen < record.first_seen
                && other.was_fresh
                && other.expires_at <= record.expires_at;
            let has_no_order = !is_dated(record) || is_undated_newest(other);
            other.number > record.number && (clock_was_set_back || has_no_order)
        }
        None => is_undated_newest(other),
    };
    let is_of_account = |other: &GenerationRecord| {
        other.origin == Origin::File
            && other.state != GenerationState::Rejected
            && !other.owner.contradicts(&login.owner)
    };
    facts.ledger.generations.values().any(|other| is_of_account(other) && is_later(other))
}

/// Returns true if the expiry of `other` shows that it is the newer login of one account.
pub(super) fn ends_later(facts: &Facts, other: &LoginSummary, login: &LoginSummary) -> bool {
    let has_order = login_file::is_dated(login.expires_at, facts.now);
    has_order && other.expires_at > login.expires_at && !other.owner.contradicts(&login.owner)
}

/// Returns the logins of this machine: those in its history and the one it backed up to the store.
pub(super) fn known_here(facts: &Facts) -> impl Iterator<Item = &LoginSummary> {
    let document = facts.document().filter(|document| !document.from_another_machine);
    let in_store = document.and_then(|document| document.backup.as_ref());
    facts.history.iter().chain(in_store).filter(|other| is_plausible(facts, other))
}

/// Returns true if this machine and its store have never had a login of this user.
pub(super) fn has_never_signed_in(facts: &Facts) -> bool {
    // Backups of other machines do not count.
    let in_store =
        facts.document().is_some_and(|document| document.backup.is_some()) && store_backup_allowed(facts);
    let answered = !matches!(facts.document, DocumentFact::Unreadable(_)) && !facts.is_offboarded();
    answered && !in_store && facts.history.is_empty() && facts.ledger.generations.is_empty()
}
