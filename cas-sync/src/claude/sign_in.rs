//! A sign-in of the unmodified client's, in a scratch directory that is gone afterwards: nothing of the person's own is
//! touched. It may be cut short at any time; what it has obtained by then is nobody's.

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
use super::scratch::Scratch;

/// How long the client may take to say where to sign in: it takes a second.
const START: Duration = Duration::from_secs(60);

/// How long it may take to redeem a code: its own time-outs end it sooner.
const REDEMPTION: Duration = Duration::from_secs(120);

/// How long a sign-out may take; it is not worth more.
const SIGN_OUT: Duration = Duration::from_secs(20);

/// The most of the client's own words that is repeated, in characters.
const WORDS: usize = 300;

/// Said of a program that ends without a word: Claude Code shows an address, or says why not.
const NO_CLIENT: &str = "what is taken for claude ended without a word: `claude --version` says whether it is Claude Code, and \
     `cas-sync doctor` which one is taken";

/// Where the client leaves the login.
const FILE_NAME: &str = ".credentials.json";

/// How credentials begin, which are never repeated.
const CREDENTIAL: &str = "sk-ant-";

/// A sign-in that has begun. Dropped, it ends, and nothing of it is left.
pub(crate) struct SignIn {
    invocation: Invocation,
    scratch: Scratch,
    child: Option<Child>,
    code: Option<ChildStdin>,
}

impl SignIn {
    pub(super) fn start(invocation: Invocation, address: Option<&str>) -> Result<Self, SignInError> {
        let no_room = |_| RunClientError::Unknown("there is no room in /tmp to run claude in");
        let scratch = Scratch::new().map_err(no_room)?;
        let mut command = invocation.sign_in(&scratch, address).map_err(no_room)?;
        let mut child = child::spawn(&mut command)?;
        let code = child.stdin.take();
        Ok(Self { invocation, scratch, child: Some(child), code })
    }

    /// Where to sign in, once the client says so.
    ///
    /// # Errors
    /// [`SignInError`]
    pub(crate) fn address(&mut self, is_given_up: &dyn Fn() -> bool) -> Result<String, SignInError> {
        let scratch = &self.scratch;
        let is_said = || address_in(&scratch.stdout()).is_some();
        let end = wait(&mut self.child, START, &|| is_said() || scratch.is_oversized() || is_given_up())?;
        match (address_in(&self.scratch.stdout()), end) {
            _ if is_given_up() => Err(SignInError::Interrupted),
            (Some(address), None) => Ok(address),
            (_, Some(_)) => Err(self.words().map_or(SignInError::Unusable(NO_CLIENT), SignInError::Refused)),
            (None, None) => Err(SignInError::Late("claude did not say where to sign in")),
        }
    }

    /// Gives the client the code that the browser has shown, and waits until it has redeemed it.
    ///
    /// # Errors
    /// [`SignInError`]
    pub(crate) fn submit_code(
        &mut self,
        code: &Secret<String>,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), SignInError> {
        let mut pipe = self.code.take().ok_or(SignInError::Late("claude was told a code already"))?;
        // It may have ended meanwhile, which is seen below; and it may wait for more until this is closed.
        drop(pipe.write_all(code.expose().as_bytes()).and_then(|()| pipe.write_all(b"\n")));
        let scratch = &self.scratch;
        let end = wait(&mut self.child, REDEMPTION, &|| scratch.is_oversized() || is_given_up())?;
        match end {
            _ if is_given_up() => Err(SignInError::Interrupted),
            Some(End::Exited(0)) => Ok(()),
            Some(_) => {
                let words = self.words().unwrap_or_else(|| "it said nothing".into());
                Err(SignInError::Refused(words))
            }
            None => Err(SignInError::Late("claude did not redeem the code in time")),
        }
    }

