//! Which of the known good copies may take the place of what lies in the credential file.

use super::eligibility::{ends_later, is_plausible, known_here, obstacle, store_backup_allowed};
use super::{BackupFilter, Facts};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::ledger::{GenerationState, Origin};
use crate::outcome::BackupLocation;

type Candidate<'a> = (&'a LoginSummary, BackupLocation);

/// The best copy in the local history, if its access token can be used without a refresh.
pub(super) fn fresh_from_history(facts: &Facts) -> Option<Candidate<'_>> {
    best(facts, from_history(facts).filter(|(login, _)| login_file::is_fresh(login.expires_at, facts.now)))
}

/// The best copy for a file that Claude Code takes for no login.
pub(super) fn for_a_broken_login(facts: &Facts) -> Option<Candidate<'_>> {
    best(facts, from_history(facts).chain(from_store(facts)))
}

/// The best copy for a login the server rejected: a different one that ends later.
pub(super) fn for_a_rejected_login<'a>(facts: &'a Facts, rejected: &LoginSummary) -> Option<Candidate<'a>> {
    best(facts, from_history(facts).chain(from_store(facts)).filter(|(login, _)| is_later(login, rejected)))
}

/// As [`for_a_broken_login`], of those that a person wants.
pub(super) fn chosen(facts: &Facts, choice: BackupFilter) -> Option<Candidate<'_>> {
    best(facts, wanted(facts, choice))
}

/// As [`for_a_rejected_login`], of those that a person wants.
pub(super) fn chosen_for_a_rejected_login<'a>(
    facts: &'a Facts,
    choice: BackupFilter,
    rejected: &LoginSummary,
) -> Option<Candidate<'a>> {
    best(facts, wanted(facts, choice).filter(|(login, _)| is_later(login, rejected)))
}

/// Whether a copy is in the store that only its origin keeps from being put back.
pub(super) fn belongs_to_another_machine(facts: &Facts) -> bool {
    facts.document().is_some_and(|document| document.backup.is_some() && document.from_another_machine)
        && from_store(facts).next().is_none()
}

/// Whether only their owner keeps the copies from being put back.
pub(super) fn all_belong_to_other_account(facts: &Facts) -> bool {
    let mut copies = from_history(facts).chain(from_store(facts)).peekable();
    copies.peek().is_some() && copies.all(|(login, _)| facts.ledger.belongs_to_other_account(login))
}

/// Whether this login's refresh token was exchanged for a later one's: here, as the ledger knows.
pub(super) fn is_spent(facts: &Facts, login: &LoginSummary) -> bool {
    facts.ledger.fate(login.generation) == Some(GenerationState::Superseded)
}

/// Whether it may have been: a login is known that ends later.
pub(super) fn may_be_spent(facts: &Facts, login: &LoginSummary) -> bool {
    let from_elsewhere = facts.settings.restore_from_other_machines
        || facts.ledger.generations.get(&login.generation).is_some_and(|entry| entry.origin == Origin::Store);
    let elsewhere = facts.document().filter(|_| from_elsewhere).and_then(|document| document.backup.as_ref());
    let elsewhere = elsewhere.filter(|other| is_plausible(facts, other));
    is_spent(facts, login) || known_here(facts).chain(elsewhere).any(|other| ends_later(facts, other, login))
}

/// Whether the newest copy would be put back, had it not been put back so often within the hour.
pub(super) fn restore_limit_reached(facts: &Facts) -> bool {
    let held_back = |login: &LoginSummary| {
        login_file::is_fresh(login.expires_at, facts.now)
            && !facts.ledger.may_restore(login, facts.now)
            && facts
                .ledger
                .fate(login.generation)
                .is_some_and(|fate| !matches!(fate, GenerationState::Superseded | GenerationState::Rejected))
    };
    from_history(facts).chain(from_store(facts)).any(|(login, _)| held_back(login))
}

