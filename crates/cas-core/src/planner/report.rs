//! The one outcome of a run, from the facts at its end.

use super::{
    Command, DocumentFact, EnvFileChange, EnvFileFact, Facts, LoginFileState, Mode, TokenFact,
    VerificationTarget, backup, candidate, commands, eligibility,
};
use crate::config::StoreKind;
use crate::credential::expiry::{CredentialKind, Expiry};
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verification;
use crate::outcome::{BackupLocation, Detail, Finding, Outcome, Status};
use crate::store::StoreError;

pub(super) fn outcome(facts: &Facts) -> Outcome {
    let (status, finding) = finding(facts);
    let notes = notes(facts);
    let (lapse, lapsing) = lapse(facts, &finding);
    let is_warned_of = lapsing.is_some() && facts.settings.mode == Mode::Sync;
    let status = match status {
        // Whose token or rights are refused is not backed up until somebody acts; a login only says so.
        Status::Ok | Status::Warn if facts.settings.mode.is_background() && is_refused(facts) => Status::Fail,
        Status::Ok if notes.iter().any(is_a_warning) || is_warned_of => Status::Warn,
        status => status,
    };
    Outcome { wants_sync: wants_sync(facts), notes, lapse, lapsing, ..Outcome::new(status, finding) }
}

/// The end of the credential in use, and whether there is something to say of it: not of one that is refused, which needs
/// somebody today, nor of an old copy, which ends for another reason.
fn lapse(facts: &Facts, finding: &Finding) -> (Option<Expiry>, Option<ExpiryWarning>) {
    let (kind, lapse, verdict) = match finding {
        Finding::SetupToken { token, verdict } => {
            (CredentialKind::SetupToken, facts.ledger.setup_tokens.lapse(*token), verdict.as_ref())
        }
        Finding::Login { login, verdict }
        | Finding::Stale { login, verdict }
        | Finding::Restored { login, verdict, .. } => {
            (CredentialKind::Login, Expiry::for_login(login), verdict.as_ref())
        }
        Finding::Refreshing(login) => (CredentialKind::Login, Expiry::for_login(login), None),
        finding => return (finding.login().and_then(Expiry::for_login), None),
    };
    let is_refused = matches!(verdict, Some(Verification::Rejected { .. }));
    let lapsing =
        lapse.filter(|_| !is_refused).and_then(|lapse| ExpiryWarning::check(facts.now, kind, lapse));
    (lapse, lapsing)
}

fn finding(facts: &Facts) -> (Status, Finding) {
    let of_errand = match facts.settings.mode {
        Mode::Command(errand) => commands::finding(errand, facts),
        Mode::Login | Mode::Sync | Mode::Watch => None,
    };
    of_errand.or_else(|| of_setup_token(facts)).unwrap_or_else(|| of_login(facts))
}

fn of_setup_token(facts: &Facts) -> Option<(Status, Finding)> {
    let token = facts.active_token().filter(|_| !commands::is_about_the_login(facts.settings.mode))?;
    let verdict = facts.verdict(VerificationTarget::SetupToken(token)).cloned();
    Some((status_of(verdict.as_ref(), Status::Ok), Finding::SetupToken { token, verdict }))
}

fn of_login(facts: &Facts) -> (Status, Finding) {
    match &facts.login {
        LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login)
            if is_restored(facts, login) =>
        {
            restored(facts, login)
        }
        LoginFileState::Valid(login) => {
            let verdict = facts.verdict(VerificationTarget::Login(login.generation)).cloned();
            (status_of(verdict.as_ref(), Status::Ok), Finding::Login { login: login.clone(), verdict })
        }
        LoginFileState::AccessTokenExpired(login) if facts.refreshing => {
            (Status::Ok, Finding::Refreshing(login.clone()))
        }
        LoginFileState::AccessTokenExpired(login)
            if facts.settings.can_verify && candidate::may_be_spent(facts, login) =>
        {
            let is_certain = candidate::is_spent(facts, login);
            let status = if is_certain { Status::Fail } else { Status::Warn };
            (status, Finding::StaleCopy { login: login.clone(), is_certain })
        }
        LoginFileState::AccessTokenExpired(login) => {
            let verdict = facts.done.refresh_run.clone();
            (status_of(verdict.as_ref(), Status::Ok), Finding::Stale { login: login.clone(), verdict })
        }
        LoginFileState::NotRefreshable(why) => {
            let remedy = "Claude Code uses it as long as it lasts, then `cas-sync login` makes a whole one";
            (Status::Warn, Finding::Skipped(format!("{why}; {remedy}")))
        }
        LoginFileState::Unreadable(why) => (Status::Warn, Finding::Skipped(why.clone())),
        LoginFileState::ClearedByClient => broken(facts, commands::broken(&facts.login).unwrap_or_default()),
        LoginFileState::Invalid(why) => broken(facts, &format!("the login file is damaged ({why})")),
        LoginFileState::Missing
            if facts.settings.mode == Mode::Watch || eligibility::has_never_signed_in(facts) =>
        {
            (Status::Ok, Finding::NoLogin)
        }
        LoginFileState::Missing => broken(facts, "there is no login"),
    }
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
    let status = status_of(verdict.as_ref(), Status::Recovered);
    (status, Finding::Restored { login: login.clone(), is_fresh, source, verdict })
}

