//! Putting a new login in the place of the one before, as Claude Code does it itself.

use std::time::Duration;

use cas_core::credentials_file::{CredentialsFile, WriteError};
use cas_core::deadline::Deadline;
use cas_core::local_login::{LocalLogin, is_json_object};
use cas_core::oauth_login::OauthLogin;
use cas_core::state_directory::Lock;

use crate::failed::Failed;
use crate::person::Person;
use crate::sync::now;

/// How long Claude Code's locks are waited for: a refresh takes a second.
pub(super) const LOCK_TIME: Duration = Duration::from_secs(30);

/// How often it is begun again because a session wrote the file in between.
const TRIES: usize = 5;

/// Replaces the login in the file, and leaves everything else in it as it is at that moment.
///
/// # Errors
/// [`Failed`]; the file is as it was.
pub(super) fn replace_login(
    person: &Person,
    file: &CredentialsFile,
    login: &OauthLogin,
) -> Result<(), Failed> {
    let deadline = Deadline::after(LOCK_TIME);
    let _locked = person.state.lock(Lock::Repair, &deadline)?;
    let mut result = Err(WriteError::Changed);
    for _ in 0..TRIES {
        let found = file.read(now());
        if let LocalLogin::Unreadable(why) = &found.login {
            return Err(Failed::new(1, why));
        }
        if !found.bytes().is_empty() && !is_json_object(found.bytes()) {
            // The keys of others in it cannot be carried over.
            person.state.save_replaced(found.bytes())?;
        }
        let content = found.with_login(login);
        result = file.replace(&found, Some(content.as_bytes()), &deadline, now());
        if !matches!(result, Err(WriteError::Changed)) {
            break;
        }
    }
    // Whatever was said of it: what lies there is in force, and must not be signed out.
    if matches!(&result, Err(WriteError::File(_))) && holds(file, login) {
        return Ok(());
    }
    result.map_err(|error| {
        let code = if matches!(error, WriteError::File(_)) { 1 } else { 75 };
        Failed::new(
            code,
            format!("the new login could not be put in place: {error}; your login is as it was"),
        )
    })
}

fn holds(file: &CredentialsFile, login: &OauthLogin) -> bool {
    file.read(now()).login.login().is_some_and(|found| found.summary.generation == login.summary.generation)
}
