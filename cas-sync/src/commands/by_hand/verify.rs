//! `cas-sync verify`: verifies the active credential by asking the real client for one answer. Only
//! the recorded result changes.

use std::process::ExitCode;

use anyhow::Context;
use cas_core::credential::verification::Verification;
use cas_core::outcome::state_report::{self, CredentialKind, StateReport};
use cas_core::outcome::{ExitStatus, Finding, Outcome};
use cas_core::planner::{Command, Target};
use cas_core::text::sanitize_line;

use super::{Answer, gather_sources, print, run_planner};
use crate::cli::Verify;
use crate::precedence::Sources;
use crate::term::stderr::print_error;
use crate::user::context::{UserContext, run_command};
use crate::user::error::CommandError;
use crate::user::verification::VerifyMode;

/// Verifies a credential and prints the result.
pub(crate) fn verify(request: &Verify) -> ExitCode {
    let target = match (request.setup_token, request.login) {
        (true, _) => Target::SetupToken,
        (_, true) => Target::Login,
        _ => Target::Active,
    };
    run_command(|user| {
        let sources = gather_sources(user);
        let unmanaged = unmanaged(&sources, target);
        // Another user's settings must not hide that the login was rejected.
        if let Some(why) = unmanaged.as_ref().filter(|_| !sources.is_foreign(&sources.effective())) {
            return Err(CommandError::new(ExitStatus::Failure, why));
        }
        let record = |outcome: &Outcome| record(user, target, outcome);
        let outcome = run_planner(user, Command::Verify(target), true, record)?.outcome;
        let status = match exit_status(&outcome) {
            ExitStatus::Success if unmanaged.is_some() => ExitStatus::Failure,
            status => status,
        };
        let unmanaged = unmanaged.map(|why| format!("; {why}")).unwrap_or_default();
        let remedy = remedy(&outcome).map(|remedy| format!("\n{remedy}")).unwrap_or_default();
        print(
            request.json,
            &Answer::new(user, &outcome, status).with_note(&unmanaged),
            &format!("{} {outcome}{}{remedy}", outcome.status, sanitize_line(&unmanaged)),
        );
        Ok(status)
    })
}

/// Returns why the credential that Claude Code uses cannot be verified. A credential that the user
/// selects by an option is verified even if another one takes precedence, unless Claude Code reads
/// another login file.
fn unmanaged(sources: &Sources, target: Target) -> Option<String> {
    match target {
        Target::Active => sources.unmanaged(&sources.effective()),
        Target::Login => sources.moved.as_ref().map(ToString::to_string),
        Target::SetupToken => None,
    }
}

/// Records in `state.json` that the active credential was verified, and publishes it to root. The
/// other results of the last sync are kept. A login that a setup token overrides is not active.
fn record(user: &UserContext, target: Target, outcome: &Outcome) {
    let Ok(known) = user.state.load::<Option<StateReport>>(state_report::FILE_NAME) else { return };
    let is_setup_token = |known: &StateReport| {
        known.credential.as_ref().is_some_and(|reported| reported.kind == CredentialKind::SetupToken)
    };
    if target == Target::Login && known.as_ref().is_some_and(is_setup_token) {
        return;
    }
    let first = || StateReport::from_outcome(outcome, &user.account.name, user.now, None);
    let Some(verified) = known.unwrap_or_else(first).with_verification(outcome, user.now) else { return };
    match user.state.save(state_report::FILE_NAME, &verified).context("cannot record the verification") {
        Ok(()) => user.report(user.now, VerifyMode::Verify).request_publication(),
        Err(error) => print_error(&error),
    }
}

fn exit_status(outcome: &Outcome) -> ExitStatus {
    match (&outcome.finding, outcome.verdict()) {
        (_, Some(verdict)) => match verdict {
            Verification::Ok | Verification::RateLimited => ExitStatus::Success,
            Verification::Rejected { account_level: false } => ExitStatus::SignInRequired,
            Verification::Rejected { account_level: true } => ExitStatus::Failure,
            Verification::ClientUnusable(_) => ExitStatus::ClientUnusable,
            Verification::Inconclusive(_) => ExitStatus::TryLater,
        },
        (Finding::LoginUnusable { .. } | Finding::StaleCopy { is_certain: true, .. }, None) => {
            ExitStatus::SignInRequired
        }
        (Finding::Stale { .. } | Finding::Refreshing(_) | Finding::StaleCopy { .. }, None) => {
            ExitStatus::TryLater
        }
        (_, None) => ExitStatus::Failure,
    }
}

/// Returns what to do if nothing was verified.
fn remedy(outcome: &Outcome) -> Option<&'static str> {
    match (&outcome.finding, outcome.verdict()) {
        (Finding::Stale { .. }, None) => Some(
            "Nothing was verified: the access token has expired, and this command does not refresh it. Run `cas-sync run` to let Claude Code refresh and verify the login.",
        ),
        (Finding::Refreshing(_), None) => Some("Nothing was verified: try again in a minute."),
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
    fn exit_code_reflects_the_verification() {
        let login = LoginSummary {
            generation: RefreshTokenId::from_bytes("r"),
            expires_at: Timestamp::from_millis(1),
            login_expires_at: None,
            owner: Owner::default(),
        };
        let verified = |verdict| Finding::Login { login: login.clone(), verdict };
        let rows = [
            (verified(Some(Verification::Ok)), 0),
            (verified(Some(Verification::RateLimited)), 0),
            (verified(Some(Verification::Rejected { account_level: false })), 79),
            (verified(Some(Verification::Rejected { account_level: true })), 1),
            (verified(Some(Verification::ClientUnusable("missing".into()))), 69),
            (verified(Some(Verification::Inconclusive("529".into()))), 75),
            (verified(None), 1),
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
            assert_eq!(exit_status(&outcome).code(), code, "{outcome}");
        }
    }
}
