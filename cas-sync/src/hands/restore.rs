//! `cas-sync restore`: a copy back in the place of a login that does not work, or what would come of it, or which copies there
//! are.

use std::process::ExitCode;

use anyhow::Result;
use cas_core::fingerprint::Generation;
use cas_core::outcome::{Finding, Outcome, Source};
use cas_core::planner::{self, Choice, Errand, Step};
use cas_core::store::user_store::UserStore;
use serde::Serialize;

use super::copies::Listing;
use super::{Answer, Hand, answered, is_whole, misused, print};
use crate::arguments::{Place, Restore};
use crate::sync;

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
    let choice = Choice { from, generation };
    answered(|hand| match (wanted.list, wanted.dry_run) {
        (true, _) => list(hand, choice, wanted.json),
        (_, true) => rehearse(hand, choice, wanted.json),
        _ => put_back(hand, choice, !wanted.no_verify, wanted.json),
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

fn put_back(hand: &Hand, choice: Choice, verifies: bool, json: bool) -> Result<u8> {
    let outcome = hand.done(Errand::Restore(choice), verifies && hand.config.verify)?.outcome;
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
    let answer = Answer::of(hand, &outcome, code);
    print(json, &Restored { answer, dry_run: false, put_back }, &human)?;
    Ok(code)
}

/// The same facts and the same planner, and nothing is written.
fn rehearse(hand: &Hand, choice: Choice, json: bool) -> Result<u8> {
    let store = UserStore::open(&hand.config, &hand.account, &hand.paths, &hand.state, hand.now);
    let survey = hand.run(Errand::Restore(choice), store, false).survey(true);
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
            let outcome = sync::addressed(*outcome, &hand.account);
            let unless = match outcome.finding {
                Finding::Login { .. } if hand.config.verify => {
                    ", unless `claude` then finds that the server rejects the login"
                }
                _ => "",
            };
            let text = format!("Would put nothing back{unless}: {outcome}");
            (Some(outcome), None, text)
        }
        step => {
            anyhow::bail!("nothing else but a restore can follow, and not {step:?}; report this as a defect")
        }
    };
    let code = outcome.as_ref().map_or(0, Outcome::exit_code);
    let told = outcome
        .unwrap_or_else(|| Outcome::new(cas_core::outcome::Status::Ok, Finding::NotDone(human.clone())));
    let answer = Answer { text: human.clone(), ..Answer::of(hand, &told, code) };
    print(json, &Restored { answer, dry_run: true, put_back }, &human)?;
    Ok(code)
}

fn list(hand: &Hand, choice: Choice, json: bool) -> Result<u8> {
    let asks_store = choice.from != Some(Source::History);
    let store = UserStore::open(&hand.config, &hand.account, &hand.paths, &hand.state, hand.now);
    let survey = hand.run(Errand::Restore(choice), store, false).survey(asks_store);
    let listing = Listing::of(hand, &survey, choice);
    print(json, &listing, &listing.table(hand.now))?;
    Ok(listing.exit_code())
}

/// One word for a place.
pub(super) fn word(source: Source) -> &'static str {
    match source {
        Source::History => "history",
        Source::Store => "store",
    }
}
