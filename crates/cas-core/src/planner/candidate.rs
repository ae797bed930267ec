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

/// Returns the successor of a superseded login in the credential file: a later login of the same
/// account.
///
/// The account of both must be known. Without it, the two may be logins of different accounts that
/// an account switcher exchanges.
pub(super) fn successor(facts: &Facts) -> Option<Candidate<'_>> {
    let superseded = superseded_login(facts)?;
    let all = from_history(facts).chain(from_store(facts));
    best(facts, all.filter(|(login, _)| succeeds(facts, login, superseded)))
}

/// As [`successor`], if it is on this machine and its access token is valid.
pub(super) fn fresh_successor_from_history(facts: &Facts) -> Option<Candidate<'_>> {
    let superseded = superseded_login(facts)?;
    let fresh = from_history(facts).filter(|(login, _)| login_file::is_fresh(login.expires_at, facts.now));
    best(facts, fresh.filter(|(login, _)| succeeds(facts, login, superseded)))
}

/// Returns the login in the credential file if the ledger knows a later one.
fn superseded_login(facts: &Facts) -> Option<&LoginSummary> {
    facts.login.login().filter(|login| is_superseded(facts, login))
}

fn succeeds(facts: &Facts, login: &LoginSummary, superseded: &LoginSummary) -> bool {
    let account = |login: &LoginSummary| {
        let record = facts.ledger.generations.get(&login.generation);
        login.owner.account.clone().or_else(|| record.and_then(|record| record.owner.account.clone()))
    };
    let account_of_old = account(superseded);
    is_later(login, superseded) && account_of_old.is_some() && account(login) == account_of_old
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
    is_superseded(facts, login)
        || known_here(facts).chain(elsewhere).any(|other| ends_later(facts, other, login))
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
    use crate::credential::login_file::{LoginFileState, LoginPlace};
    use crate::credential::verification::Verification;
    use crate::ledger::Ledger;
    use crate::store::StoreError;
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
            sign_out: None,
            client_state: None,
            remnant: None,
            refreshing: false,
            ledger,
            history,
            local_token: None,
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
        let rejected = Verification::Rejected { account_level: false };
        ledger.record_verification(new.generation, &rejected, Timestamp::from_millis(0));
        assert_eq!(for_unusable_login(&facts(vec![old, new], ledger)), None);
    }

    /// A dotfile tool or an old backup wrote a login whose refresh token was exchanged since.
    #[test]
    fn superseded_login_makes_room_for_its_successor() {
        let of = |account: Option<&str>, name: &str, expires_at| LoginSummary {
            owner: Owner { account: account.map(str::to_owned), organization: None },
            ..login(name, expires_at)
        };
        let rejected = Verification::Rejected { account_level: false };
        let [alice, bob] = ["alice", "bob"].map(Some);
        let rows = [
            ("known successor", alice, alice, None, true),
            ("account not known", None, None, None, false),
            ("another account", alice, bob, None, false),
            ("rejected successor", alice, alice, Some(rejected), false),
        ];
        for (case, old_account, new_account, verdict, is_restored) in rows {
            let (old, new) = (of(old_account, "old", 8_000_000), of(new_account, "new", 9_000_000));
            let mut ledger = Ledger::default();
            for login in [&old, &new, &old] {
                ledger.record_login(login, LoginPlace::File, Timestamp::from_millis(0));
            }
            if let Some(verdict) = verdict {
                ledger.record_verification(new.generation, &verdict, Timestamp::from_millis(0));
            }
            for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
                for (file, now) in [
                    (LoginFileState::Valid(old.clone()), 0),
                    (LoginFileState::AccessTokenExpired(old.clone()), 8_000_000),
                ] {
                    let mut found = facts(vec![old.clone(), new.clone()], ledger.clone());
                    (found.settings.mode, found.login, found.now) = (mode, file, Timestamp::from_millis(now));
                    if mode == Mode::Sync {
                        found.document = DocumentFact::Unreadable(StoreError::Conflict);
                    }
                    let step = next(&found);
                    let expected = Step::Restore(new.generation, BackupLocation::LocalHistory);
                    assert_eq!(step == expected, is_restored, "{case}, {mode:?} at {now}: {step:?}");
                }
            }
        }
    }
}