/// What is said of a login that is still broken at the end: try later, or a person must act.
fn broken(facts: &Facts, state: &str) -> (Status, Finding) {
    let restored = facts.done.restore.as_ref();
    let back = restored.filter(|restored| restored.result.is_ok());
    let verdict =
        back.and_then(|restored| facts.verdict(VerificationTarget::Login(restored.login.generation)));
    let state = match back {
        Some(restored) if verdict.is_some_and(Verification::is_rejected) => {
            format!("{state}, the copy put back from {} was rejected by the server", restored.source)
        }
        _ => state.to_owned(),
    };
    let unmended = |why: String| (Status::Warn, Finding::RestoreFailed { state: state.clone(), why });
    if !facts.settings.oauth_backup {
        let state = format!("{state}, no copies are kept here (oauth_backup = false),");
        return (Status::Fail, Finding::Unrecoverable { state });
    }
    if let Some(Err(why)) = restored.map(|restored| &restored.result) {
        return unmended(why.clone());
    }
    if back.is_some() && verdict.is_none() {
        return unmended("it was put back, and somebody overwrote it again at once".into());
    }
    if candidate::restore_limit_reached(facts) {
        return unmended(
            "it was put back several times within the hour; find what keeps overwriting it".into(),
        );
    }
    if facts.settings.mode == Mode::Watch {
        return unmended(
            "this machine has no copy whose access token is still good; the sync looks for one".into(),
        );
    }
    match &facts.document {
        DocumentFact::Unreadable(
            StoreError::Refused { .. } | StoreError::Misconfigured { .. } | StoreError::Deleted { .. },
        ) => unmended("this machine has no good copy and the store gave none".into()),
        DocumentFact::Unreadable(_) => {
            unmended("this machine has no good copy and the store did not answer".into())
        }
        DocumentFact::NotRead if facts.settings.store == StoreKind::Vault => {
            unmended("this machine has no good copy and the store is not asked again so soon".into())
        }
        DocumentFact::Read(_) if candidate::belongs_to_another_machine(facts) => {
            let state = format!("{state}, the copy in the store is in use on another machine,");
            (Status::Fail, Finding::Unrecoverable { state })
        }
        DocumentFact::NotRead | DocumentFact::Read(_) if candidate::all_belong_to_other_account(facts) => {
            let state = format!("{state}, the copies kept are another account's than the one used last,");
            (Status::Fail, Finding::Unrecoverable { state })
        }
        DocumentFact::NotRead | DocumentFact::Read(_) => (Status::Fail, Finding::Unrecoverable { state }),
    }
}

