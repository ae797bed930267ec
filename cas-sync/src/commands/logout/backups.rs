//! Deletes the backup of the login in the store.

use std::cell::Cell;
use std::path::Path;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::state::local_store::LocalStore;
use cas_core::store::backup_fields::clear_backup_fields;
use cas_core::store::user_document::{Backup, UserDocument};
use cas_core::store::{Document, Fields, StoreError};
use cas_core::system::machine_id::MachineId;
use cas_protocol::deadline::Deadline;

use crate::user::context::UserContext;
use crate::user::document::{STORE_TIMEOUT, update_document};
use crate::user::error::CommandError;

/// What happened to the backup in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreResult {
    /// There is no server, or its backup is to be kept.
    NotAsked,
    /// There was none.
    Absent,
    /// It was deleted.
    Deleted,
    /// Another machine wrote it, so it was kept.
    OtherMachine,
}

/// Returns true if the store has a backup.
///
/// # Errors
/// [`CommandError`] if the store does not answer.
pub(super) fn is_in_store(user: &UserContext) -> Result<bool, CommandError> {
    let mut store = user.store().map_err(unchanged)?;
    let document = store.read(&Deadline::after(STORE_TIMEOUT)).map_err(unchanged)?;
    let document = UserDocument::parse(&document);
    if document.is_offboarded {
        return Err(unchanged(StoreError::offboarded()));
    }
    Ok(!matches!(document.backup, Backup::None))
}

/// Deletes the backup. That of a login that this machine has not seen, and that another machine
/// wrote, is kept.
///
/// # Errors
/// [`CommandError`]; nothing is changed.
pub(super) fn delete_from_store(
    user: &UserContext,
    credentials: &CredentialsFile,
    history: &LocalStore,
) -> Result<StoreResult, CommandError> {
    let machine = MachineId::read(Path::new("/etc/machine-id"));
    let in_file = credentials.read(user.now).login.into_login();
    let logins = history.logins()?.into_iter().chain(in_file);
    let own: Vec<RefreshTokenId> = logins.map(|login| login.summary.generation).collect();
    let result = Cell::new(StoreResult::Absent);
    let changes = |document: &Document| -> Result<Fields, serde_json::Error> {
        let parsed = UserDocument::parse(document);
        let is_own = parsed.login().is_some_and(|login| own.contains(&login.summary.generation));
        result.set(match &parsed.backup {
            Backup::None => StoreResult::Absent,
            _ if machine.is_other_machine(parsed.machine.as_deref()) && !is_own => StoreResult::OtherMachine,
            _ => StoreResult::Deleted,
        });
        match result.get() {
            StoreResult::Deleted => clear_backup_fields(&document.fields),
            _ => Ok(Fields::new()),
        }
    };
    let mut store = user.store().map_err(unchanged)?;
    let updated = update_document(&mut *store, changes);
    store.save_token_cache();
    updated.map_err(|failed| failed.with_note(KEEP_NOTE))?;
    Ok(result.get())
}

const KEEP_NOTE: &str =
    "nothing was changed; `cas-sync logout --keep-backups` signs out on this machine without the store";

fn unchanged(error: StoreError) -> CommandError {
    CommandError::from(error).with_note(KEEP_NOTE)
}
