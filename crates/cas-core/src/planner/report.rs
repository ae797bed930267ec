//! Creates the outcome of a run from the facts at its end.

use super::details::{details, is_warning};
use super::setup_token::Activation;
use super::{
    Command, DocumentFact, Facts, Ineligible, LoginFileState, Mode, VerificationTarget, backup, candidate,
    commands, eligibility, setup_token,
};
use crate::config::StoreKind;
use crate::credential::expiry::{CredentialKind, Expiry};
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::login::{LoginSummary, NotRefreshable, UnrefreshedToken};
use crate::credential::verification::Verification;
use crate::fs::obstacle::Obstacle;
use crate::outcome::{BackupLocation, Detail, Finding, Outcome, Status};
use crate::store::StoreError;

pub(super) fn outcome(facts: &Facts) -> Outcome {
    let (status, finding) = finding(facts);
    let notes = details(facts);
    let (expiry, expiry_warning) = expiry(facts, &finding);
    let is_expiry_warned = expiry_warning.is_some() && facts.settings.mode == Mode::Sync;
    let status = match status {
        _ if notes.contains(&Detail::SetupTokenRejected) || notes.contains(&Detail::SetupTokenRefused) => {
            Status::Fail
        }
        // An administrator has to know of an offboarded user who still runs syncs.
        _ if facts.settings.mode.is_background() && facts.is_offboarded() => Status::Fail,
        // Without access to the store there are no backups, so a sync fails; a login only reports
        // it.
        Status::Ok | Status::Warn if facts.settings.mode.is_background() && is_refused(facts) => Status::Fail,
        Status::Ok if notes.iter().any(is_warning) || is_expiry_warned => Status::Warn,
        status => status,
    };
    Outcome { wants_sync: wants_sync(facts), notes, expiry, expiry_warning, ..Outcome::new(status, finding) }
}

/// Returns the expiry of the active credential, and a warning if it is due. A rejected credential
/// and an outdated login get no warning, because their remedy is another one.
fn expiry(facts: &Facts, finding: &Finding) -> (Option<Expiry>, Option<ExpiryWarning>) {
    let (kind, expiry, verdict) = match finding {
        Finding::SetupToken { token, verdict } => {
            (CredentialKind::SetupToken, facts.ledger.setup_tokens.expiry(*token), verdict.as_ref())
        }
        Finding::Login { login, verdict }
        | Finding::Stale { login, verdict }
        | Finding::Restored { login, verdict, .. } => {
            (CredentialKind::Login, Expiry::for_login(login), verdict.as_ref())
        }
        Finding::Refreshing(login) => (CredentialKind::Login, Expiry::for_login(login), None),
        Finding::UnrefreshedToken { token, verdict } => {
            let expiry = facts.ledger.setup_tokens.unrefreshed_token_expiry(*token, facts.now);
            (CredentialKind::Login, Some(expiry), verdict.as_ref())
        }
        finding => return (finding.login().and_then(Expiry::for_login), None),
    };
    let is_refused = matches!(verdict, Some(Verification::Rejected { .. }));
    let warning =
        expiry.filter(|_| !is_refused).and_then(|expiry| ExpiryWarning::check(facts.now, kind, expiry));
    (expiry, warning)
}

fn finding(facts: &Facts) -> (Status, Finding) {
    let of_command = match facts.settings.mode {
        Mode::Command(command) => commands::finding(command, facts),
        Mode::Login | Mode::Sync | Mode::Watch => None,
    };
    of_command.or_else(|| setup_token_finding(facts)).unwrap_or_else(|| login_finding(facts))
}

fn setup_token_finding(facts: &Facts) -> Option<(Status, Finding)> {
    let token = facts.active_token().filter(|_| !commands::is_about_login(facts.settings.mode))?;
    let verdict = facts.verdict(VerificationTarget::SetupToken(token)).cloned();
    Some((status_after(verdict.as_ref(), Status::Ok), Finding::SetupToken { token, verdict }))
}

fn login_finding(facts: &Facts) -> (Status, Finding) {
    let is_command = matches!(facts.settings.mode, Mode::Command(_));
    if let Some(sign_out) = facts.sign_out.filter(|_| !is_command) {
        return (Status::Ok, Finding::SignedOut(sign_out));
    }
    if let Some(obstacle) = &facts.done.obstacle {
        return obstructed(facts, obstacle);
    }
    match &facts.login {
        LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login)
            if is_restored(facts, login) =>
        {
            restored(facts, login)
        }
        LoginFileState::Valid(login) => {
            let verdict = facts.verdict(VerificationTarget::Login(login.generation)).cloned();
            (status_after(verdict.as_ref(), Status::Ok), Finding::Login { login: login.clone(), verdict })
        }
        LoginFileState::AccessTokenExpired(login) if facts.refreshing => {
            (Status::Ok, Finding::Refreshing(login.clone()))
        }
        LoginFileState::AccessTokenExpired(login)
            if facts.settings.can_verify && candidate::may_be_superseded(facts, login) =>
        {
            let is_certain = candidate::is_superseded(facts, login);
            let status = if is_certain { Status::Fail } else { Status::Warn };
            (status, Finding::StaleCopy { login: login.clone(), is_certain })
        }
        LoginFileState::AccessTokenExpired(login) => {
            let verdict = facts.done.refresh_run.clone();
            (status_after(verdict.as_ref(), Status::Ok), Finding::Stale { login: login.clone(), verdict })
        }
        LoginFileState::NotRefreshable(login) => not_refreshable(facts, login),
        LoginFileState::Unreadable(why) => (Status::Warn, Finding::Skipped(why.clone())),
        LoginFileState::ClearedByClient => {
            unusable(facts, commands::unusable_state(&facts.login).unwrap_or_default())
        }
        LoginFileState::Invalid(why) => unusable(facts, &format!("the login file is damaged ({why})")),
        LoginFileState::Missing
            if facts.settings.mode == Mode::Watch || eligibility::has_never_signed_in(facts) =>
        {
            (Status::Ok, Finding::NoLogin)
        }
        LoginFileState::Missing => unusable(facts, "there is no login"),
    }
}

