//! Putting a new login in the place of the one before, as Claude Code does it itself.

use std::time::Duration;

use cas_core::claude_files::credentials_file::{CredentialsFile, WriteError};
use cas_core::credential::json_edit::is_json_object;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::state::directory::{StateDirectory, StateLock};
use cas_protocol::deadline::Deadline;

use crate::os::environment::now;
use crate::user::error::CommandError;

/// How long Claude Code's locks are waited for: a refresh takes a second.
pub(super) const LOCK_TIME: Duration = Duration::from_secs(30);

/// How often it is begun again because a session wrote the file in between.
const TRIES: usize = 5;

/// Replaces the login in the file, and leaves everything else in it as it is at that moment.
///
/// # Errors
/// [`CommandError`]; the file is as it was.
pub(super) fn replace_login(
    state: &StateDirectory,
    file: &CredentialsFile,
    login: &Login,
) -> Result<(), CommandError> {
    let deadline = Deadline::after(LOCK_TIME);
    let _locked = state.lock(StateLock::Restore, &deadline)?;
    let mut result = Err(WriteError::Conflict);
    for _ in 0..TRIES {
        let found = file.read(now());
        if let LoginFileState::Unreadable(why) = &found.login {
            return Err(CommandError::new(1, why));
        }
        if !found.bytes().is_empty() && !is_json_object(found.bytes()) {
            // The keys of others in it cannot be carried over.
            state.save_replaced_file(found.bytes())?;
        }
        let content = found.with_login(login);
        result = file.replace(&found, Some(content.as_bytes()), &deadline, now());
        if !matches!(result, Err(WriteError::Conflict)) {
            break;
        }
    }
    // Whatever was said of it: what lies there is in force, and must not be signed out.
    if matches!(&result, Err(WriteError::File(_))) && holds(file, login) {
        return Ok(());
    }
    result.map_err(|error| {
        let code = if matches!(error, WriteError::File(_)) { 1 } else { 75 };
        CommandError::new(
            code,
            format!("the new login could not be put in place: {error}; your login is as it was"),
        )
    })
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

    fn login(folder: &Path, name: &str) -> Login {
        let path = folder.join(name);
        fs::write(&path, text_of(name)).expect("a login");
        match file(&path).read(now()).login {
            LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login) => login,
            other => panic!("{other:?}"),
        }
    }

    /// A write that fails, because beside a name so long no other file can be made, and what lies there then.
    #[test]
    fn a_login_that_lies_there_is_in_force_whatever_the_write_said() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(folder.path().join("state"), Uid::effective().as_raw());
        let (old, new) = (login(folder.path(), "old"), login(folder.path(), "new"));
        let path = folder.path().join("x".repeat(250));
        fs::write(&path, text_of("new")).expect("the new login");
        assert!(replace_login(&state, &file(&path), &new).is_ok(), "it must not be signed out");
        let failed = replace_login(&state, &file(&path), &old).expect_err("another one lies there");
        assert_eq!(failed.code, 1);
        assert!(failed.error.to_string().contains("your login is as it was"), "{:#}", failed.error);
        assert_eq!(fs::read_to_string(&path).expect("there"), text_of("new"));
    }
}
