//! Selects the backup that may replace the login in the credential file.

use super::eligibility::{ends_later, ineligibility, is_plausible, known_here, store_backup_allowed};
use super::{BackupFilter, Facts};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::ledger::{GenerationState, Origin};
use crate::outcome::BackupLocation;

type Candidate<'a> = (&'a LoginSummary, BackupLocation);

/// Returns the best backup in the local history whose access token is valid.
pub(super) fn fresh_from_history(facts: &Facts) -> Option<Candidate<'_>> {
    best(facts, from_history(facts).filter(|(login, _)| login_file::is_fresh(login.expires_at, facts.now)))
}

/// Returns the best backup for a file in which Claude Code finds no login.
pub(super) fn for_unusable_login(facts: &Facts) -> Option<Candidate<'_>> {
    best(facts, from_history(facts).chain(from_store(facts)))
}

/// Returns the best backup for a rejected login: another generation that expires later.
pub(super) fn for_rejected_login<'a>(facts: &'a Facts, rejected: &LoginSummary) -> Option<Candidate<'a>> {
    best(facts, from_history(facts).chain(from_store(facts)).filter(|(login, _)| is_later(login, rejected)))
}

/// As [`for_unusable_login`], restricted to the backups that the user selected.
pub(super) fn selected(facts: &Facts, filter: BackupFilter) -> Option<Candidate<'_>> {
    best(facts, matching(facts, filter))
}

/// As [`for_rejected_login`], restricted to the backups that the user selected.
pub(super) fn selected_for_rejected_login<'a>(
    facts: &'a Facts,
    filter: BackupFilter,
    rejected: &LoginSummary,
) -> Option<Candidate<'a>> {
    best(facts, matching(facts, filter).filter(|(login, _)| is_later(login, rejected)))
}

/// Returns true if the store has a backup that is excluded only because another machine wrote it.
pub(super) fn is_from_another_machine(facts: &Facts) -> bool {
    facts.document().is_some_and(|document| document.backup.is_some() && document.from_another_machine)
        && from_store(facts).next().is_none()
}

/// Returns true if there are backups and all of them belong to another account.
pub(super) fn all_belong_to_other_account(facts: &Facts) -> bool {
    let mut backups = from_history(facts).chain(from_store(facts)).peekable();
    backups.peek().is_some() && backups.all(|(login, _)| facts.ledger.belongs_to_other_account(login))
}

/// Returns true if the ledger knows that this login's refresh token was exchanged for a later one.
pub(super) fn is_superseded(facts: &Facts, login: &LoginSummary) -> bool {
    facts.ledger.generation_state(login.generation) == Some(GenerationState::Superseded)
}

/// Returns true if the login is or may be superseded: another known login expires later.
pub(super) fn may_be_superseded(facts: &Facts, login: &LoginSummary) -> bool {
    let from_elsewhere = facts.settings.uses_other_machines()
        || facts.ledger.generations.get(&login.generation).is_some_and(|entry| entry.origin == Origin::Store);
    let elsewhere = facts.document().filter(|_| from_elsewhere).and_then(|document| document.backup.as_ref());
    let elsewhere = elsewhere.filter(|other| is_plausible(facts, other));
    is_superseded(facts, login) || known_here(facts).chain(elsewhere).any(|other| ends_later(other, login))
}

/// Returns true if a backup is excluded only because it was restored too often within the hour.
pub(super) fn restore_limit_reached(facts: &Facts) -> bool {
    let is_limited = |login: &LoginSummary| {
        login_file::is_fresh(login.expires_at, facts.now)
            && !facts.ledger.may_restore(login, facts.now)
            && facts.ledger.generation_state(login.generation).is_some_and(|state| {
                !matches!(state, GenerationState::Superseded | GenerationState::Rejected)
            })
    };
    from_history(facts).chain(from_store(facts)).any(|(login, _)| is_limited(login))
}

fn is_later(login: &LoginSummary, rejected: &LoginSummary) -> bool {
    login.generation != rejected.generation && login.expires_at > rejected.expires_at
}

fn matching(facts: &Facts, filter: BackupFilter) -> impl Iterator<Item = Candidate<'_>> {
    let all = from_history(facts).chain(from_store(facts));
    all.filter(move |(login, source)| filter.matches(login.generation, *source))
}

fn from_history(facts: &Facts) -> impl Iterator<Item = Candidate<'_>> {
    facts
        .history
        .iter()
        .filter(|login| is_plausible(facts, login))
        .map(|login| (login, BackupLocation::LocalHistory))
}

/// Returns the backup of the store, unless it is of another machine.
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
    let is_allowed = |(login, source): &Candidate<'_>| ineligibility(facts, login, *source).is_none();
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
            refreshing: false,
            ledger,
            history,
            document: DocumentFact::NotRead,
            env_file: EnvFileFact::Absent,
            contact: StoreContact::default(),
            place: crate::credential::login_file::LoginPlace::File,
            asked_lately: false,
            settings: Settings {
                login_refresh_after: Duration::ZERO,
                ..Settings::from_config(&Config::default(), Mode::Login)
            },
            done: Progress::default(),
        }
    }

    #[test]
    fn login_restores_a_valid_local_backup_before_the_store() {
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
    fn backup_that_expires_before_the_newest_is_superseded() {
        let (old, new) = (login("old", 8_000_000), login("new", 9_000_000));
        let found = facts(vec![old.clone(), new.clone()], Ledger::default());
        assert_eq!(for_unusable_login(&found).map(|(login, _)| login), Some(&new));

        // The newest was rejected, and the ledger has not seen the one before it.
        let mut ledger = Ledger::default();
        ledger.begin_restore(&new, None, Timestamp::from_millis(0));
        ledger.record_verification(new.generation, &Verification::Rejected { account_level: false });
        assert_eq!(for_unusable_login(&facts(vec![old, new], ledger)), None);
    }
}
