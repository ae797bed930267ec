//! All policy: one pure, total function from facts to the next step. Logins, syncs, the watcher and
//! commands use the same planner with different settings. The engine gathers facts and executes
//! steps until the planner returns `Report`.
//!
//! The planner, not its callers, guarantees the invariants I1 to I8 of `docs/architecture.md`.
//! `crates/cas-core/tests/planner_invariants/` tests them with random histories.

mod backup;
mod candidate;
mod commands;
mod details;
mod eligibility;
mod facts;
mod refresh;
mod report;
mod setup_token;

use std::time::Duration;

pub use eligibility::{Backup, Ineligible, backups};
pub use facts::{
    BackupFilter, Command, DocumentFact, DocumentSummary, EnvFileChange, EnvFileFact, Facts, Mode, Progress,
    Restored, Settings, StoreContact, Target, TokenFact, VerificationTarget,
};
pub use refresh::attribute_refresh;

use crate::config::StoreKind;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::ledger::GenerationState;
use crate::outcome::{BackupLocation, Outcome};

/// How long logins do not ask a store that failed.
pub const STORE_BACKOFF: Duration = Duration::from_secs(60);

/// The maximum number of verifications by value in one run.
pub const MAX_PROBES: usize = 2;

/// The next step. Each step except the last is executed and its result recorded in the facts; then
/// the planner is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the user's document.
    ReadStore,
    /// Write the store's setup-token to the env file.
    WriteEnvFile,
    /// Remove the env file.
    RemoveEnvFile,
    /// Copy the setup token of the local store to Vault.
    CopyToken(Fingerprint),
    /// Remove the setup token from the local store, which is not the store any more.
    RemoveLocalToken,
    /// Verify a credential by value, in a scratch home.
    Probe(VerificationTarget),
    /// Run Claude Code in the user's home, so that it refreshes the login.
    RefreshRun,
    /// Replace the login in the credential file by this backup.
    Restore(RefreshTokenId, BackupLocation),
    /// Roll back the restore.
    RollBack,
    /// Back up the login in the credential file to this location.
    Backup(RefreshTokenId, BackupLocation),
    /// End the run.
    Report(Box<Outcome>),
}

/// Decides the next step.
pub fn next(facts: &Facts) -> Step {
    let step = match facts.settings.mode {
        Mode::Command(command) => commands::next(command, facts),
        Mode::Login | Mode::Sync | Mode::Watch => restore_fresh_backup(facts)
            .or_else(|| read_store(facts))
            .or_else(|| setup_token::copy_to_vault(facts))
            .or_else(|| setup_token::sync_env_file(facts))
            .or_else(|| setup_token::remove_local_token(facts))
            .or_else(|| handle_setup_token(facts))
            .or_else(|| handle_login(facts)),
    };
    step.unwrap_or_else(|| report(facts))
}

fn report(facts: &Facts) -> Step {
    Step::Report(Box::new(report::outcome(facts)))
}

/// At a login and in the watcher, restores a valid local backup before any request to the store.
fn restore_fresh_backup(facts: &Facts) -> Option<Step> {
    let is_due = match facts.settings.mode {
        Mode::Login => facts.login.needs_restore(),
        // A deleted file may be intended. If it was an accident, the next login restores it.
        Mode::Watch => facts.login.needs_restore() && facts.login != LoginFileState::Missing,
        Mode::Sync | Mode::Command(_) => false,
    };
    if !facts.settings.oauth_backup || facts.active_token().is_some() {
        return None;
    }
    match facts.settings.mode {
        Mode::Login | Mode::Watch if !facts.login.needs_restore() => {
            restore(facts, candidate::fresh_successor_from_history(facts))
        }
        _ if is_due => restore(facts, candidate::fresh_from_history(facts)),
        _ => None,
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
        return false; // the local store is the history, which was read already
    }
    if facts.contact.last_failure.is_some_and(|at| at.is_within(STORE_BACKOFF, facts.now)) {
        return false;
    }
    let is_fresh = facts
        .contact
        .last_success
        .is_some_and(|at| at.is_within(facts.settings.login_refresh_after, facts.now));
    let had_login = !facts.ledger.generations.is_empty() || !matches!(facts.login, LoginFileState::Missing);
    let may_restore = facts.settings.oauth_backup && facts.active_token().is_none();
    let needs_restore = may_restore && facts.login.needs_restore() && had_login && facts.sign_out.is_none();
    needs_restore || !is_fresh
}

