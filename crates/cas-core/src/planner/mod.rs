//! All policy: one pure, total function from facts to the next step. A login, the timer and a person's hand run the same
//! planner with different settings; the programs around it gather facts and carry out steps until it says `Report`.
//!
//! The invariants I1 to I8 of `docs/architecture.md` hold here, not in the callers; `crates/cas-core/tests/planner_invariants/` tests
//! them over random histories.

mod backup;
mod candidate;
mod commands;
mod eligibility;
mod facts;
mod refresh;
mod report;

use std::time::Duration;

pub use eligibility::{Backup, Ineligible, copies};
pub use facts::{
    BackupFilter, Command, DocumentFact, DocumentSummary, EnvFileChange, EnvFileFact, Facts, Mode, Progress,
    Restored, Settings, StoreContact, Target, TokenFact, VerificationTarget,
};
pub use refresh::attribute_refresh as shown_by_refresh_run;

use crate::config::StoreKind;
use crate::credential::fingerprint::RefreshTokenId;
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::ledger::GenerationState;
use crate::outcome::{BackupLocation, Outcome};

/// How long a store that did not answer is left in peace by logins.
pub const STORE_BACKOFF: Duration = Duration::from_secs(60);

/// How many live probes one run may make.
pub const MAX_PROBES: usize = 2;

/// What to do next. Every step but the last is carried out, its result noted in the facts, and the planner asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the user's document.
    ReadStore,
    /// Write the store's setup-token to the env file.
    WriteEnvFile,
    /// Remove the env file.
    RemoveEnvFile,
    /// Probe a credential by value, in a scratch home.
    Probe(VerificationTarget),
    /// Let Claude Code refresh and verify the login in the real home.
    RefreshRun,
    /// Put this login back in the place of what lies in the credential file.
    Restore(RefreshTokenId, BackupLocation),
    /// Put back what the restore replaced.
    RollBack,
    /// Add the login in the credential file to the local history, or to the store.
    Backup(RefreshTokenId, BackupLocation),
    /// The run is over.
    Report(Box<Outcome>),
}

/// Decides the next step.
pub fn next(facts: &Facts) -> Step {
    let step = match facts.settings.mode {
        Mode::Command(errand) => commands::next(errand, facts),
        Mode::Login | Mode::Sync | Mode::Watch => restore_fresh_backup(facts)
            .or_else(|| read_store(facts))
            .or_else(|| sync_env_file(facts))
            .or_else(|| handle_setup_token(facts))
            .or_else(|| handle_login(facts)),
    };
    step.unwrap_or_else(|| report(facts))
}

fn report(facts: &Facts) -> Step {
    Step::Report(Box::new(report::outcome(facts)))
}

/// While somebody waits for a prompt, or sees a session break, a fresh copy on this machine is put back before anybody is
/// asked anything.
fn restore_fresh_backup(facts: &Facts) -> Option<Step> {
    let wanted = match facts.settings.mode {
        Mode::Login => facts.login.needs_restore(),
        // To the watcher a deleted file is a wish; if it was an accident, the next login mends it.
        Mode::Watch => facts.login.needs_restore() && facts.login != LoginFileState::Missing,
        Mode::Sync | Mode::Command(_) => false,
    };
    if wanted && facts.settings.oauth_backup && facts.active_token().is_none() {
        restore(facts, candidate::fresh_from_history(facts))
    } else {
        None
    }
}

fn read_store(facts: &Facts) -> Option<Step> {
    if !matches!(facts.document, DocumentFact::NotRead) {
        return None;
    }
    match facts.settings.mode {
        Mode::Sync => Some(Step::ReadStore),
        Mode::Login => is_store_due_at_login(facts).then_some(Step::ReadStore),
        Mode::Watch | Mode::Command(_) => None,
    }
}

fn is_store_due_at_login(facts: &Facts) -> bool {
    if facts.settings.store == StoreKind::Local {
        return false; // it is the history, which is known already
    }
    if facts.contact.last_failure.is_some_and(|at| at.is_within(STORE_BACKOFF, facts.now)) {
        return false;
    }
    let answered_lately = facts
        .contact
        .last_success
        .is_some_and(|at| at.is_within(facts.settings.login_refresh_after, facts.now));
    let has_had_one = !facts.ledger.generations.is_empty() || !matches!(facts.login, LoginFileState::Missing);
    let may_mend = facts.settings.oauth_backup && facts.active_token().is_none();
    let needs_mending = may_mend && facts.login.needs_restore() && has_had_one;
    needs_mending || !answered_lately
}