    /// The login that was obtained, if it is a complete one. Whose it is stands in it: older clients write that into their own
    /// state alone, and a login that does not say would be taken for the account's that lay there before.
    pub(crate) fn login(&self, owner: u32, now: Timestamp) -> Option<Login> {
        let file = self.scratch.config_directory().join(FILE_NAME);
        match CredentialsFile::new(file, owner).read(now).login {
            LoginFileState::Valid(login) => Some(login.with_owner(&self.state(owner).owner())),
            _ => None,
        }
    }

    /// Whom the client says it is signed in as now.
    pub(crate) fn state(&self, owner: u32) -> ClaudeStateFile {
        ClaudeStateFile::new(state_file(&self.scratch.config_directory(), None), owner)
    }

    /// Gives up what was obtained, if anything was, at the server too.
    pub(crate) fn abort(&mut self) -> AbortResult {
        self.end();
        if !self.scratch.config_directory().join(FILE_NAME).exists() {
            return AbortResult::Nothing;
        }
        match self.sign_out() {
            Some(End::Exited(0)) => AbortResult::SignedOut,
            _ => AbortResult::Deleted,
        }
    }

    fn sign_out(&self) -> Option<End> {
        let scratch = Scratch::new().ok()?;
        let mut command = self.invocation.sign_out(&self.scratch, &scratch).ok()?;
        let mut child = Some(child::spawn(&mut command).ok()?);
        let end = wait(&mut child, SIGN_OUT, &|| false);
        if let Some(child) = child {
            child::kill(child);
        }
        end.ok()?
    }

    fn end(&mut self) {
        if let Some(child) = self.child.take() {
            child::kill(child);
        }
    }

    /// What the client said last, for the person who waits: one line, without credentials, control characters and its full stop;
    /// nothing where it said nothing.
    fn words(&self) -> Option<String> {
        let (said, complained) = (self.scratch.stdout(), self.scratch.stderr());
        let text = [said, complained].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().map(|line| line.rsplit("> ").next().unwrap_or(line).trim());
        let line = line.into_iter().find(|line| !line.is_empty())?;
        let line = if line.contains(CREDENTIAL) { "its words hold a credential" } else { line };
        Some(sanitize_line(line.trim_end_matches('.')).chars().take(WORDS).collect())
    }
}

impl Drop for SignIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for the end; nothing when it goes on. What has ended is taken.
fn wait(
    child: &mut Option<Child>,
    patience: Duration,
    is_enough: &dyn Fn() -> bool,
) -> Result<Option<End>, RunClientError> {
    let Some(running) = child else { return Ok(Some(End::Killed)) };
    let end = child::wait(running, &Deadline::after(patience), is_enough)?;
    if end.is_some() {
        *child = None;
    }
    Ok(end)
}

/// The first address in a whole line of what was said.
fn address_in(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let found = whole.filter_map(|line| line.find("https://").and_then(|start| line.get(start..)));
    let word = |rest: &str| rest.split_whitespace().next().map(str::to_owned);
    found.filter_map(word).find(|address| !address.contains(char::is_control))
}

/// What became of what was obtained and is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortResult {
    /// There was nothing.
    Nothing,
    /// The server takes it no more.
    SignedOut,
    /// It is deleted here when this is dropped; the server could not be told.
    Deleted,
}

/// Why nobody is signed in. Nothing of the person's was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// Somebody asks to end.
    Interrupted,
    /// The client gave up, with these words of its own.
    Refused(String),
    /// It took too long.
    Late(&'static str),
    /// There is no client that could be used.
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
    fn the_address_is_read_once_its_line_is_whole() {
        let begun =
            "Opening browser to sign in…\nIf the browser didn't open, visit: https://claude.com/a?b=c&d";
        assert_eq!(address_in(begun.as_bytes()), None);
        let whole = format!("{begun}=e\nPaste code here if prompted > ");
        assert_eq!(address_in(whole.as_bytes()).as_deref(), Some("https://claude.com/a?b=c&d=e"));
        assert_eq!(address_in(b"https://claude.com/\x1b[31m\n"), None);
    }
}
