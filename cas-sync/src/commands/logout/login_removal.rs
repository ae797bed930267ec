//! Removes the login from the credential file, under Claude Code's locks.

use std::time::Duration;

use cas_core::claude_files::credentials_file::{CredentialsFile, Snapshot};
use cas_core::credential::login_file::{self, LoginFileState, LoginPlace};
use cas_core::fs::atomic_file;
use cas_core::outcome::ExitStatus;
use cas_core::state::directory::{StateDirectory, StateLock};
use cas_core::state::restore_lock::{RestoreError, write_under_restore_lock};
use cas_protocol::deadline::Deadline;

use super::LOCK_TIMEOUT;
use crate::os::environment::now;
use crate::user::error::{CommandError, restore_exit_status};

/// Maximum number of writes when a session writes the file at the same time.
const MAX_WRITES: usize = 5;

/// What happened to the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginResult {
    /// There was none.
    Absent,
    /// It was deleted, and not revoked on request.
    Deleted,
    /// It had no tokens, so there was nothing to revoke.
    DeletedCleared,
    /// The Anthropic API has revoked it.
    Revoked,
    /// It was deleted, and the Anthropic API has not confirmed that it is revoked.
    NotRevoked(&'static str),
}

/// Asks the Anthropic API to revoke a login, which is JSON text.
pub(super) type Revoke<'a> = &'a dyn Fn(&str) -> Result<(), &'static str>;

/// Records the sign-out, revokes the login and removes it. If a session refreshes it meanwhile, the
/// new login is revoked too.
///
/// # Errors
/// [`CommandError`]; the login is still there. It may be revoked, and nothing restores it then.
pub(super) fn remove(
    state: &StateDirectory,
    file: &CredentialsFile,
    revoke: Option<Revoke<'_>>,
) -> Result<LoginResult, CommandError> {
    let mut outcome = LoginResult::Absent;
    for _ in 0..MAX_WRITES {
        let found = file.read(now());
        if let LoginFileState::Unreadable(why) = &found.login {
            return Err(CommandError::new(ExitStatus::Failure, why));
        }
        record(state, &found)?;
        if matches!(found.login, LoginFileState::Missing) {
            remove_leftovers(state, file)?;
            return Ok(outcome);
        }
        let result = revoke_login(&found, revoke);
        match write_without_login(state, file, &found) {
            Ok(()) => return Ok(result),
            Err(error) if error.is_conflict() => outcome = result,
            Err(error) if result == LoginResult::Revoked => {
                let failed = command_error(&error);
                return Err(failed.with_note("the login was revoked, and is still in the file"));
            }
            Err(error) => {
                // The login is still valid and in use: it may be restored again.
                drop(state.update_ledger(&deadline(), |ledger| ledger.signed_out = None));
                return Err(command_error(&error).with_note("your login was not changed"));
            }
        }
    }
    Err(CommandError::new(
        ExitStatus::TryLater,
        "cannot delete the login: other processes keep writing the credential file",
    ))
}

/// Removes the temporary files of killed writes, which may hold a login.
///
/// # Errors
/// [`CommandError`] if the lock of the writers is busy.
pub(super) fn remove_leftovers(state: &StateDirectory, file: &CredentialsFile) -> Result<(), CommandError> {
    let _locked = state.lock(StateLock::Restore, &deadline())?;
    atomic_file::remove_temp_files(&file.path(), Duration::ZERO);
    Ok(())
}

fn deadline() -> Deadline {
    Deadline::after(LOCK_TIMEOUT)
}

fn record(state: &StateDirectory, found: &Snapshot) -> Result<(), CommandError> {
    let login = found.login.login().map(|login| login.summary.generation);
    state.update_ledger(&deadline(), |ledger| ledger.record_sign_out(login))?;
    Ok(())
}

fn revoke_login(found: &Snapshot, revoke: Option<Revoke<'_>>) -> LoginResult {
    let Some(revoke) = revoke else { return LoginResult::Deleted };
    if matches!(found.login, LoginFileState::ClearedByClient) {
        return LoginResult::DeletedCleared;
    }
    let revoked = match login_file::login_text(found.bytes()) {
        Some(login) => revoke(&login),
        None => Err("the credential file is damaged"),
    };
    revoked.map_or_else(LoginResult::NotRevoked, |()| LoginResult::Revoked)
}

fn command_error(error: &RestoreError) -> CommandError {
    let status = restore_exit_status(error);
    CommandError::new(status, format!("cannot delete the login: {error}"))
}

fn write_without_login(
    state: &StateDirectory,
    file: &CredentialsFile,
    found: &Snapshot,
) -> Result<(), RestoreError> {
    let rest = found.with_login_from(&[]);
    let rest = match (&rest, file.place()) {
        (Some(rest), _) => Some(rest.as_slice()),
        // Without its target the symlink would be dangling.
        (None, LoginPlace::Link(_)) => Some(&b"{}"[..]),
        (None, _) => None,
    };
    let deadline = deadline();
    write_under_restore_lock(state, file, &deadline, now(), || {
        file.replace(found, rest, &deadline, now())?;
        // The lock of the writers is held.
        atomic_file::remove_temp_files(&file.path(), Duration::ZERO);
        Ok(())
    })
}