const UNTIL_EXPIRY: &str = "Claude Code uses it until it expires, then run `cas-sync login`";

/// Returns the finding for a login that Claude Code does not refresh.
fn not_refreshable(facts: &Facts, login: &NotRefreshable) -> (Status, Finding) {
    let skipped = |remedy| (Status::Warn, Finding::Skipped(format!("{}; {remedy}", login.why)));
    let is_verification =
        !matches!(facts.settings.mode, Mode::Command(Command::Backup | Command::Restore(_)));
    let Some(token) = login.token.filter(|_| is_verification) else {
        return skipped(UNTIL_EXPIRY);
    };
    let verdict = facts.verdict(VerificationTarget::UnrefreshedToken(token.fingerprint)).cloned();
    if token.has_refresh_token && verdict.is_none() {
        return skipped(UNTIL_EXPIRY);
    }
    if token.has_refresh_token && verdict.as_ref().is_some_and(Verification::is_rejected) {
        return skipped(
            "the Anthropic API rejects it, and Claude Code tries its refresh token at its next start; if that fails, run `cas-sync login`",
        );
    }
    (status_after(verdict.as_ref(), Status::Ok), Finding::UnrefreshedToken { token, verdict })
}

/// Returns the finding for an obstacle.
fn obstructed(facts: &Facts, obstacle: &Obstacle) -> (Status, Finding) {
    let state = match &facts.login {
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_) => {
            "the login must be refreshed or replaced"
        }
        LoginFileState::Unreadable(_) | LoginFileState::NotRefreshable(_) => "the login file is not changed",
        login => commands::unusable_state(login).unwrap_or_default(),
    };
    let Outcome { status, finding, .. } = Outcome::obstructed(state.to_owned(), obstacle.clone());
    (if facts.settings.mode == Mode::Sync { status } else { Status::Fail }, finding)
}

fn restored(facts: &Facts, login: &LoginSummary) -> (Status, Finding) {
    let is_fresh = matches!(facts.login, LoginFileState::Valid(_));
    let from_server = facts.settings.store == StoreKind::Vault;
    let restored = facts.done.restore.as_ref().filter(|_| from_server);
    let source = restored.map_or(BackupLocation::LocalHistory, |restored| restored.source);
    let verdict = facts
        .verdict(VerificationTarget::Login(login.generation))
        .or(facts.done.refresh_run.as_ref())
        .cloned();
    let status = status_after(verdict.as_ref(), Status::Recovered);
    (status, Finding::Restored { login: login.clone(), is_fresh, source, verdict })
}