fn is_later(login: &LoginSummary, rejected: &LoginSummary) -> bool {
    login.generation != rejected.generation && login.expires_at > rejected.expires_at
}

fn wanted(facts: &Facts, choice: BackupFilter) -> impl Iterator<Item = Candidate<'_>> {
    let all = from_history(facts).chain(from_store(facts));
    all.filter(move |(login, source)| choice.matches(login.generation, *source))
}

fn from_history(facts: &Facts) -> impl Iterator<Item = Candidate<'_>> {
    facts
        .history
        .iter()
        .filter(|login| is_plausible(facts, login))
        .map(|login| (login, BackupLocation::LocalHistory))
}

/// The store's copy, unless another machine lives by it.
fn from_store(facts: &Facts) -> impl Iterator<Item = Candidate<'_>> {
    facts
        .document()
        .filter(|_| store_backup_allowed(facts))
        .and_then(|document| document.backup.as_ref())
        .filter(|login| is_plausible(facts, login))
        .map(|login| (login, BackupLocation::Store))
        .into_iter()
}

fn best<'a>(facts: &Facts, candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    let is_allowed = |(login, source): &Candidate<'_>| obstacle(facts, login, *source).is_none();
    candidates.filter(is_allowed).max_by_key(|(login, _)| login.expires_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{DocumentFact, EnvFileFact, Mode, Progress, Settings, Step, StoreContact, next};
    use super::*;
    use crate::config::Config;
    use crate::config::StoreKind;
    use crate::credential::fingerprint::RefreshTokenId;
    use crate::credential::login::Owner;
    use crate::credential::login_file::LoginFileState;
    use crate::credential::verification::Verification;
    use crate::ledger::Ledger;
    use crate::time::timestamp::Timestamp;

    fn login(name: &str, expires_at: u64) -> LoginSummary {
        LoginSummary {
            generation: RefreshTokenId::from_bytes(name),
            expires_at: Timestamp::from_millis(expires_at),
            login_expires_at: None,
            owner: Owner::default(),
        }
    }

    fn facts(history: Vec<LoginSummary>, ledger: Ledger) -> Facts {
        Facts {
            now: Timestamp::from_millis(0),
            login: LoginFileState::ClearedByClient,
            remnant: None,
            refreshing: false,
            ledger,
            history,
            document: DocumentFact::NotRead,
            env_file: EnvFileFact::Absent,
            contact: StoreContact::default(),
            asked_lately: false,
            settings: Settings {
                login_refresh_after: Duration::ZERO,
                ..Settings::from_config(&Config::default(), Mode::Login)
            },
            done: Progress::default(),
        }
    }

    #[test]
    fn at_a_login_a_fresh_copy_on_this_machine_comes_before_the_store() {
        let fresh = login("fresh", 9_000_000);
        for (mode, first) in [
            (Mode::Login, Step::Restore(fresh.generation, BackupLocation::LocalHistory)),
            (Mode::Sync, Step::ReadStore),
        ] {
            let mut found = facts(vec![fresh.clone()], Ledger::default());
            (found.settings.mode, found.settings.store) = (mode, StoreKind::Vault);
            assert_eq!(next(&found), first);
        }
    }

    #[test]
    fn a_copy_before_the_newest_is_spent_even_if_nobody_saw_it_replaced() {
        let (old, new) = (login("old", 8_000_000), login("new", 9_000_000));
        let found = facts(vec![old.clone(), new.clone()], Ledger::default());
        assert_eq!(for_a_broken_login(&found).map(|(login, _)| login), Some(&new));

        // The newest was rejected, and the ledger has never seen the one before it.
        let mut ledger = Ledger::default();
        ledger.begin_restore(&new, None, Timestamp::from_millis(0));
        ledger.record_verification(new.generation, &Verification::Rejected { account_level: false });
        assert_eq!(for_a_broken_login(&facts(vec![old, new], ledger)), None);
    }
}
