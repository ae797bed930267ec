//! Determines the details of an outcome: what a run did beside its finding, and what it could not
//! do.

use super::setup_token::Activation;
use super::{Command, DocumentFact, EnvFileChange, EnvFileFact, Facts, Mode, TokenFact, backup, setup_token};
use crate::outcome::{BackupLocation, Detail};
use crate::store::StoreError;

/// Returns the details of a run, in the order in which they are reported.
pub(super) fn details(facts: &Facts) -> Vec<Detail> {
    let done = &facts.done;
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
        DocumentFact::Read(document) if document.is_offboarded => {
            Some(Detail::Store(StoreError::offboarded()))
        }
        _ => None,
    };
    let backs_up = match facts.settings.mode {
        Mode::Sync => facts.active_token().is_none(),
        Mode::Command(command) => command == Command::Backup,
        Mode::Login | Mode::Watch => false,
    };
    let refusal = |login| {
        let untrusted_reason = || {
            matches!(facts.settings.mode, Mode::Command(_)).then(|| backup::untrusted_reason(facts, login))
        };
        backup::store_refusal(facts, login).or_else(|| untrusted_reason().flatten())
    };
    let backups = [
        roll_back,
        backup(&done.history_backup, BackupLocation::LocalHistory),
        backup(&done.store_backup, BackupLocation::Store),
    ];
    setup_token_details(facts)
        .chain(backups.into_iter().flatten())
        .chain(facts.login.login().filter(|_| backs_up).and_then(refusal).map(Detail::NotBackedUp))
        .chain(store)
        .chain(facts.client_state.clone().map(Detail::ClientState))
        .chain(remaining_backups(facts))
        .collect()
}

/// Returns the details about the setup token.
fn setup_token_details(facts: &Facts) -> impl Iterator<Item = Detail> + use<> {
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
    let new_token = setup_token::new_token(facts).filter(|_| facts.settings.mode == Mode::Sync);
    let new_token = match new_token.map(|token| setup_token::activation(facts, token)) {
        Some(Activation::Rejected) => Some(Detail::SetupTokenRejected),
        Some(Activation::AccountRefused) => Some(Detail::SetupTokenRefused),
        Some(Activation::Postponed(why)) => Some(Detail::SetupTokenPostponed(why)),
        Some(Activation::Allowed | Activation::Pending) | None => None,
    };
    let copied_token = done.copied_token.as_ref().map(|result| match result {
        Ok(()) => Detail::SetupTokenCopied,
        Err(why) => Detail::SetupTokenNotCopied(why.clone()),
    });
    let is_missing = setup_token::is_missing_in_store(facts) && facts.settings.mode == Mode::Sync;
    let not_in_store = (is_missing && copied_token.is_none()).then_some(Detail::SetupTokenNotInStore);
    [env_file, field, new_token, copied_token, not_in_store].into_iter().flatten()
}

/// In a sync, returns the locations of backups that remain although backups are disabled. The
/// administrator decides about them.
fn remaining_backups(facts: &Facts) -> Option<Detail> {
    let places = backup::remaining_backups(facts);
    (facts.settings.mode == Mode::Sync && !places.is_empty()).then_some(Detail::BackupsRemain(places))
}

/// Returns true if the detail makes the status a warning.
pub(super) fn is_warning(detail: &Detail) -> bool {
    matches!(
        detail,
        Detail::EnvFileInvalid(_)
            | Detail::EnvFileUpdateFailed(_)
            | Detail::SetupTokenFieldInvalid(_)
            | Detail::SetupTokenPostponed(_)
            | Detail::SetupTokenNotInStore
            | Detail::SetupTokenNotCopied(_)
            | Detail::NotBackedUp(_)
            | Detail::NotRolledBack(_)
            | Detail::Store(_)
            | Detail::ClientState(_)
    )
}
