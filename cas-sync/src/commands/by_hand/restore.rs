//! `cas-sync restore`: restores a backup of an unusable login, shows what it would restore, or
//! lists the backups.

use std::process::ExitCode;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::outcome::{BackupLocation, ExitStatus, Finding, Outcome};
use cas_core::planner::{self, BackupFilter, Command, Step};
use serde::Serialize;

use super::restore_list::BackupList;
use super::{Answer, inspect, is_intact, print, run_planner, usage_error};
use crate::cli::{BackupSource, Restore};
use crate::user::context::{UserContext, run_command};
use crate::user::error::CommandError;

/// Restores a backup, or prints what `--dry-run` or `--list` asks for.
pub(crate) fn restore(request: &Restore) -> ExitCode {
    let generation = match request.generation.clone().map(RefreshTokenId::try_from).transpose() {
        Ok(generation) => generation,
        Err(why) => {
            return usage_error("--generation", request.generation.as_deref().unwrap_or_default(), &why);
        }
    };
    let from = request.from.map(|source| match source {
        BackupSource::History => BackupLocation::LocalHistory,
        BackupSource::Store => BackupLocation::Store,
    });
    let filter = BackupFilter { from, generation, from_other_machine: request.from_other_machine };
    run_command(|user| match (request.list, request.dry_run) {
        (true, _) => list(user, filter, request.json),
        (_, true) => dry_run(user, filter, request.json),
        _ => restore_backup(user, filter, !request.no_verify, request.json),
    })
}

#[derive(Serialize)]
struct RestoreReport {
    #[serde(flatten)]
    answer: Answer,
    dry_run: bool,
    /// What was restored, or would be for `--dry-run`.
    restored: Option<RestoredBackup>,
}

#[derive(Serialize)]
struct RestoredBackup {
    generation: String,
    from: &'static str,
}

impl RestoredBackup {
    fn new(generation: RefreshTokenId, source: BackupLocation) -> Self {
        Self { generation: generation.to_string(), from: source.as_str() }
    }
}

fn restore_backup(
    user: &UserContext,
    filter: BackupFilter,
    can_verify: bool,
    json: bool,
) -> Result<ExitStatus, CommandError> {
    let outcome =
        run_planner(user, Command::Restore(filter), can_verify && user.config.verify, |_| ())?.outcome;
    let status = outcome.exit_status();
    let restored = match &outcome.finding {
        Finding::Restored { login, source, .. } => Some(RestoredBackup::new(login.generation, *source)),
        _ => None,
    };
    let unchanged = match is_intact(&outcome.finding) {
        true => "\nThe login is valid and was not changed.",
        false => "",
    };
    let text = format!("{} {outcome}{unchanged}", outcome.status);
    let answer = Answer::new(user, &outcome, status);
    print(json, &RestoreReport { answer, dry_run: false, restored }, &text);
    Ok(status)
}

/// Runs the planner on the same facts and writes nothing.
fn dry_run(user: &UserContext, filter: BackupFilter, json: bool) -> Result<ExitStatus, CommandError> {
    let inspection = inspect(user, Command::Restore(filter), user.store(), true);
    let (outcome, restored, text) = match planner::next(&inspection.facts) {
        Step::Restore(generation, source) => {
            let backup = planner::backups(&inspection.facts)
                .into_iter()
                .find(|backup| backup.login.generation == generation && backup.source == source);
            let until = backup
                .map(|backup| format!(", access token until {}", backup.login.expires_at))
                .unwrap_or_default();
            let text = format!("Would restore generation {generation}{until}, from {source}.");
            (None, Some(RestoredBackup::new(generation, source)), text)
        }
        Step::Report(outcome) => {
            let outcome = user.with_login_email(*outcome);
            let unless = match outcome.finding {
                Finding::Login { .. } if user.config.verify => ", unless the Anthropic API rejects the login",
                _ => "",
            };
            let text = format!("Would restore nothing{unless}: {outcome}");
            (Some(outcome), None, text)
        }
        step => {
            return Err(CommandError::new(
                ExitStatus::Failure,
                format!("cannot show the restore: unexpected step {step:?}; report this as a defect"),
            ));
        }
    };
    let status = outcome.as_ref().map_or(ExitStatus::Success, Outcome::exit_status);
    let outcome = outcome.unwrap_or_else(|| {
        Outcome::new(cas_core::outcome::Status::Ok, Finding::RequestRefused(text.clone()))
    });
    let answer = Answer { text: text.clone(), ..Answer::new(user, &outcome, status) };
    print(json, &RestoreReport { answer, dry_run: true, restored }, &text);
    Ok(status)
}

fn list(user: &UserContext, filter: BackupFilter, json: bool) -> Result<ExitStatus, CommandError> {
    let read_store = filter.from != Some(BackupLocation::LocalHistory);
    let inspection = inspect(user, Command::Restore(filter), user.store(), read_store);
    let backups = BackupList::new(user, &inspection, filter);
    print(json, &backups, &backups.table(user.now));
    Ok(backups.exit_status())
}
