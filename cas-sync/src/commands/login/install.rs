//! Replaces the login in the file, under Claude Code's own locks.

use std::time::Duration;

use cas_core::claude_files::credentials_file::{CredentialsFile, WriteError};
use cas_core::credential::json_edit::is_json_object;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::outcome::ExitStatus;
use cas_core::state::directory::StateDirectory;
use cas_core::state::restore_lock::{RestoreError, write_under_restore_lock};
use cas_protocol::deadline::Deadline;

use crate::os::environment::now;
use crate::user::error::{CommandError, restore_exit_status};

/// A refresh by Claude Code, which holds these locks, takes a second.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of writes when a session writes the file at the same time.
const MAX_WRITES: usize = 5;

/// Replaces the login in the file and keeps the other keys.
///
/// # Errors
/// Returns [`CommandError`]; the file is not changed.
pub(super) fn replace_login(
    state: &StateDirectory,
    file: &CredentialsFile,
    login: &Login,
) -> Result<(), CommandError> {
    let deadline = Deadline::after(LOCK_TIMEOUT);
    let write = || write(state, file, login, &deadline);
    match write_under_restore_lock(state, file, &deadline, now(), write) {
        Ok(written) => written.map_err(|why| CommandError::new(ExitStatus::Failure, why)),
        // If the new login is in the file despite the error, it is active and must not be signed
        // out.
        Err(RestoreError::Write(WriteError::File(_))) if holds(file, login) => Ok(()),
        Err(RestoreError::State(error)) => Err(error.into()),
        Err(error) => {
            let status = restore_exit_status(&error);
            let why = format!("cannot write the new login: {error}; your login was not changed");
            Err(CommandError::new(status, why))
        }
    }
}

/// Returns why the file cannot be read, if that is so.
fn write(
    state: &StateDirectory,
    file: &CredentialsFile,
    login: &Login,
    deadline: &Deadline,
) -> Result<Result<(), String>, RestoreError> {
    let mut result = Err(WriteError::Conflict);
    for _ in 0..MAX_WRITES {
        let found = file.read(now());
        if let LoginFileState::Unreadable(why) = &found.login {
            return Ok(Err(why.clone()));
        }
        if !found.bytes().is_empty() && !is_json_object(found.bytes()) {
            // Other keys of a file that is not a JSON object cannot be kept.
            state.save_replaced_file(found.bytes())?;
        }
        let content = found.with_login(login);
        result = file.replace(&found, Some(content.as_bytes()), deadline, now());
        if !matches!(result, Err(WriteError::Conflict)) {
            break;
        }
    }
    Ok(Ok(result?))
}

fn holds(file: &CredentialsFile, login: &Login) -> bool {
    file.read(now()).login.login().is_some_and(|found| found.summary.generation == login.summary.generation)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use nix::unistd::Uid;

    use super::*;

    fn text_of(name: &str) -> String {
        format!(
            r#"{{"claudeAiOauth":{{"accessToken":"a-{name}","refreshToken":"r-{name}","expiresAt":9,"scopes":["user:inference"]}}}}"#
        )
    }

    fn file(path: &Path) -> CredentialsFile {
        CredentialsFile::new(path.to_owned(), Uid::effective().as_raw())
    }

    fn login(directory: &Path, name: &str) -> Login {
        let path = directory.join(name);
        fs::write(&path, text_of(name)).expect("a login");
        match file(&path).read(now()).login {
            LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login) => login,
            other => panic!("{other:?}"),
        }
    }

    /// A write fails because no other file can be created beside a name of this length.
    #[test]
    fn login_in_the_file_is_accepted_despite_a_write_error() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(directory.path().join("state"), Uid::effective().as_raw());
        let (old, new) = (login(directory.path(), "old"), login(directory.path(), "new"));
        let path = directory.path().join("x".repeat(250));
        fs::write(&path, text_of("new")).expect("the new login");
        assert!(
            replace_login(&state, &file(&path), &new).is_ok(),
            "a login in the file must not be signed out"
        );
        let failed = replace_login(&state, &file(&path), &old).expect_err("the file has another login");
        assert_eq!(failed.status, ExitStatus::Failure);
        assert!(failed.error.to_string().contains("your login was not changed"), "{:#}", failed.error);
        assert_eq!(fs::read_to_string(&path).expect("there"), text_of("new"));
    }
}
