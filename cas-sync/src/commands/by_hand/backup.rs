//! `cas-sync backup`: stores the current login in the local history and the store.

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

/// Backs up the login and prints the locations.
pub(crate) fn backup(request: &Backup) -> ExitCode {
    run_command(|user| {
        let result = run_planner(user, Command::Backup, request.verify, |_| ())?;
        let status = result.outcome.exit_status();
        let locations = locations(user, &result);
        let details: String = locations.iter().map(|location| location.describe(user.now)).collect();
        let text = format!("{} {}\n{details}", result.outcome.status, result.outcome);
        print(
            request.json,
            &BackupReport { answer: Answer::new(user, &result.outcome, status), locations },
            &text,
        );
        Ok(status)
    })
}

#[derive(Serialize)]
struct BackupReport {
    #[serde(flatten)]
    answer: Answer,
    locations: Vec<Location>,
}

/// One location of backups.
#[derive(Serialize)]
struct Location {
    location: &'static str,
    /// A path, or the URL of Vault.
    at: String,
    result: BackupResult,
    /// The newest backup before this run.
    previous: Option<PreviousBackup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum BackupResult {
    /// The login was added.
    Added,
    /// The login was already there.
    AlreadyPresent,
    /// The login was not added.
    NotAdded,
    /// The location could not be read.
    Unreachable,
}

#[derive(Serialize)]
struct PreviousBackup {
    generation: String,
    backed_up_at_ms: Option<Timestamp>,
    machine: Option<String>,
}

fn locations(user: &UserContext, result: &RunResult) -> Vec<Location> {
    let history = LocalStore::new(user.state.clone(), user.now).path().display().to_string();
    let url = user.config.vault.address.clone().unwrap_or_default();
    let location = |source: BackupLocation, name, at| {
        let before = result.found.iter().find(|backup| backup.source == source);
        Location {
            location: name,
            at,
            result: result_at(result, source),
            previous: before.map(PreviousBackup::from_info),
        }
    };
    let mut locations = vec![location(BackupLocation::LocalHistory, "history", history)];
    if user.config.store == StoreKind::Vault {
        locations.push(location(BackupLocation::Store, "store", url));
    }
    locations
}

fn result_at(result: &RunResult, source: BackupLocation) -> BackupResult {
    let outcome = &result.outcome;
    let has_it = |backup: &BackupInfo| {
        backup.source == source && outcome.login().is_some_and(|login| login.generation == backup.generation)
    };
    let was_not_read =
        |note: &Detail| matches!(note, Detail::Store(failure) if *failure != StoreError::Conflict);
    if outcome.notes.contains(&Detail::BackedUp(source)) {
        BackupResult::Added
    } else if result.found.iter().any(has_it) {
        BackupResult::AlreadyPresent
    } else if source == BackupLocation::Store && outcome.notes.iter().any(was_not_read) {
        BackupResult::Unreachable
    } else {
        BackupResult::NotAdded
    }
}

impl PreviousBackup {
    fn from_info(backup: &BackupInfo) -> Self {
        Self {
            generation: backup.generation.to_string(),
            backed_up_at_ms: backup.backed_up_at,
            machine: backup.machine.clone(),
        }
    }
}

impl Location {
    fn describe(&self, now: Timestamp) -> String {
        let age = self
            .previous
            .as_ref()
            .and_then(|previous| now.checked_duration_since(previous.backed_up_at_ms?))
            .map(format::format_duration);
        let age = age.unwrap_or_else(|| "of unknown age".into());
        let text = match (self.result, &self.previous) {
            (BackupResult::Added, None) => "added; there was no backup".to_owned(),
            (BackupResult::Added, Some(before)) => {
                format!("added; the previous backup, {}, was {age} old", before.generation)
            }
            (BackupResult::AlreadyPresent, _) => format!("already present, for {age}"),
            (BackupResult::NotAdded, None) => "not added; there is no backup".to_owned(),
            (BackupResult::NotAdded, Some(before)) => {
                format!("not added; has {}, {age} old", before.generation)
            }
            (BackupResult::Unreachable, _) => "not reached".to_owned(),
        };
        format!("  {:<7}  {text}\n           {}\n", self.location, sanitize_line(&self.at))
    }
}