/// The env file follows what the store says, and stays as it is whenever the store does not say anything certain.
fn sync_env_file(facts: &Facts) -> Option<Step> {
    if facts.done.env_file.is_some() {
        return None;
    }
    match (&facts.document()?.setup_token, &facts.env_file) {
        (TokenFact::Token(_), EnvFileFact::Unreadable(_)) => None,
        (TokenFact::Token(wanted), found) => {
            (*found != EnvFileFact::Token(*wanted)).then_some(Step::WriteEnvFile)
        }
        (TokenFact::Withdrawn, EnvFileFact::Token(_) | EnvFileFact::Malformed(_)) => {
            Some(Step::RemoveEnvFile)
        }
        _ => None,
    }
}

/// While a setup-token is in use the login file is left alone: Claude Code does not look at it.
fn handle_setup_token(facts: &Facts) -> Option<Step> {
    let token = facts.active_token()?;
    let subject = VerificationTarget::SetupToken(token);
    Some(probe(facts, subject).unwrap_or_else(|| report(facts)))
}

fn handle_login(facts: &Facts) -> Option<Step> {
    match &facts.login {
        LoginFileState::Valid(login) => probe(facts, VerificationTarget::Login(login.generation))
            .or_else(|| after_verification(facts, login)),
        LoginFileState::AccessTokenExpired(login) => {
            refresh_run(facts, login).or_else(|| after_verification(facts, login))
        }
        // The watcher has nobody to ask for a copy that is still good: the sync is.
        LoginFileState::ClearedByClient | LoginFileState::Invalid(_) | LoginFileState::Missing
            if facts.settings.mode != Mode::Watch =>
        {
            restore(facts, candidate::for_a_broken_login(facts))
        }
        _ => None,
    }
}

/// What follows once it is known, or cannot be known, whether the login in the file is alive.
fn after_verification(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    if facts.verdict(VerificationTarget::Login(login.generation)).is_some_and(Verification::is_rejected) {
        return restore(facts, candidate::for_a_rejected_login(facts, login))
            .or_else(|| roll_back(facts, login))
            .or_else(|| refresh_run(facts, login));
    }
    backup::next_location(facts, login).map(|place| Step::Backup(login.generation, place))
}

fn probe(facts: &Facts, subject: VerificationTarget) -> Option<Step> {
    let possible = facts.done.probes < MAX_PROBES && facts.verdict(subject).is_none();
    (verifies(facts) && possible).then_some(Step::Probe(subject))
}

/// Claude Code refreshes a login when its access token is stale, or was refused however fresh it looked. It is not let at
/// one whose refresh token is spent, or may be: replaying that can end the login of everybody who lives by a later one.
fn refresh_run(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    let untried = facts.done.refresh_run.is_none() && facts.done.roll_back.is_none();
    let may_be_spent = candidate::may_be_spent(facts, login);
    (verifies(facts) && untried && !may_be_spent && !facts.refreshing).then_some(Step::RefreshRun)
}

fn verifies(facts: &Facts) -> bool {
    facts.settings.can_verify && facts.settings.mode.is_background()
}

fn restore(facts: &Facts, candidate: Option<(&LoginSummary, BackupLocation)>) -> Option<Step> {
    if facts.done.restore.is_some() || facts.done.roll_back.is_some() || !facts.settings.oauth_backup {
        return None;
    }
    candidate.map(|(login, source)| Step::Restore(login.generation, source))
}

/// A login that was put back, by this run or by a login before it, and was rejected, makes room for what it replaced: once the
/// ledger has the rejection, so that it is not put back again.
fn roll_back(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    let was_put_back = facts.ledger.unverified_restore == Some(login.generation);
    let is_noted = facts.ledger.fate(login.generation) == Some(GenerationState::Rejected);
    let may_put_back = facts.settings.oauth_backup && facts.done.roll_back.is_none();
    (was_put_back && is_noted && may_put_back).then_some(Step::RollBack)
}
