//! `cas-sync restore`: a copy back in the place of a login that does not work, or what would come of it, or which copies there
//! are.

use std::process::ExitCode;

use cas_core::credential::fingerprint::Generation;
use cas_core::outcome::{Finding, Outcome, Source};
use cas_core::planner::{self, Choice, Errand, Step};
use serde::Serialize;

use super::restore_list::Listing;
use super::{Answer, done, is_whole, misused, print, survey};
use crate::cli::{Place, Restore};
use crate::user::context::{Person, answered};
use crate::user::error::Failed;

/// Puts a copy back, or says what there is.
pub(crate) fn restore(wanted: &Restore) -> ExitCode {
    let generation = match wanted.generation.clone().map(Generation::try_from).transpose() {
        Ok(generation) => generation,
        Err(why) => return misused("--generation", wanted.generation.as_deref().unwrap_or_default(), &why),
    };
    let from = wanted.from.map(|place| match place {
        Place::History => Source::History,
        Place::Store => Source::Store,
    });
    let choice = Choice { from, generation, from_other_machine: wanted.from_other_machine };
    answered(|person| match (wanted.list, wanted.dry_run) {
        (true, _) => list(person, choice, wanted.json),
        (_, true) => rehearse(person, choice, wanted.json),
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
    fn of(generation: Generation, source: Source) -> Self {
        Self { generation: generation.to_string(), from: word(source) }
    }
}

fn put_back(person: &Person, choice: Choice, verifies: bool, json: bool) -> Result<u8, Failed> {
    let outcome = done(person, Errand::Restore(choice), verifies && person.config.verify, |_| ())?.outcome;
    let code = outcome.exit_code();
    let put_back = match &outcome.finding {
        Finding::Restored { login, source, .. } => Some(PutBack::of(login.generation, *source)),
        _ => None,
    };
    let left_alone = match is_whole(&outcome.finding) {
        true => "\nThe login in the file is whole, and was left alone.",
        false => "",
    };
    let human = format!("{} {outcome}{left_alone}", outcome.status);
    let answer = Answer::of(person, &outcome, code);
    print(json, &Restored { answer, dry_run: false, put_back }, &human)?;
    Ok(code)
}

/// The same facts and the same planner, and nothing is written.
fn rehearse(person: &Person, choice: Choice, json: bool) -> Result<u8, Failed> {
    let survey = survey(person, Errand::Restore(choice), person.store(), true);
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
            let outcome = person.addressed(*outcome);
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
            return Err(Failed::new(1, format!("{why}, and not {step:?}; report this as a defect")));
        }
    };
    let code = outcome.as_ref().map_or(0, Outcome::exit_code);
    let told = outcome
        .unwrap_or_else(|| Outcome::new(cas_core::outcome::Status::Ok, Finding::NotDone(human.clone())));
    let answer = Answer { text: human.clone(), ..Answer::of(person, &told, code) };
    print(json, &Restored { answer, dry_run: true, put_back }, &human)?;
    Ok(code)
}

fn list(person: &Person, choice: Choice, json: bool) -> Result<u8, Failed> {
    let asks_store = choice.from != Some(Source::History);
    let survey = survey(person, Errand::Restore(choice), person.store(), asks_store);
    let listing = Listing::of(person, &survey, choice);
    print(json, &listing, &listing.table(person.now))?;
    Ok(listing.exit_code())
}

/// One word for a place.
pub(super) fn word(source: Source) -> &'static str {
    match source {
        Source::History => "history",
        Source::Store => "store",
    }
}
