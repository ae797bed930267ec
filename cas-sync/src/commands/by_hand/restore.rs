//! `cas-sync restore`: a copy back in the place of a login that does not work, or what would come of it, or which copies there
//! are.

use std::process::ExitCode;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::outcome::{BackupLocation, Finding, Outcome};
use cas_core::planner::{self, BackupFilter, Command, Step};
use serde::Serialize;

use super::restore_list::BackupList;
use super::{Answer, is_intact, print, run_planner, survey, usage_error};
use crate::cli::{BackupSource, Restore};
use crate::user::context::{UserContext, run_command};
use crate::user::error::CommandError;

/// Puts a copy back, or says what there is.
pub(crate) fn restore(wanted: &Restore) -> ExitCode {
    let generation = match wanted.generation.clone().map(RefreshTokenId::try_from).transpose() {
        Ok(generation) => generation,
        Err(why) => {
            return usage_error("--generation", wanted.generation.as_deref().unwrap_or_default(), &why);
        }
    };
    let from = wanted.from.map(|place| match place {
        BackupSource::History => BackupLocation::LocalHistory,
        BackupSource::Store => BackupLocation::Store,
    });
    let choice = BackupFilter { from, generation };
    run_command(|person| match (wanted.list, wanted.dry_run) {
        (true, _) => list(person, choice, wanted.json),
        (_, true) => dry_run(person, choice, wanted.json),
        _ => put_back(person, choice, !wanted.no_verify, wanted.json),
    })
}

#[derive(Serialize)]
struct Restored {
    #[serde(flatten)]
    answer: Answer,
    dry_run: bool,
    /// What was, or would be, put back.
    put_back: Option<PutBack>,
}

#[derive(Serialize)]
struct PutBack {
    generation: String,
    from: &'static str,
}

impl PutBack {
    fn of(generation: RefreshTokenId, source: BackupLocation) -> Self {
        Self { generation: generation.to_string(), from: source.as_str() }
    }
}

fn put_back(
    person: &UserContext,
    choice: BackupFilter,
    verifies: bool,
    json: bool,
) -> Result<u8, CommandError> {
    let outcome =
        run_planner(person, Command::Restore(choice), verifies && person.config.verify, |_| ())?.outcome;
    let code = outcome.exit_code();
    let put_back = match &outcome.finding {
        Finding::Restored { login, source, .. } => Some(PutBack::of(login.generation, *source)),
        _ => None,
    };
    let left_alone = match is_intact(&outcome.finding) {
        true => "\nThe login in the file is whole, and was left alone.",
        false => "",
    };
    let human = format!("{} {outcome}{left_alone}", outcome.status);
    let answer = Answer::of(person, &outcome, code);
    print(json, &Restored { answer, dry_run: false, put_back }, &human)?;
    Ok(code)
}

/// The same facts and the same planner, and nothing is written.
fn dry_run(person: &UserContext, choice: BackupFilter, json: bool) -> Result<u8, CommandError> {
    let survey = survey(person, Command::Restore(choice), person.store(), true);
    let (outcome, put_back, human) = match planner::next(&survey.facts) {
        Step::Restore(generation, source) => {
            let copy = planner::copies(&survey.facts)
                .into_iter()
                .find(|copy| copy.login.generation == generation && copy.source == source);
            let until = copy
                .map(|copy| format!(", access token until {}", copy.login.expires_at))
                .unwrap_or_default();
            let text = format!("Would put back generation {generation}{until}, from {source}.");
            (None, Some(PutBack::of(generation, source)), text)
        }
        Step::Report(outcome) => {
            let outcome = person.with_login_email(*outcome);
            let unless = match outcome.finding {
                Finding::Login { .. } if person.config.verify => {
                    ", unless `claude` then finds that the server rejects the login"
                }
                _ => "",
            };
            let text = format!("Would put nothing back{unless}: {outcome}");
            (Some(outcome), None, text)
        }
        step => {
            let why = "nothing else but a restore can follow";
            return Err(CommandError::new(1, format!("{why}, and not {step:?}; report this as a defect")));
        }
    };
    let code = outcome.as_ref().map_or(0, Outcome::exit_code);
    let told = outcome.unwrap_or_else(|| {
        Outcome::new(cas_core::outcome::Status::Ok, Finding::RequestRefused(human.clone()))
    });
    let answer = Answer { text: human.clone(), ..Answer::of(person, &told, code) };
    print(json, &Restored { answer, dry_run: true, put_back }, &human)?;
    Ok(code)
}

fn list(person: &UserContext, choice: BackupFilter, json: bool) -> Result<u8, CommandError> {
    let asks_store = choice.from != Some(BackupLocation::LocalHistory);
    let survey = survey(person, Command::Restore(choice), person.store(), asks_store);
    let listing = BackupList::new(person, &survey, choice);
    print(json, &listing, &listing.table(person.now))?;
    Ok(listing.exit_code())
}