/// Returns the finding for a login that is still unusable at the end: a later run may restore it,
/// or the user must sign in.
fn unusable(facts: &Facts, state: &str) -> (Status, Finding) {
    let restored = facts.done.restore.as_ref();
    let written = restored.filter(|restored| restored.result.is_ok());
    let verdict =
        written.and_then(|restored| facts.verdict(VerificationTarget::Login(restored.login.generation)));
    let state = match written {
        Some(restored) if verdict.is_some_and(Verification::is_rejected) => {
            format!("{state}, the backup restored from {} was rejected by the Anthropic API", restored.source)
        }
        _ => state.to_owned(),
    };
    let restore_failed = |why: String| (Status::Warn, Finding::RestoreFailed { state: state.clone(), why });
    if !facts.settings.oauth_backup {
        let state = format!("{state}, backups are disabled on this machine (oauth_backup = false)");
        return (Status::Fail, Finding::Unrecoverable { state });
    }
    if let Some(Err(why)) = restored.map(|restored| &restored.result) {
        // A sync follows a login and the watcher at once.
        let status = if facts.settings.mode.is_background() { Status::Fail } else { Status::Warn };
        return (status, Finding::RestoreFailed { state, why: why.clone() });
    }
    if written.is_some() && verdict.is_none() {
        return restore_failed("it was restored, then overwritten by another process".into());
    }
    if candidate::restore_limit_reached(facts) {
        return restore_failed(
            "it was restored several times within the hour; find the process that keeps overwriting it"
                .into(),
        );
    }
    if facts.ledger.is_repointed(facts.place) {
        return restore_failed(Ineligible::LinkRepointed.to_string());
    }
    if facts.settings.mode == Mode::Watch {
        return restore_failed(
            "this machine has no backup with a valid access token; the sync looks for one".into(),
        );
    }
    match &facts.document {
        DocumentFact::Read(document) if document.is_offboarded => {
            restore_failed("this machine has no backup, and the one in the store must not be used".into())
        }
        DocumentFact::Unreadable(
            StoreError::Refused { .. } | StoreError::Misconfigured { .. } | StoreError::Deleted { .. },
        ) => restore_failed("this machine has no backup and the store returned none".into()),
        DocumentFact::Unreadable(_) => {
            restore_failed("this machine has no backup and the store did not answer".into())
        }
        DocumentFact::NotRead if facts.settings.store == StoreKind::Vault => {
            restore_failed("this machine has no backup and the store is not asked again so soon".into())
        }
        DocumentFact::Read(_) if candidate::is_from_another_machine(facts) => {
            let state = format!("{state}, the backup in the store is used by another machine");
            (Status::Fail, Finding::Unrecoverable { state })
        }
        DocumentFact::NotRead | DocumentFact::Read(_) if candidate::all_belong_to_other_account(facts) => {
            let state = format!("{state}, all backups belong to another account than the one used last");
            (Status::Fail, Finding::Unrecoverable { state })
        }
        DocumentFact::NotRead | DocumentFact::Read(_) => (Status::Fail, Finding::Unrecoverable { state }),
    }
}

fn status_after(verdict: Option<&Verification>, otherwise: Status) -> Status {
    match verdict {
        None | Some(Verification::Ok | Verification::RateLimited) => otherwise,
        Some(Verification::Rejected { .. }) => Status::Fail,
        Some(Verification::ClientUnusable(_) | Verification::Inconclusive(_))
            if otherwise == Status::Recovered =>
        {
            Status::Recovered
        }
        Some(Verification::ClientUnusable(_) | Verification::Inconclusive(_)) => Status::Warn,
    }
}

fn is_refused(facts: &Facts) -> bool {
    facts.is_offboarded()
        || matches!(
            facts.document,
            DocumentFact::Unreadable(StoreError::Refused { .. } | StoreError::Misconfigured { .. })
        )
}

/// Returns true if the login in the file was restored by this run, or was refreshed by Claude Code
/// from the restored one.
fn is_restored(facts: &Facts, login: &LoginSummary) -> bool {
    let was_refreshed = facts.done.refresh_run.as_ref().is_some_and(Verification::is_alive)
        && facts.verdict(VerificationTarget::Login(login.generation)).is_some_and(Verification::is_alive);
    facts.done.restore.as_ref().is_some_and(|restored| {
        restored.result.is_ok() && (restored.login.generation == login.generation || was_refreshed)
    })
}

/// Returns true if a sync should follow, for what a login or the watcher cannot do or decide.
fn wants_sync(facts: &Facts) -> bool {
    let at_login = match facts.settings.mode {
        Mode::Sync => return false,
        // The sync backs up a login that a command restored, and reports it in its state.
        Mode::Command(_) => {
            return facts.done.restore.as_ref().is_some_and(|restored| restored.result.is_ok());
        }
        Mode::Login => true,
        Mode::Watch => false,
    };
    let is_pending = |token| setup_token::activation(facts, token) == Activation::Pending;
    if at_login && !facts.asked_lately && setup_token::new_token(facts).is_some_and(is_pending) {
        return true;
    }
    let is_signed_out = facts.sign_out.is_some();
    if facts.active_token().is_some() || is_signed_out || (facts.asked_lately && !has_changed(facts)) {
        return false;
    }
    match &facts.login {
        LoginFileState::Valid(login) => {
            let is_new = match facts.settings.oauth_backup {
                true => facts.done.history_backup.is_some() || !backup::in_history(facts, login),
                false => facts.ledger.first_seen(login.generation) == Some(facts.now),
            };
            is_restored(facts, login) || (at_login && is_new)
        }
        LoginFileState::AccessTokenExpired(_) => at_login,
        LoginFileState::ClearedByClient | LoginFileState::Invalid(_) => true,
        LoginFileState::Missing => at_login && !eligibility::has_never_signed_in(facts),
        LoginFileState::NotRefreshable(login) => {
            let is_new =
                |token: UnrefreshedToken| facts.ledger.setup_tokens.first_seen(token.fingerprint).is_none();
            at_login && login.token.is_some_and(is_new)
        }
        LoginFileState::Unreadable(_) => false,
    }
}

/// Returns true if this run has changed something that the sync has to check.
fn has_changed(facts: &Facts) -> bool {
    let done = &facts.done;
    matches!(done.history_backup, Some(Ok(())))
        || matches!(done.env_file, Some(Ok(_)))
        || done.restore.as_ref().is_some_and(|restored| restored.result.is_ok())
}
