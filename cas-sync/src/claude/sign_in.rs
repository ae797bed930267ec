//! Runs a sign-in of the unmodified client in a temporary directory. It changes no file of the user
//! and can be stopped at any time; a login that it has obtained by then is not used.

use std::io::Write;
use std::process::{Child, ChildStdin};
use std::time::Duration;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::json_settings::state_file;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::text::sanitize_line;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;

use super::child::{self, End, RunClientError};
use super::invocation::Invocation;
use super::revoke::{FILE_NAME, revoke_in};
use super::scratch::Scratch;

/// The client prints the sign-in URL after about one second.
const URL_TIMEOUT: Duration = Duration::from_secs(60);

/// The client's own timeouts end the redemption of a code earlier.
const REDEEM_TIMEOUT: Duration = Duration::from_secs(120);

/// Limits the quoted output of the client, in characters.
const MAX_QUOTE: usize = 300;

/// Printed if the program ends without output: Claude Code prints a URL or an error.
const NO_CLIENT: &str = "the program that runs as claude ended without output; `claude --version` shows whether it is \
    Claude Code, and `cas-sync doctor` shows which program runs";

/// The prefix of credentials; text with it is never printed.
const CREDENTIAL: &str = "sk-ant-";

/// A running sign-in. Dropping it ends the client and removes its files.
pub(crate) struct SignIn {
    invocation: Invocation,
    scratch: Scratch,
    child: Option<Child>,
    code: Option<ChildStdin>,
}

impl SignIn {
    pub(super) fn start(invocation: Invocation, email: Option<&str>) -> Result<Self, SignInError> {
        let no_room = |_| RunClientError::Unknown("there is no space in /tmp to run claude");
        let scratch = Scratch::new().map_err(no_room)?;
        let mut command = invocation.sign_in(&scratch, email).map_err(no_room)?;
        let mut child = child::spawn(&mut command)?;
        let code = child.stdin.take();
        Ok(Self { invocation, scratch, child: Some(child), code })
    }

    /// Waits for the sign-in URL of the client and returns it.
    ///
    /// # Errors
    /// [`SignInError`]
    pub(crate) fn address(&mut self, is_given_up: &dyn Fn() -> bool) -> Result<String, SignInError> {
        let scratch = &self.scratch;
        let has_url = || url_in(&scratch.stdout()).is_some();
        let end =
            wait(&mut self.child, URL_TIMEOUT, &|| has_url() || scratch.is_oversized() || is_given_up())?;
        match (url_in(&self.scratch.stdout()), end) {
            _ if is_given_up() => Err(SignInError::Interrupted),
            (Some(url), None) => Ok(url),
            (_, Some(_)) => {
                Err(self.last_line().map_or(SignInError::Unusable(NO_CLIENT), SignInError::Refused))
            }
            (None, None) => Err(SignInError::Late("claude did not print a sign-in URL in time")),
        }
    }

    /// Sends the code that the browser has shown to the client, and waits until the client has
    /// redeemed it.
    ///
    /// # Errors
    /// [`SignInError`]
    pub(crate) fn submit_code(
        &mut self,
        code: &Secret<String>,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), SignInError> {
        let mut pipe = self.code.take().ok_or(SignInError::Late("claude has received a code already"))?;
        // If the client has ended, `wait` reports it. The client may read until the pipe is closed.
        drop(pipe.write_all(code.expose().as_bytes()).and_then(|()| pipe.write_all(b"\n")));
        let scratch = &self.scratch;
        let end = wait(&mut self.child, REDEEM_TIMEOUT, &|| scratch.is_oversized() || is_given_up())?;
        match end {
            _ if is_given_up() => Err(SignInError::Interrupted),
            Some(End::Exited(0)) => Ok(()),
            Some(_) => {
                let line = self.last_line().unwrap_or_else(|| "claude printed nothing".into());
                Err(SignInError::Refused(line))
            }
            None => Err(SignInError::Late("claude did not redeem the code in time")),
        }
    }

