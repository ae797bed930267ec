//! The copies of logins that are kept, and what keeps each of them from being put back.

use std::fmt;

use super::{DocumentFact, Facts};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::ledger::{GenerationRecord, GenerationState, Origin};
use crate::outcome::BackupLocation;

/// A copy of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Which login.
    pub login: LoginSummary,
    /// Where it is kept.
    pub source: BackupLocation,
    /// Why it may not be put back; nothing where it may.
    pub obstacle: Option<Ineligible>,
}

/// Why a copy may not be put back. None of these can be overruled: each would spend a token, or somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// No copies are kept or put back on this machine.
    BackupsDisabled,
    /// It claims an end that no real one has.
    Implausible,
    /// The server refused it.
    Rejected,
    /// A later one replaced it.
    Superseded,
    /// It lies in the credential file already.
    AlreadyInFile,
    /// It is of another organisation than the expected one.
    AnotherOrganization,
    /// It is of another account than the login that lay there last.
    AnotherAccount,
    /// Another machine lives by it.
    AnotherMachine,
    /// The credential file holds a newer login, which no client uses.
    OlderThanFile,
    /// The clock was set back: whether a later one replaced it, nobody can say.
    OrderUnknown,
    /// Its access token has ended, and it was put back before.
    AlreadyRestoredOnce,
    /// It was put back too often within the hour.
    RestoreLimitReached,
}

impl Ineligible {
    /// In one or two words, the same for ever: what became of the copy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupsDisabled => "switched off",
            Self::Implausible => "implausible",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::AlreadyInFile => "in use",
            Self::AnotherOrganization => "another organisation",
            Self::AnotherAccount => "another account",
            Self::AnotherMachine => "another machine",
            Self::OlderThanFile => "older than file",
            Self::OrderUnknown => "in doubt",
            Self::AlreadyRestoredOnce => "used up",
            Self::RestoreLimitReached => "put back too often",
        }
    }
}

impl fmt::Display for Ineligible {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BackupsDisabled => "no copies are put back on this machine (oauth_backup = false)",
            Self::Implausible => "it claims to last longer than any real login",
            Self::Rejected => "the server rejected it",
            Self::Superseded => {
                "its refresh token was exchanged for a later one, and presenting a spent one can end every copy of the login"
            }
            Self::AlreadyInFile => "it lies in the login file already",
            Self::AnotherOrganization => "it is not of the organisation in expected_organization",
            Self::AnotherAccount => "it is of another account than the login used here last",
            Self::AnotherMachine => {
                "another machine lives by it, and each refresh there spends the token here (restore_from_other_machines allows it)"
            }
            Self::OlderThanFile => {
                "the damaged login in the credential file may be newer, and reusing a consumed refresh token can revoke the login; sign in with `cas-sync login`"
            }
            Self::OrderUnknown => "the clock was set back, and nobody can say whether a later one replaced it",
            Self::AlreadyRestoredOnce => {
                "its access token has ended and it was put back once already, so its refresh token may be spent"
            }
            Self::RestoreLimitReached => {
                "it was put back several times within the hour; find what keeps overwriting it"
            }
        })
    }
}

/// All copies: of the local history, newest first, then of the store, if it was read.
pub fn copies(facts: &Facts) -> Vec<Backup> {
    let in_history = facts.history.iter().map(|login| (login, BackupLocation::LocalHistory));
    let in_store = facts.document().and_then(|document| document.backup.as_ref());
    let all = in_history.chain(in_store.map(|login| (login, BackupLocation::Store)));
    all.map(|(login, source)| Backup {
        login: login.clone(),
        source,
        obstacle: obstacle(facts, login, source),
    })
    .collect()
}

/// What keeps a copy from being put back, the gravest first.
pub(super) fn obstacle(facts: &Facts, login: &LoginSummary, source: BackupLocation) -> Option<Ineligible> {
    let fate = facts.ledger.fate(login.generation);
    let expected = facts.settings.expected_organization.as_deref();
    let is_fresh = login_file::is_fresh(login.expires_at, facts.now);
    let rows = [
        (!facts.settings.oauth_backup, Ineligible::BackupsDisabled),
        (!is_plausible(facts, login), Ineligible::Implausible),
        (fate == Some(GenerationState::Rejected), Ineligible::Rejected),
        (
            fate == Some(GenerationState::Superseded) || is_superseded_by_expiry(facts, login),
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
        (source == BackupLocation::Store && !store_backup_allowed(facts), Ineligible::AnotherMachine),
        (is_older_than_file(facts, login), Ineligible::OlderThanFile),
        (order_is_unknown(facts, login), Ineligible::OrderUnknown),
        (
            !facts.ledger.may_restore(login, facts.now),
            if is_fresh { Ineligible::RestoreLimitReached } else { Ineligible::AlreadyRestoredOnce },
        ),
    ];
    rows.into_iter().find(|(applies, _)| *applies).map(|(_, obstacle)| obstacle)
}

/// Where two machines live by one login each refresh there spends the token here; a machine that never had its own may begin
/// with another's.
pub(super) fn store_backup_allowed(facts: &Facts) -> bool {
    let may_use_others = facts.settings.restore_from_other_machines || !facts.ledger.has_local_login();
    may_use_others || facts.document().is_some_and(|document| !document.from_another_machine)
}

pub(super) fn is_plausible(facts: &Facts, login: &LoginSummary) -> bool {
    login_file::is_plausible(login.expires_at, facts.now)
}

/// A copy that ends before another one known here was replaced by it, even if nobody saw the moment.
pub(super) fn is_superseded_by_expiry(facts: &Facts, login: &LoginSummary) -> bool {
    known_here(facts).any(|other| ends_later(facts, other, login))
}

/// Returns true if what is left of the login in an unusable file may have been written after this backup.
///
/// A refresh token that the ledger does not know, and whose expiry the file does not tell, counts as the newer one: a used
/// refresh token logs the user out.
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
            expires_at
                .filter(|end| login_file::is_dated(*end, facts.now))
                .is_none_or(|end| end >= login.expires_at)
        }
    }
}

/// Returns true if a login that the ledger counts as later may have been exchanged for this one or the other way round, and
/// their expiries do not tell which: the clock was set back in between, or one of the two expiries is not a time.
pub(super) fn order_is_unknown(facts: &Facts, login: &LoginSummary) -> bool {
    let is_dated = |record: &GenerationRecord| login_file::is_dated(record.expires_at, facts.now);
    let is_undated_newest =
        |other: &GenerationRecord| !is_dated(other) && other.state != GenerationState::Superseded;
    let is_later = |other: &GenerationRecord| match facts.ledger.generations.get(&login.generation) {
        Some(copy) => {
            let clock_was_set_back =
                other.first_seen < copy.first_seen && other.was_fresh && other.expires_at <= copy.expires_at;
            let has_no_order = !is_dated(copy) || is_undated_newest(other);
            other.number > copy.number && (clock_was_set_back || has_no_order)
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

/// The logins of this machine: in its history, and what it backed up.
pub(super) fn known_here(facts: &Facts) -> impl Iterator<Item = &LoginSummary> {
    let document = facts.document().filter(|document| !document.from_another_machine);
    let in_store = document.and_then(|document| document.backup.as_ref());
    facts.history.iter().chain(in_store).filter(|other| is_plausible(facts, other))
}

pub(super) fn has_never_signed_in(facts: &Facts) -> bool {
    let in_store = facts.document().is_some_and(|document| document.backup.is_some());
    let answered = !matches!(facts.document, DocumentFact::Unreadable(_));
    answered && !in_store && facts.history.is_empty() && facts.ledger.generations.is_empty()
}
