//! Asks the Anthropic API to revoke a login: the client's own logout in a temporary directory,
//! which changes no file of the user.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::time::Duration;

use cas_core::credential::login_file::with_login;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Zeroizing;

use super::child::{self, ChildOutput, End, RunClientError};
use super::invocation::Invocation;
use super::scratch::Scratch;

/// The client waits at most ten seconds for the Anthropic API.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Marks the debug output of the client, without which a failure may be missing.
const DEBUG: &[u8] = b"[DEBUG]";

/// The debug output after a failure, of all measured versions. 2.1.197 exits with success
/// nevertheless.
const FAILED: &[u8] = b"revoke failed";

/// The output without a failure.
const SUCCEEDED: &[u8] = b"Successfully logged out";

/// The name of the client's credential file.
pub(super) const FILE_NAME: &str = ".credentials.json";

/// Revokes the login in `signed_in`. The client deletes it there.
///
/// # Errors
/// [`RunClientError`] if the revocation is not confirmed.
pub(super) fn revoke_in(invocation: &Invocation, signed_in: &Scratch) -> Result<(), RunClientError> {
    let no_room = |_| RunClientError::Unknown("there is no space in /tmp to run claude");
    let scratch = Scratch::new().map_err(no_room)?;
    let mut command = invocation.sign_out(signed_in, &scratch).map_err(no_room)?;
    let mut child = child::spawn(&mut command)?;
    let end = child::wait(&mut child, &Deadline::after(TIMEOUT), || scratch.is_oversized());
    let end = match end {
        Ok(Some(end)) => end,
        not_ended => {
            child::kill(child);
            not_ended.map(|_| End::TimedOut)?
        }
    };
    match is_confirmed(&ChildOutput::new(end, &scratch)) {
        true => Ok(()),
        false => Err(RunClientError::Unknown("the Anthropic API did not confirm it")),
    }
}

/// Revokes `login`, the JSON text of a login.
///
/// # Errors
/// As [`revoke_in`].
pub(super) fn revoke(invocation: &Invocation, login: &str) -> Result<(), RunClientError> {
    let no_room = |_| RunClientError::Unknown("there is no space in /tmp to run claude");
    let signed_in = Scratch::new().map_err(no_room)?;
    write(&signed_in, login).map_err(no_room)?;
    let revoked = revoke_in(invocation, &signed_in);
    // The directory is removed anyway; this error has no remedy.
    drop(fs::remove_file(signed_in.config_directory().join(FILE_NAME)));
    revoked
}

fn write(signed_in: &Scratch, login: &str) -> io::Result<()> {
    let directory = signed_in.config_directory();
    DirBuilder::new().mode(0o700).create(&directory)?;
    let content = Zeroizing::new(with_login(b"", login));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(FILE_NAME))?;
    file.write_all(content.as_bytes())
}

/// Returns true if the client reports that the login is revoked.
fn is_confirmed(output: &ChildOutput) -> bool {
    let has = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|found| found == part);
    output.end == End::Exited(0)
        && has(&output.stdout, SUCCEEDED)
        && has(&output.stderr, DEBUG)
        && !has(&output.stderr, FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_logout_without_a_failure_is_confirmed() {
        const DONE: &str = "Successfully logged out from your Anthropic account.\n";
        const NOT: &str =
            "Logged out on this computer, but Anthropic didn't confirm the login was revoked.\n";
        const OTHER: &str = "2026-11-30T16:03:21.510Z [DEBUG] Policy limits: Fetched successfully\n";
        const FAILURE: &str = "2026-11-30T16:03:21.510Z [DEBUG] OAuth token revoke failed (status=network); continuing with local logout.\n";
        let rows = [
            (End::Exited(0), DONE, OTHER.to_owned(), true),
            (End::Exited(0), DONE, format!("{OTHER}{FAILURE}"), false),
            (End::Exited(0), NOT, format!("{FAILURE}{OTHER}"), false),
            (End::Exited(0), DONE, String::new(), false),
            (End::Exited(0), "", OTHER.to_owned(), false),
            (End::Exited(1), DONE, OTHER.to_owned(), false),
            (End::TimedOut, DONE, OTHER.to_owned(), false),
        ];
        for (end, stdout, stderr, expected) in rows {
            let output = ChildOutput { end, stdout: stdout.into(), stderr: stderr.clone().into() };
            assert_eq!(is_confirmed(&output), expected, "{end:?} {stdout} {stderr}");
        }
    }
}
