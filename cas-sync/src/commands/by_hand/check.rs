//! `cas-sync check`: whether the active credential stays valid long enough, for scripts and status
//! bars. It reads a few small files, sends no requests and ends within milliseconds.

use std::process::ExitCode;

use cas_core::outcome::ExitStatus;
use cas_core::outcome::state_report::{self, Credential, StateReport};
use cas_core::outcome::with_login_email;
use cas_core::planner::{Command, Target};
use cas_core::state::local_store::LocalStore;
use cas_core::text::sanitize_line;
use cas_core::time::duration;
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

use super::judge::{Answer, CheckRequirements, CheckResult, judge};
use super::{gather_sources, inspect, print, usage_error};
use crate::cli::CheckArgs;
use crate::user::context::{UserContext, run_command};

/// Prints the answer.
pub(crate) fn check(request: &CheckArgs) -> ExitCode {
    let min_remaining = match duration::parse(&request.min_remaining) {
        Ok(duration) => duration,
        Err(why) => return usage_error("--min-remaining", &request.min_remaining, &why),
    };
    let verified_within = match request.verified_within.as_deref().map(duration::parse).transpose() {
        Ok(duration) => duration,
        Err(why) => {
            return usage_error(
                "--verified-within",
                request.verified_within.as_deref().unwrap_or_default(),
                &why,
            );
        }
    };
    let requirements = CheckRequirements { min_remaining, verified_within };
    run_command(|user| {
        // The configured store is not read.
        let store = Box::new(LocalStore::new(user.state.clone(), user.now));
        let facts = inspect(user, Command::Verify(Target::Active), Ok(store), false).facts;
        let known = user.state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
        let mut result = judge(&facts, known.as_ref(), &requirements);
        if result.answer == Answer::ActionRequired {
            let owner = facts.login.login().map(|login| login.owner.clone()).unwrap_or_default();
            result.text = with_login_email(&result.text, user.address(&owner).as_ref());
        }
        let sources = gather_sources(user);
        if let Some(why) = sources.unmanaged(&sources.effective()) {
            result = result.with_unmanaged(&why);
        }
        let status = result.answer.exit_status();
        if !request.quiet {
            print(request.json, &CheckJson::new(user, &result, &requirements), &sentence(&result));
        }
        Ok(status)
    })
}

/// Returns the text as a sentence.
fn sentence(result: &CheckResult) -> String {
    let mut text = sanitize_line(&result.text);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

#[derive(Serialize)]
struct CheckJson {
    user: String,
    answer: &'static str,
    exit_code: ExitStatus,
    text: String,
    credential: Option<Credential>,
    /// Remaining validity; `None` if it is not known, 0 if it has expired.
    remaining_s: Option<u64>,
    min_remaining_s: u64,
    verified_at_ms: Option<Timestamp>,
    verified_within_s: Option<u64>,
}

impl CheckJson {
    fn new(user: &UserContext, result: &CheckResult, requirements: &CheckRequirements) -> Self {
        let expires_at = result.credential.as_ref().and_then(|credential| credential.expires_at_ms);
        let left = |at: Timestamp| at.checked_duration_since(user.now).map_or(0, |left| left.as_secs());
        Self {
            user: user.account.name.clone(),
            answer: result.answer.as_str(),
            exit_code: result.answer.exit_status(),
            text: result.text.clone(),
            credential: result.credential.clone(),
            remaining_s: expires_at.map(left),
            min_remaining_s: requirements.min_remaining.as_secs(),
            verified_at_ms: result.verified_at,
            verified_within_s: requirements.verified_within.map(|age| age.as_secs()),
        }
    }
}
