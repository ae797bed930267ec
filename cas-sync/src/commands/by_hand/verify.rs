//! `cas-sync verify`: the credential that is in force, put to the test of real inference now. Nothing is changed but what is
//! known of it.

use std::process::ExitCode;

use anyhow::Context;
use cas_core::credential::verification::Verdict;
use cas_core::outcome::state_report::{self, Kind, State};
use cas_core::outcome::{Finding, Outcome};
use cas_core::planner::{Errand, Which};

use super::{Answer, done, print};
use crate::cli::Verify;
use crate::term::stderr::complain;
use crate::user::context::{Person, answered};
use crate::user::verification::Verification;

/// Verifies, and says what came of it.
pub(crate) fn verify(wanted: &Verify) -> ExitCode {
    let which = match (wanted.setup_token, wanted.login) {
        (true, _) => Which::SetupToken,
        (_, true) => Which::Login,
        _ => Which::InForce,
    };
    answered(|person| {
        let keep = |outcome: &Outcome| keep(person, which, outcome);
        let outcome = done(person, Errand::Verify(which), true, keep)?.outcome;
        let code = exit_code(&outcome);
        let remedy = remedy(&outcome).map(|remedy| format!("\n{remedy}")).unwrap_or_default();
        print(
            wanted.json,
            &Answer::of(person, &outcome, code),
            &format!("{} {outcome}{remedy}", outcome.status),
        )?;
        Ok(code)
    })
}

/// `state.json` says since when the credential in force is known to work, and root is told as by a sync. What the last sync found
/// besides stays as it is. A login that a setup-token hides is not in force.
fn keep(person: &Person, which: Which, outcome: &Outcome) {
    let Ok(known) = person.state.load::<Option<State>>(state_report::FILE_NAME) else { return };
    let is_of_token = |known: &State| known.credential.as_ref().is_some_and(|of| of.kind == Kind::SetupToken);
    if which == Which::Login && known.as_ref().is_some_and(is_of_token) {
        return;
    }
    let first = || State::after(outcome, &person.account.name, person.now, None);
    let Some(verified) = known.unwrap_or_else(first).verified(outcome, person.now) else { return };
    person.report(person.now, Verification::Wanted).publish(&verified);
    person
        .state
        .save(state_report::FILE_NAME, &verified)
        .context("what was verified could not be noted")
        .unwrap_or_else(|error| complain(&error));
}

fn exit_code(outcome: &Outcome) -> u8 {
    match (&outcome.finding, outcome.verdict()) {
        (_, Some(verdict)) => match verdict {
            Verdict::Ok | Verdict::Limited => 0,
            Verdict::Rejected { account_level: false } => 79,
            Verdict::Rejected { account_level: true } => 1,
            Verdict::Unusable(_) => 69,
            Verdict::Unknown(_) => 75,
        },
        (Finding::Broken { .. } | Finding::Spent { is_certain: true, .. }, None) => 79,
        (Finding::Stale { .. } | Finding::Refreshing(_) | Finding::Spent { .. }, None) => 75,
        (_, None) => 1,
    }
}

/// What to do where nothing could be verified.
fn remedy(outcome: &Outcome) -> Option<&'static str> {
    match (&outcome.finding, outcome.verdict()) {
        (Finding::Stale { .. }, None) => Some(
            "Nothing was verified: its access token has ended, and this refreshes nothing. `cas-sync run` lets Claude Code refresh and verify it.",
        ),
        (Finding::Refreshing(_), None) => Some("Nothing was verified: run this again in a minute."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cas_core::credential::fingerprint::Generation;
    use cas_core::credential::login::{LoginSummary, Owner};
    use cas_core::outcome::Status;
    use cas_core::time::timestamp::Timestamp;

    use super::*;

    #[test]
    fn the_exit_code_is_the_verdict_and_nothing_unknown_is_fine() {
        let login = LoginSummary {
            generation: Generation::of("r"),
            expires_at: Timestamp::from_millis(1),
            login_expires_at: None,
            owner: Owner::default(),
        };
        let of = |verdict| Finding::Login { login: login.clone(), verdict };
        let rows = [
            (of(Some(Verdict::Ok)), 0),
            (of(Some(Verdict::Limited)), 0),
            (of(Some(Verdict::Rejected { account_level: false })), 79),
            (of(Some(Verdict::Rejected { account_level: true })), 1),
            (of(Some(Verdict::Unusable("missing".into()))), 69),
            (of(Some(Verdict::Unknown("529".into()))), 75),
            (of(None), 1),
            (Finding::Stale { login: login.clone(), verdict: None }, 75),
            (Finding::Refreshing(login.clone()), 75),
            (Finding::Spent { login: login.clone(), is_certain: true }, 79),
            (Finding::Spent { login: login.clone(), is_certain: false }, 75),
            (Finding::Broken { state: "s".into() }, 79),
            (Finding::NotDone("w".into()), 1),
            (Finding::LeftAlone("w".into()), 1),
        ];
        for (finding, code) in rows {
            let outcome = Outcome::new(Status::Ok, finding);
            assert_eq!(exit_code(&outcome), code, "{outcome}");
        }
    }
}