fn status_of(verdict: Option<&Verification>, otherwise: Status) -> Status {
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

fn notes(facts: &Facts) -> Vec<Detail> {
    let done = &facts.done;
    let env_file = match &done.env_file {
        Some(Ok(EnvFileChange::Written)) => Some(Detail::EnvFileWritten),
        Some(Ok(EnvFileChange::Removed)) => Some(Detail::EnvFileRemoved),
        Some(Err(why)) => Some(Detail::EnvFileUpdateFailed(why.clone())),
        None => match &facts.env_file {
            EnvFileFact::Malformed(why) | EnvFileFact::Unreadable(why) => {
                Some(Detail::EnvFileInvalid(why.clone()))
            }
            EnvFileFact::Absent | EnvFileFact::Token(_) => None,
        },
    };
    let field = facts.document().and_then(|document| match &document.setup_token {
        TokenFact::Malformed(why) => Some(Detail::SetupTokenFieldInvalid(why.clone())),
        _ => None,
    });
    let roll_back = done.roll_back.as_ref().map(|result| match result {
        Ok(()) => Detail::RolledBack,
        Err(why) => Detail::NotRolledBack(why.clone()),
    });
    let backup = |result: &Option<Result<(), String>>, source| {
        result.as_ref().map(|result| match result {
            Ok(()) => Detail::BackedUp(source),
            Err(why) => Detail::NotBackedUp(format!("{source}: {why}")),
        })
    };
    let store = match &facts.document {
        DocumentFact::Unreadable(failure) => Some(Detail::Store(failure.clone())),
        _ => None,
    };
    let backs_up = match facts.settings.mode {
        Mode::Sync => facts.active_token().is_none(),
        Mode::Command(errand) => errand == Command::Backup,
        Mode::Login | Mode::Watch => false,
    };
    let refusal = |login| {
        let distrust = || {
            matches!(facts.settings.mode, Mode::Command(_)).then(|| backup::untrusted_reason(facts, login))
        };
        backup::store_refusal(facts, login).or_else(|| distrust().flatten())
    };
    [
        env_file,
        field,
        roll_back,
        backup(&done.history_backup, BackupLocation::LocalHistory),
        backup(&done.store_backup, BackupLocation::Store),
    ]
    .into_iter()
    .flatten()
    .chain(facts.login.login().filter(|_| backs_up).and_then(refusal).map(Detail::NotBackedUp))
    .chain(store)
    .chain(left_over(facts))
    .collect()
}

/// A sync says where copies are that are not to be kept any more; they are left to whoever switched that off.
fn left_over(facts: &Facts) -> Option<Detail> {
    let places = backup::remaining_backups(facts);
    (facts.settings.mode == Mode::Sync && !places.is_empty()).then_some(Detail::BackupsRemain(places))
}

fn is_refused(facts: &Facts) -> bool {
    matches!(
        facts.document,
        DocumentFact::Unreadable(StoreError::Refused { .. } | StoreError::Misconfigured { .. })
    )
}

fn is_a_warning(note: &Detail) -> bool {
    matches!(
        note,
        Detail::EnvFileInvalid(_)
            | Detail::EnvFileUpdateFailed(_)
            | Detail::SetupTokenFieldInvalid(_)
            | Detail::NotBackedUp(_)
            | Detail::NotRolledBack(_)
            | Detail::Store(_)
    )
}

/// Whether what lies there was put back by this run, or was refreshed from that by Claude Code itself.
fn is_restored(facts: &Facts, login: &LoginSummary) -> bool {
    let was_refreshed = facts.done.refresh_run.as_ref().is_some_and(Verification::is_alive)
        && facts.verdict(VerificationTarget::Login(login.generation)).is_some_and(Verification::is_alive);
    facts.done.restore.as_ref().is_some_and(|restored| {
        restored.result.is_ok() && (restored.login.generation == login.generation || was_refreshed)
    })
}

/// A login, and the watcher, leave to the sync what they could not do or may not judge.
fn wants_sync(facts: &Facts) -> bool {
    let at_login = match facts.settings.mode {
        Mode::Sync => return false,
        // Whatever was put back by hand, the sync backs up, and tells of in its state.
        Mode::Command(_) => {
            return facts.done.restore.as_ref().is_some_and(|restored| restored.result.is_ok());
        }
        Mode::Login => true,
        Mode::Watch => false,
    };
    if facts.active_token().is_some() || (facts.asked_lately && !has_changed(facts)) {
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
        LoginFileState::NotRefreshable(_) | LoginFileState::Unreadable(_) => false,
    }
}

/// Whether this very run has given the sync something new to look at.
fn has_changed(facts: &Facts) -> bool {
    let done = &facts.done;
    matches!(done.history_backup, Some(Ok(())))
        || matches!(done.env_file, Some(Ok(_)))
        || done.restore.as_ref().is_some_and(|restored| restored.result.is_ok())
}
