//! `cas-sync backup`: the login as it lies there, into the local history and the store.

use std::process::ExitCode;

use cas_core::config::StoreKind;
use cas_core::engine::{BackupInfo, RunResult};
use cas_core::outcome::{BackupLocation, Detail};
use cas_core::planner::Command;
use cas_core::state::local_store::LocalStore;
use cas_core::store::StoreError;
use cas_core::text::sanitize_line;
use cas_core::time::format;
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

use super::{Answer, print, run_planner};
use crate::cli::Backup;
use crate::user::context::{UserContext, run_command};

/// Backs the login up, and says where to.
pub(crate) fn backup(wanted: &Backup) -> ExitCode {
    run_command(|person| {
        let ended = run_planner(person, Command::Backup, wanted.verify, |_| ())?;
        let code = ended.outcome.exit_code();
        let places = places(person, &ended);
        let told: String = places.iter().map(|place| place.told(person.now)).collect();
        let human = format!("{} {}\n{told}", ended.outcome.status, ended.outcome);
        print(wanted.json, &BackedUp { answer: Answer::of(person, &ended.outcome, code), places }, &human)?;
        Ok(code)
    })
}

#[derive(Serialize)]
struct BackedUp {
    #[serde(flatten)]
    answer: Answer,
    places: Vec<Place>,
}

/// One place that keeps copies.
#[derive(Serialize)]
struct Place {
    place: &'static str,
    /// A path, or the address of a server.
    at: String,
    done: BackupResult,
    /// The newest copy that was there before.
    before: Option<Before>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum BackupResult {
    /// It has the login now.
    Added,
    /// It had it before.
    AlreadyPresent,
    /// It does not have it.
    NotAdded,
    /// It could not be asked.
    Unreachable,
}

#[derive(Serialize)]
struct Before {
    generation: String,
    backed_up_at_ms: Option<Timestamp>,
    machine: Option<String>,
}

fn places(person: &UserContext, ended: &RunResult) -> Vec<Place> {
    let history = LocalStore::new(person.state.clone(), person.now).path().display().to_string();
    let server = person.config.vault.address.clone().unwrap_or_default();
    let place = |source: BackupLocation, name, at| {
        let before = ended.found.iter().find(|kept| kept.source == source);
        Place { place: name, at, done: done_at(ended, source), before: before.map(Before::of) }
    };
    let mut places = vec![place(BackupLocation::LocalHistory, "history", history)];
    if person.config.store == StoreKind::Vault {
        places.push(place(BackupLocation::Store, "store", server));
    }
    places
}

fn done_at(ended: &RunResult, source: BackupLocation) -> BackupResult {
    let outcome = &ended.outcome;
    let has_it = |kept: &BackupInfo| {
        kept.source == source && outcome.login().is_some_and(|login| login.generation == kept.generation)
    };
    let was_not_read =
        |note: &Detail| matches!(note, Detail::Store(failure) if *failure != StoreError::Conflict);
    if outcome.notes.contains(&Detail::BackedUp(source)) {
        BackupResult::Added
    } else if ended.found.iter().any(has_it) {
        BackupResult::AlreadyPresent
    } else if source == BackupLocation::Store && outcome.notes.iter().any(was_not_read) {
        BackupResult::Unreachable
    } else {
        BackupResult::NotAdded
    }
}

impl Before {
    fn of(kept: &BackupInfo) -> Self {
        Self {
            generation: kept.generation.to_string(),
            backed_up_at_ms: kept.backed_up_at,
            machine: kept.machine.clone(),
        }
    }
}

impl Place {
    fn told(&self, now: Timestamp) -> String {
        let age = self
            .before
            .as_ref()
            .and_then(|before| now.checked_duration_since(before.backed_up_at_ms?))
            .map(format::format_duration);
        let age = age.unwrap_or_else(|| "of unknown age".into());
        let what = match (self.done, &self.before) {
            (BackupResult::Added, None) => "added; there was no copy".to_owned(),
            (BackupResult::Added, Some(before)) => {
                format!("added; the newest copy before it, {}, was {age} old", before.generation)
            }
            (BackupResult::AlreadyPresent, _) => format!("has it already, for {age}"),
            (BackupResult::NotAdded, None) => "not added; there is no copy".to_owned(),
            (BackupResult::NotAdded, Some(before)) => {
                format!("not added; keeps {}, {age} old", before.generation)
            }
            (BackupResult::Unreachable, _) => "not asked".to_owned(),
        };
        format!("  {:<7}  {what}\n           {}\n", self.place, sanitize_line(&self.at))
    }
}
