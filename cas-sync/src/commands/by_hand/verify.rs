//! `cas-sync verify`: the credential that is in force, put to the test of real inference now. Nothing is changed but what is
//! known of it.

use std::process::ExitCode;

use anyhow::Context;
use cas_core::credential::verification::Verification;
use cas_core::outcome::state_report::{self, CredentialKind, StateReport};
use cas_core::outcome::{Finding, Outcome};
use cas_core::planner::{Command, Target};

use super::{Answer, print, run_planner};
use crate::cli::Verify;
use crate::term::stderr::print_error;
use crate::user::context::{UserContext, run_command};
use crate::user::verification::VerifyMode;

/// Verifies, and says what came of it.
pub(crate) fn verify(wanted: &Verify) -> ExitCode {
    let which = match (wanted.setup_token, wanted.login) {
        (true, _) => Target::SetupToken,
        (_, true) => Target::Login,
        _ => Target::Active,
    };
    run_command(|person| {
        let keep = |outcome: &Outcome| keep(person, which, outcome);
        let outcome = run_planner(person, Command::Verify(which), true, keep)?.outcome;
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
fn keep(person: &UserContext, which: Target, outcome: &Outcome) {
    let Ok(known) = person.state.load::<Option<StateReport>>(state_report::FILE_NAME) else { return };
    let is_of_token = |known: &StateReport| {
        known.credential.as_ref().is_some_and(|of| of.kind == CredentialKind::SetupToken)
    };
    if which == Target::Login && known.as_ref().is_some_and(is_of_token) {
        return;
    }
    let first = || StateReport::from_outcome(outcome, &person.account.name, person.now, None);
    let Some(verified) = known.unwrap_or_else(first).with_verification(outcome, person.now) else { return };
    person.report(person.now, VerifyMode::Verify).publish(&verified);
    person
        .state
        .save(state_report::FILE_NAME, &verified)
        .context("what was verified could not be noted")
        .unwrap_or_else(|error| print_error(&error));
}

fn exit_code(outcome: &Outcome) -> u8 {
    match (&outcome.finding, outcome.verdict()) {
        (_, Some(verdict)) => match verdict {
            Verification::Ok | Verification::RateLimited => 0,
            Verification::Rejected { account_level: false } => 79,
            Verification::Rejected { account_level: true } => 1,
            Verification::ClientUnusable(_) => 69,
            Verification::Inconclusive(_) => 75,
        },
        (Finding::LoginUnusable { .. } | Finding::StaleCopy { is_certain: true, .. }, None) => 79,
        (Finding::Stale { .. } | Finding::Refreshing(_) | Finding::StaleCopy { .. }, None) => 75,
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
    use cas_core::credential::fingerprint::RefreshTokenId;
    use cas_core::credential::login::{LoginSummary, Owner};
    use cas_core::outcome::Status;
    use cas_core::time::timestamp::Timestamp;

    use super::*;

    #[test]
    fn the_exit_code_is_the_verdict_and_nothing_unknown_is_fine() {
        let login = LoginSummary {
            generation: RefreshTokenId::from_bytes("r"),
            expires_at: Timestamp::from_millis(1),
            login_expires_at: None,
            owner: Owner::default(),
        };
        let of = |verdict| Finding::Login { login: login.clone(), verdict };
        let rows = [
            (of(Some(Verification::Ok)), 0),
            (of(Some(Verification::RateLimited)), 0),
            (of(Some(Verification::Rejected { account_level: false })), 79),
            (of(Some(Verification::Rejected { account_level: true })), 1),
            (of(Some(Verification::ClientUnusable("missing".into()))), 69),
            (of(Some(Verification::Inconclusive("529".into()))), 75),
            (of(None), 1),
            (Finding::Stale { login: login.clone(), verdict: None }, 75),
            (Finding::Refreshing(login.clone()), 75),
            (Finding::StaleCopy { login: login.clone(), is_certain: true }, 79),
            (Finding::StaleCopy { login: login.clone(), is_certain: false }, 75),
            (Finding::LoginUnusable { state: "s".into() }, 79),
            (Finding::RequestRefused("w".into()), 1),
            (Finding::Skipped("w".into()), 1),
        ];
        for (finding, code) in rows {
            let outcome = Outcome::new(Status::Ok, finding);
            assert_eq!(exit_code(&outcome), code, "{outcome}");
        }
    }
}