    /// Returns the obtained login if it is complete. The owner is added to it: older clients write
    /// the owner only to their state file, and a login without an owner counts as one of the former
    /// account.
    pub(crate) fn login(&self, owner: u32, now: Timestamp) -> Option<Login> {
        let file = self.scratch.config_directory().join(FILE_NAME);
        match CredentialsFile::new(file, owner).read(now).login {
            LoginFileState::Valid(login) => Some(login.with_owner(&self.state(owner).owner())),
            _ => None,
        }
    }

    /// Returns the state file of the client, which names the account.
    pub(crate) fn state(&self, owner: u32) -> ClaudeStateFile {
        ClaudeStateFile::new(state_file(&self.scratch.config_directory(), None), owner)
    }

    /// Ends the sign-in, and signs out if a login was obtained.
    pub(crate) fn abort(&mut self) -> AbortResult {
        self.end();
        if !self.scratch.config_directory().join(FILE_NAME).exists() {
            return AbortResult::Nothing;
        }
        match revoke_in(&self.invocation, &self.scratch) {
            Ok(()) => AbortResult::SignedOut,
            Err(_) => AbortResult::Deleted,
        }
    }

    fn end(&mut self) {
        if let Some(child) = self.child.take() {
            child::kill(child);
        }
    }

    /// Returns the last line of the client's output for the user: without credentials, control
    /// characters and the full stop; `None` without output.
    fn last_line(&self) -> Option<String> {
        let (stdout, stderr) = (self.scratch.stdout(), self.scratch.stderr());
        let text = [stdout, stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().map(|line| line.rsplit("> ").next().unwrap_or(line).trim());
        let line = line.into_iter().find(|line| !line.is_empty())?;
        let line = if line.contains(CREDENTIAL) { "the output contains a credential" } else { line };
        Some(sanitize_line(line.trim_end_matches('.')).chars().take(MAX_QUOTE).collect())
    }
}

impl Drop for SignIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for the end of the child and takes it; returns `None` while it runs.
fn wait(
    child: &mut Option<Child>,
    timeout: Duration,
    is_enough: &dyn Fn() -> bool,
) -> Result<Option<End>, RunClientError> {
    let Some(running) = child else { return Ok(Some(End::Killed)) };
    let end = child::wait(running, &Deadline::after(timeout), is_enough)?;
    if end.is_some() {
        *child = None;
    }
    Ok(end)
}

/// Returns the first URL in a complete line of the output.
fn url_in(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let found = whole.filter_map(|line| line.find("https://").and_then(|start| line.get(start..)));
    let word = |rest: &str| rest.split_whitespace().next().map(str::to_owned);
    found.filter_map(word).find(|url| !url.contains(char::is_control))
}

/// What happened to a login that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortResult {
    /// No login was obtained.
    Nothing,
    /// The Anthropic API has revoked it.
    SignedOut,
    /// It is deleted with the temporary directory; the Anthropic API did not confirm that it is
    /// revoked.
    Deleted,
}

/// The reason why a sign-in has failed. No file of the user was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// A signal requested the end.
    Interrupted,
    /// The client failed with this message.
    Refused(String),
    /// A timeout expired.
    Late(&'static str),
    /// There is no usable client.
    Unusable(&'static str),
}

impl From<RunClientError> for SignInError {
    fn from(problem: RunClientError) -> Self {
        match problem {
            RunClientError::Unusable(why) => Self::Unusable(why),
            RunClientError::Unknown(why) => Self::Late(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_url_is_read_from_complete_line() {
        let begun =
            "Opening browser to sign in…\nIf the browser didn't open, visit: https://claude.com/a?b=c&d";
        assert_eq!(url_in(begun.as_bytes()), None);
        let whole = format!("{begun}=e\nPaste code here if prompted > ");
        assert_eq!(url_in(whole.as_bytes()).as_deref(), Some("https://claude.com/a?b=c&d=e"));
        assert_eq!(url_in(b"https://claude.com/\x1b[31m\n"), None);
    }
}
