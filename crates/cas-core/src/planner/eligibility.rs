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
    /// The credential file is a link, and led to another file when a login was last seen there.
    LinkRepointed,
    /// Another machine lives by it.
    AnotherMachine,
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
            Self::LinkRepointed => "another file",
            Self::AnotherMachine => "another machine",
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
            Self::LinkRepointed => {
                "the credential file is a link that leads to another file than before, which may be another account's; sign in there, or point it back"
            }
            Self::AnotherAccount => "it is of another account than the login used here last",
            Self::AnotherMachine => {
                "another machine lives by it, and each refresh there spends the token here (restore_from_other_machines allows it)"
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
        (facts.ledger.is_repointed(facts.place), Ineligible::LinkRepointed),
        (source == BackupLocation::Store && !store_backup_allowed(facts), Ineligible::AnotherMachine),
        (order_is_unknown(facts, login), Ineligible::OrderUnknown),
        (
            !facts.ledger.may_restore(login, facts.now),
            if is_fresh { Ineligible::RestoreLimitReached } else { Ineligible::AlreadyRestoredOnce },
        ),
    ];
    rows.into_iter().find(|(applies, _)| *applies).map(|(_, obstacle)| obstacle)
}

/// Where two machines use one login, each refresh on one logs the other out: another machine's backup is restored only where the
/// configuration, or the user's command, says so. That holds for a machine without a login of its own as well.
pub(super) fn store_backup_allowed(facts: &Facts) -> bool {
    facts.settings.uses_other_machines()
        || facts.document().is_some_and(|document| !document.from_another_machine)
}

pub(super) fn is_plausible(facts: &Facts, login: &LoginSummary) -> bool {
    login_file::is_plausible(login.expires_at, facts.now)
}

/// A copy that ends before another one known here was replaced by it, even if nobody saw the moment.
pub(super) fn is_superseded_by_expiry(facts: &Facts, login: &LoginSummary) -> bool {
    known_here(facts).any(|other| ends_later(other, login))
}

/// A copy that ends after a login which came later by the ledger's count and earlier by the clock: the clock was set back in
/// between, and which of the two was exchanged for the other, nobody can say by their ends. (Without that, whatever
/// ends earlier is an old copy that somebody put back.)
pub(super) fn order_is_unknown(facts: &Facts, login: &LoginSummary) -> bool {
    let Some(copy) = facts.ledger.generations.get(&login.generation) else { return false };
    let was_written_later = |other: &GenerationRecord| {
        other.number > copy.number
            && other.first_seen < copy.first_seen
            && other.origin == Origin::File
            && other.was_fresh
            && other.state != GenerationState::Rejected
            && other.expires_at <= copy.expires_at
            && !other.owner.contradicts(&login.owner)
    };
    facts.ledger.generations.values().any(was_written_later)
}

pub(super) fn ends_later(other: &LoginSummary, login: &LoginSummary) -> bool {
    other.expires_at > login.expires_at && !other.owner.contradicts(&login.owner)
}

/// The logins of this machine: in its history, and what it backed up.
pub(super) fn known_here(facts: &Facts) -> impl Iterator<Item = &LoginSummary> {
    let document = facts.document().filter(|document| !document.from_another_machine);
    let in_store = document.and_then(|document| document.backup.as_ref());
    facts.history.iter().chain(in_store).filter(|other| is_plausible(facts, other))
}

/// Returns true if this machine and its store have never had a login of this user.
pub(super) fn has_never_signed_in(facts: &Facts) -> bool {
    // What other machines keep there says nothing of this one.
    let in_store =
        facts.document().is_some_and(|document| document.backup.is_some()) && store_backup_allowed(facts);
    let answered = !matches!(facts.document, DocumentFact::Unreadable(_)) && !facts.is_offboarded();
    answered && !in_store && facts.history.is_empty() && facts.ledger.generations.is_empty()
}
