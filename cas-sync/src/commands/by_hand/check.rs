//! `cas-sync check`: whether the credential that Claude Code will use lasts, for scripts and status bars. Asks nobody: it reads
//! a few small files and is done within milliseconds.

use std::process::ExitCode;

use cas_core::outcome::state_report::{self, Credential, StateReport};
use cas_core::outcome::with_login_email;
use cas_core::planner::{Command, Target};
use cas_core::state::local_store::LocalStore;
use cas_core::text::sanitize_line;
use cas_core::time::duration;
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

use super::judge::{Answer, CheckRequirements, CheckResult, judge};
use super::{SCHEMA, print, survey, usage_error};
use crate::cli::Check;
use crate::user::context::{UserContext, run_command};

/// Says whether it lasts.
pub(crate) fn check(wanted: &Check) -> ExitCode {
    let min_remaining = match duration::parse(&wanted.min_remaining) {
        Ok(span) => span,
        Err(why) => return usage_error("--min-remaining", &wanted.min_remaining, &why),
    };
    let verified_within = match wanted.verified_within.as_deref().map(duration::parse).transpose() {
        Ok(span) => span,
        Err(why) => {
            return usage_error(
                "--verified-within",
                wanted.verified_within.as_deref().unwrap_or_default(),
                &why,
            );
        }
    };
    let demand = CheckRequirements { min_remaining, verified_within };
    run_command(|person| {
        // The store is not asked, whichever it is.
        let store = Box::new(LocalStore::new(person.state.clone(), person.now));
        let facts = survey(person, Command::Verify(Target::Active), Ok(store), false).facts;
        let known = person.state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
        let mut judgement = judge(&facts, known.as_ref(), &demand);
        if judgement.answer == Answer::ActionRequired {
            let owner = facts.login.login().map(|login| login.owner.clone()).unwrap_or_default();
            judgement.text = with_login_email(&judgement.text, person.address(&owner).as_ref());
        }
        let code = judgement.answer.exit_code();
        if !wanted.quiet {
            print(wanted.json, &Told::of(person, &judgement, &demand), &told(&judgement))?;
        }
        Ok(code)
    })
}

/// A sentence.
fn told(judgement: &CheckResult) -> String {
    let mut text = sanitize_line(&judgement.text);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

#[derive(Serialize)]
struct Told {
    schema: u32,
    user: String,
    answer: &'static str,
    exit_code: u8,
    text: String,
    credential: Option<Credential>,
    /// How long it lasts yet; nothing where that is not known, 0 when it has lapsed.
    remaining_s: Option<u64>,
    min_remaining_s: u64,
    verified_at_ms: Option<Timestamp>,
    verified_within_s: Option<u64>,
}

impl Told {
    fn of(person: &UserContext, judgement: &CheckResult, demand: &CheckRequirements) -> Self {
        let lapses_at = judgement.credential.as_ref().and_then(|credential| credential.expires_at_ms);
        let left = |at: Timestamp| at.checked_duration_since(person.now).map_or(0, |left| left.as_secs());
        Self {
            schema: SCHEMA,
            user: person.account.name.clone(),
            answer: judgement.answer.word(),
            exit_code: judgement.answer.exit_code(),
            text: judgement.text.clone(),
            credential: judgement.credential.clone(),
            remaining_s: lapses_at.map(left),
            min_remaining_s: demand.min_remaining.as_secs(),
            verified_at_ms: judgement.verified_at,
            verified_within_s: demand.verified_within.map(|span| span.as_secs()),
        }
    }
}
