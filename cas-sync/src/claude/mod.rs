//! The real `claude`, put to work to find out what a credential is worth: real inference, and nothing less.
//!
//! A token that is still fresh is **probed** by its value, in a scratch directory that is gone afterwards: that touches
//! nothing of its owner's and may be cut short at any time. A login whose access token has ended gets a **refresh run**
//! in its owner's real home, since refreshing is Claude Code's business; that is never cut short. What the client does on
//! which answer was measured (`docs/design/claude-code.md`); [`classify`] turns it into a verdict.

mod child;
mod classify;
#[cfg(test)]
mod classify_tests;
mod disk_space;
mod invocation;
mod probe;
mod program;
mod refresh;
mod scratch;
mod sign_in;
mod stream;
mod version;

use std::ffi::OsStr;
use std::path::PathBuf;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::config::ClaudeSettings;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::is_fresh;
use cas_core::credential::verification::{Verification, Verifier};
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::secret::Secret;

use self::child::RunClientError;
use self::classify::FileAfterRun;
use self::invocation::Invocation;
use self::program::NotFound;
pub(crate) use self::sign_in::{AbortResult, SignIn, SignInError};
use self::version::{MIN_VERSION_FOR_REFUSALS, Version};
use crate::precedence::managed_settings::{self, OVERRIDE_VAR, RemoteSettings};

/// The client of one person.
pub(crate) struct Claude {
    invocation: Result<Invocation, NotFound>,
    home: PathBuf,
    /// The file that a refresh run is about.
    path: PathBuf,
    credentials: CredentialsFile,
    now: Timestamp,
}

impl Claude {
    /// The client that these settings name; without a configured program, the one that is found on `search_path` (the variable
    /// `PATH`) or in the usual places.
    pub(crate) fn new(
        settings: &ClaudeSettings,
        account: &Account,
        paths: &Paths,
        search_path: Option<&OsStr>,
        now: Timestamp,
    ) -> Self {
        let program = program::find(settings.program.as_deref(), search_path, &account.home);
        let path = paths.credentials_file.clone();
        Self {
            invocation: program.map(|program| Invocation::new(program, settings.environment.clone())),
            home: account.home.clone(),
            credentials: CredentialsFile::new(path.clone(), account.uid.as_raw()),
            path,
            now,
        }
    }

    fn usable(&self) -> Result<&Invocation, RunClientError> {
        let invocation =
            self.invocation.as_ref().map_err(|not_found| RunClientError::Unusable(not_found.text()))?;
        managed_settings::machine_files().map_err(RunClientError::Unusable)?;
        Ok(invocation)
    }

    /// As [`Verifier::probe`], for somebody who waits at a terminal: it ends once `is_given_up` says so, without a certain
    /// answer.
    pub(crate) fn probe_cancellable(
        &self,
        is_given_up: &dyn Fn() -> bool,
        token: &Secret<String>,
    ) -> Verification {
        self.try_probe(is_given_up, token).unwrap_or_else(RunClientError::into)
    }

    /// Starts a sign-in, as this address if it is known.
    ///
    /// # Errors
    /// [`SignInError`]: there is no client, or it cannot be started.
    pub(crate) fn sign_in(&self, address: Option<&str>) -> Result<SignIn, SignInError> {
        let invocation = self.invocation.as_ref().map_err(|missing| SignInError::Unusable(missing.text()))?;
        SignIn::start(invocation.clone(), address)
    }

    /// Where the client keeps its own state beside this login.
    ///
    /// # Errors
    /// [`SignInError::Unusable`] when no client uses this credential file.
    pub(crate) fn state_file(&self) -> Result<PathBuf, SignInError> {
        Ok(refresh::Place::of(&self.path, &self.home)?.own_settings())
    }

    fn try_probe(
        &self,
        is_given_up: &dyn Fn() -> bool,
        token: &Secret<String>,
    ) -> Result<Verification, RunClientError> {
        let invocation = self.usable()?;
        let probed = probe::run(invocation, token, probe::LAST_BOUND, is_given_up)?;
        // Where a probe could not learn them, those hold that the person's own client was served last.
        let served = probed.served.or_else(|| managed_settings::remote_settings(self.path.parent()?));
        if served == Some(RemoteSettings::Override) {
            return Err(RunClientError::Unusable(OVERRIDE_VAR));
        }
        Ok(classify::classify_probe(&probed.ended, || version::ask(invocation)))
    }

    fn try_refresh(&self) -> Result<Verification, RunClientError> {
        let place = refresh::Place::of(&self.path, &self.home)?;
        let invocation = self.usable()?;
        disk_space::ensure_free_space(&self.path, &place.own_settings())?;
        let (before, was_paid_otherwise) = (self.login(), place.chooses_the_credential());
        let ended = refresh::run(invocation, &place, refresh::PATIENCE)?;
        let left = match self.login() {
            after if after == before => FileAfterRun::Unchanged,
            Some(after) if is_fresh(after.expires_at, self.now) => FileAfterRun::Refreshed,
            _ => FileAfterRun::Other,
        };
        let verdict = classify::classify_refresh(&ended, left, || version::ask(invocation));
        // Settings that are served while it runs hold in it, and so may those that were there before.
        let is_paid_otherwise = was_paid_otherwise || place.chooses_the_credential();
        Ok(if verdict.is_alive() && is_paid_otherwise {
            Verification::Inconclusive(PAID_OTHERWISE.into())
        } else {
            verdict
        })
    }

    fn login(&self) -> Option<LoginSummary> {
        self.credentials.read(self.now).login.login().map(|login| login.summary.clone())
    }
}

/// The login was refreshed all the same, so it can be probed by its value now.
const PAID_OTHERWISE: &str =
    "settings of the person or the organisation give Claude Code another credential than the login";

/// A client that was found.
pub(crate) struct Found {
    /// Where it is.
    pub(crate) program: PathBuf,
    /// What it says of itself; nothing where it says no version as Claude Code does.
    pub(crate) version: Option<Version>,
}

impl Found {
    /// Whether it reports what tells the API's refusal from a proxy's page.
    pub(crate) fn tells_refusals(&self) -> bool {
        self.version.is_some_and(|version| version >= MIN_VERSION_FOR_REFUSALS)
    }
}

/// The client that a sync would run.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn find(
    settings: &ClaudeSettings,
    account: &Account,
    search_path: Option<&OsStr>,
) -> Result<PathBuf, &'static str> {
    program::find(settings.program.as_deref(), search_path, &account.home).map_err(NotFound::text)
}

/// The client that a sync would run, asked for its version and nothing else.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn look(
    settings: &ClaudeSettings,
    account: &Account,
    search_path: Option<&OsStr>,
) -> Result<Found, &'static str> {
    let program = find(settings, account, search_path)?;
    let version = version::ask(&Invocation::new(program.clone(), settings.environment.clone()));
    Ok(Found { program, version })
}

impl Verifier for Claude {
    fn probe(&mut self, token: &Secret<String>) -> Verification {
        self.probe_cancellable(&|| false, token)
    }

    fn refresh_in_place(&mut self) -> Verification {
        self.try_refresh().unwrap_or_else(RunClientError::into)
    }
}
