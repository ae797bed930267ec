//! The copies of logins that are kept, and what keeps each of them from being put back.

use std::fmt;

use super::Facts;
use super::candidate::{has_later, is_in_doubt, is_plausible, may_come_from_the_store};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::ledger::Fate;
use crate::outcome::Source;

/// A copy of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Which login.
    pub login: LoginSummary,
    /// Where it is kept.
    pub source: Source,
    /// Why it may not be put back; nothing where it may.
    pub obstacle: Option<Obstacle>,
}

/// Why a copy may not be put back. None of these can be overruled: each would spend a token, or somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No copies are kept or put back on this machine.
    SwitchedOff,
    /// It claims an end that no real one has.
    Implausible,
    /// The server refused it.
    Rejected,
    /// A later one replaced it.
    Superseded,
    /// It lies in the credential file already.
    LiesThere,
    /// It is of another organisation than the expected one.
    AnotherOrganization,
    /// It is of another account than the login that lay there last.
    AnotherAccount,
    /// The credential file is a link, and led to another file when a login was last seen there.
    LinkRepointed,
    /// Another machine lives by it.
    AnotherMachine,
    /// The clock was set back: whether a later one replaced it, nobody can say.
    InDoubt,
    /// Its access token has ended, and it was put back before.
    PutBackOnce,
    /// It was put back too often within the hour.
    PutBackTooOften,
}

impl Obstacle {
    /// In one or two words, the same for ever: what became of the copy.
    pub fn word(self) -> &'static str {
        match self {
            Self::SwitchedOff => "switched off",
            Self::Implausible => "implausible",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::LiesThere => "in use",
            Self::AnotherOrganization => "another organisation",
            Self::AnotherAccount => "another account",
            Self::LinkRepointed => "another file",
            Self::AnotherMachine => "another machine",
            Self::InDoubt => "in doubt",
            Self::PutBackOnce => "used up",
            Self::PutBackTooOften => "put back too often",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SwitchedOff => "no copies are put back on this machine (oauth_backup = false)",
            Self::Implausible => "it claims to last longer than any real login",
            Self::Rejected => "the server rejected it",
            Self::Superseded => {
                "its refresh token was exchanged for a later one, and presenting a spent one can end every copy of the login"
            }
            Self::LiesThere => "it lies in the login file already",
            Self::AnotherOrganization => "it is not of the organisation in expected_organization",
            Self::LinkRepointed => {
                "the credential file is a link that leads to another file than before, which may be another account's; sign in there, or point it back"
            }
            Self::AnotherAccount => "it is of another account than the login used here last",
            Self::AnotherMachine => {
                "another machine lives by it, and each refresh there spends the token here (restore_from_other_machines allows it)"
            }
            Self::InDoubt => "the clock was set back, and nobody can say whether a later one replaced it",
            Self::PutBackOnce => {
                "its access token has ended and it was put back once already, so its refresh token may be spent"
            }
            Self::PutBackTooOften => {
                "it was put back several times within the hour; find what keeps overwriting it"
            }
        })
    }
}

/// All copies: of the local history, newest first, then of the store, if it was read.
pub fn copies(facts: &Facts) -> Vec<Copy> {
    let in_history = facts.history.iter().map(|login| (login, Source::History));
    let in_store = facts.document().and_then(|document| document.backup.as_ref());
    let all = in_history.chain(in_store.map(|login| (login, Source::Store)));
    all.map(|(login, source)| Copy { login: login.clone(), source, obstacle: obstacle(facts, login, source) })
        .collect()
}

/// What keeps a copy from being put back, the gravest first.
pub(super) fn obstacle(facts: &Facts, login: &LoginSummary, source: Source) -> Option<Obstacle> {
    let fate = facts.ledger.fate(login.generation);
    let expected = facts.settings.expected_organization.as_deref();
    let is_fresh = login_file::is_fresh(login.expires_at, facts.now);
    let rows = [
        (!facts.settings.oauth_backup, Obstacle::SwitchedOff),
        (!is_plausible(facts, login), Obstacle::Implausible),
        (fate == Some(Fate::Rejected), Obstacle::Rejected),
        (fate == Some(Fate::Superseded) || has_later(facts, login), Obstacle::Superseded),
        (facts.login.login().is_some_and(|found| found.generation == login.generation), Obstacle::LiesThere),
        (
            expected.is_some_and(|expected| login.owner.organization.as_deref() != Some(expected)),
            Obstacle::AnotherOrganization,
        ),
        (facts.ledger.is_somebody_elses(login), Obstacle::AnotherAccount),
        (facts.ledger.is_repointed(facts.place), Obstacle::LinkRepointed),
        (source == Source::Store && !may_come_from_the_store(facts), Obstacle::AnotherMachine),
        (is_in_doubt(facts, login), Obstacle::InDoubt),
        (
            !facts.ledger.may_restore(login, facts.now),
            if is_fresh { Obstacle::PutBackTooOften } else { Obstacle::PutBackOnce },
        ),
    ];
    rows.into_iter().find(|(applies, _)| *applies).map(|(_, obstacle)| obstacle)
}