/// While a setup token is active, the login file is not changed, because Claude Code does not read
/// it.
fn handle_setup_token(facts: &Facts) -> Option<Step> {
    let token = facts.active_token()?;
    let subject = VerificationTarget::SetupToken(token);
    Some(probe(facts, subject).unwrap_or_else(|| report(facts)))
}

fn handle_login(facts: &Facts) -> Option<Step> {
    let is_watch = facts.settings.mode == Mode::Watch;
    if let Some(step) = restore(facts, candidate::successor(facts).filter(|_| !is_watch)) {
        return Some(step);
    }
    match &facts.login {
        LoginFileState::Valid(login) => probe(facts, VerificationTarget::Login(login.generation))
            .or_else(|| after_verification(facts, login)),
        LoginFileState::AccessTokenExpired(login) => {
            refresh_run(facts, login).or_else(|| after_verification(facts, login))
        }
        LoginFileState::NotRefreshable(login) => {
            probe(facts, VerificationTarget::UnrefreshedToken(login.token?.fingerprint))
        }
        // A backup with an expired access token is left to the sync, which can ask the store.
        LoginFileState::ClearedByClient | LoginFileState::Invalid(_) | LoginFileState::Missing
            if facts.settings.mode != Mode::Watch =>
        {
            restore(facts, candidate::for_unusable_login(facts))
        }
        _ => None,
    }
}

/// Returns the step after the verification of the login in the file.
fn after_verification(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    if facts.verdict(VerificationTarget::Login(login.generation)).is_some_and(Verification::is_rejected) {
        return restore(facts, candidate::for_rejected_login(facts, login))
            .or_else(|| roll_back(facts, login))
            .or_else(|| refresh_run(facts, login));
    }
    backup::next_location(facts, login).map(|place| Step::Backup(login.generation, place))
}

fn probe(facts: &Facts, subject: VerificationTarget) -> Option<Step> {
    let is_possible = facts.done.probes < MAX_PROBES && facts.verdict(subject).is_none();
    (verifies(facts) && is_possible).then_some(Step::Probe(subject))
}

/// Lets Claude Code refresh a login whose access token has expired or was rejected. Never for a
/// login that is or may be superseded: reusing a consumed refresh token can revoke the login for
/// all its sessions.
fn refresh_run(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    let is_first = facts.done.refresh_run.is_none() && facts.done.roll_back.is_none();
    let is_first = is_first && facts.done.obstacle.is_none();
    let may_be_superseded = candidate::may_be_superseded(facts, login);
    (verifies(facts) && is_first && !may_be_superseded && !facts.refreshing).then_some(Step::RefreshRun)
}

fn verifies(facts: &Facts) -> bool {
    facts.settings.can_verify && facts.settings.mode.is_background()
}

fn restore(facts: &Facts, candidate: Option<(&LoginSummary, BackupLocation)>) -> Option<Step> {
    let is_tried = facts.done.restore.is_some() || facts.done.roll_back.is_some();
    let is_signed_out = facts.sign_out.is_some() || facts.ledger.signed_out.is_some();
    let is_intended = is_signed_out && !matches!(facts.settings.mode, Mode::Command(_));
    if is_tried || is_intended || !facts.settings.oauth_backup || facts.ledger.is_repointed(facts.place) {
        return None;
    }
    candidate.map(|(login, source)| Step::Restore(login.generation, source))
}

/// Rolls back a restored login that was rejected, whether this run or an earlier one restored it.
/// The rejection must be in the ledger, so that the login is not restored again.
fn roll_back(facts: &Facts, login: &LoginSummary) -> Option<Step> {
    let was_restored = facts.ledger.unverified_restore == Some(login.generation);
    let is_recorded = facts.ledger.generation_state(login.generation) == Some(GenerationState::Rejected);
    let may_write = facts.settings.oauth_backup
        && facts.done.roll_back.is_none()
        && !facts.ledger.is_repointed(facts.place);
    (was_restored && is_recorded && may_write).then_some(Step::RollBack)
}
