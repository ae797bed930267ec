//! Runs the real `claude` to verify a credential with one real request.
//!
//! A valid access token is **probed** by its value in a temporary directory: a probe changes no
//! file of the user and can be killed at any time. A login whose access token has expired gets a
//! **refresh run** in the real home of its owner, because only Claude Code refreshes logins; a
//! refresh run is never killed. The reactions of the client to each answer were measured
//! (`docs/design/claude-code.md`); [`classify`] turns them into a [`Verification`].

mod child;
mod classify;
#[cfg(test)]
mod classify_tests;
mod disk_space;
mod invocation;
mod probe;
mod program;
mod refresh;
mod revoke;
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
use cas_core::fs::obstacle::{Obstacle, ObstacleKind};
use cas_core::system::account::{Account, HomeProblem, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::secret::Secret;

use self::child::{ChildOutput, RunClientError};
use self::classify::FileAfterRun;
use self::invocation::Invocation;
use self::program::NotFound;
pub(crate) use self::sign_in::{AbortResult, SignIn, SignInError};
use self::version::{MIN_VERSION_FOR_REFUSALS, Version};
use crate::precedence::managed_settings::{self, OVERRIDE_VAR, RemoteSettings};

/// The client of one user.
pub(crate) struct Claude {
    invocation: Result<Invocation, NotFound>,
    home: PathBuf,
    /// The credential file that a refresh run uses.
    path: PathBuf,
    credentials: CredentialsFile,
    now: Timestamp,
}

impl Claude {
    /// Returns the client that these settings name. Without a configured program, it is the first
    /// one on `search_path` (the variable `PATH`) or in the default directories.
    pub(crate) fn new(
        settings: &ClaudeSettings,
        account: &Account,
        paths: &Paths,
        search_path: Option<&OsStr>,
        now: Timestamp,
    ) -> Self {
        let program = program::find(settings.program.as_deref(), search_path, &account.home, account.uid);
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

    /// Probes as [`Verifier::probe`] for a command at a terminal. The result is inconclusive once
    /// `is_given_up` returns true.
    pub(crate) fn probe_cancellable(
        &self,
        is_given_up: &dyn Fn() -> bool,
        token: &Secret<String>,
    ) -> Verification {
        self.try_probe(is_given_up, token).unwrap_or_else(RunClientError::into)
    }

    /// Starts a sign-in, with this email if it is known.
    ///
    /// # Errors
    /// [`SignInError`] if there is no client or it cannot be started.
    pub(crate) fn sign_in(&self, address: Option<&str>) -> Result<SignIn, SignInError> {
        let invocation = self.invocation.as_ref().map_err(|missing| SignInError::Unusable(missing.text()))?;
        SignIn::start(invocation.clone(), address)
    }

    /// Asks the Anthropic API to revoke `login`, the JSON text of a login.
    ///
    /// # Errors
    /// The reason why the revocation is not confirmed.
    pub(crate) fn revoke(&self, login: &str) -> Result<(), &'static str> {
        let invocation = self.invocation.as_ref().map_err(|missing| missing.text())?;
        revoke::revoke(invocation, login).map_err(|error| match error {
            RunClientError::Unusable(why) | RunClientError::Unknown(why) => why,
        })
    }

    /// Returns the path of the client's state file for this login.
    ///
    /// # Errors
    /// [`SignInError::Unusable`] when no client uses this credential file.
    pub(crate) fn state_file(&self) -> Result<PathBuf, SignInError> {
        Ok(refresh::LoginPlace::new(&self.path, &self.home)?.own_settings())
    }

    /// Probes, and confirms a refusal by a second probe.
    fn try_probe(
        &self,
        is_given_up: &dyn Fn() -> bool,
        token: &Secret<String>,
    ) -> Result<Verification, RunClientError> {
        let (first, ended) = self.probe_once(is_given_up, token)?;
        if !classify::needs_confirmation(&first, &ended) {
            return Ok(first);
        }
        let (second, _) = self.probe_once(is_given_up, token)?;
        Ok(classify::confirm(&first, second))
    }

    fn probe_once(
        &self,
        is_given_up: &dyn Fn() -> bool,
        token: &Secret<String>,
    ) -> Result<(Verification, ChildOutput), RunClientError> {
        let invocation = self.usable()?;
        let probed = probe::run(invocation, token, probe::TIMEOUT, is_given_up)?;
        // If the probe did not fetch them, use those that the client of the user fetched last.
        let served = probed.served.or_else(|| managed_settings::remote_settings(self.path.parent()?));
        if served == Some(RemoteSettings::Override) {
            return Err(RunClientError::Unusable(OVERRIDE_VAR));
        }
        let verdict = classify::classify_probe(&probed.ended, || version::ask(invocation));
        Ok((verdict, probed.ended))
    }

    fn try_refresh(&self) -> Result<Result<Verification, Obstacle>, RunClientError> {
        let place = refresh::LoginPlace::new(&self.path, &self.home)?;
        let invocation = self.usable()?;
        place.ensure_usable_state_file()?;
        if let Some(obstacle) = disk_space::obstacle(&self.path, &place.own_settings())? {
            return Ok(Err(obstacle));
        }
        let (before, had_other_credential) = (self.login(), place.overrides_login());
        let ended = refresh::run(invocation, &place, refresh::TIMEOUT)?;
        let left = match self.login() {
            after if after == before => FileAfterRun::Unchanged,
            Some(after) if is_fresh(after.expires_at, self.now) => FileAfterRun::Refreshed,
            _ => FileAfterRun::Other,
        };
        let verdict = classify::classify_refresh(&ended, left, || version::ask(invocation));
        // Remote settings that arrive during the run apply to it, and earlier ones may too.
        let has_other_credential = had_other_credential || place.overrides_login();
        Ok(Ok(if verdict.is_alive() && has_other_credential {
            Verification::Inconclusive(OTHER_CREDENTIAL.into())
        } else {
            verdict
        }))
    }

    fn login(&self) -> Option<LoginSummary> {
        self.credentials.read(self.now).login.login().map(|login| login.summary.clone())
    }
}

/// The login was refreshed nevertheless, so that its access token can be probed now.
const OTHER_CREDENTIAL: &str =
    "settings of the user or the organization give Claude Code another credential than the login";

/// An installed client.
pub(crate) struct Found {
    /// Its path.
    pub(crate) program: PathBuf,
    /// Its version; `None` if it does not print one as Claude Code does.
    pub(crate) version: Option<Version>,
}

impl Found {
    /// Returns true if it reports what distinguishes a refusal of the API from a page of a proxy.
    pub(crate) fn tells_refusals(&self) -> bool {
        self.version.is_some_and(|version| version >= MIN_VERSION_FOR_REFUSALS)
    }
}

/// Returns what keeps the login of this user from being replaced or refreshed.
pub(crate) fn write_obstacle(account: &Account, paths: &Paths) -> Option<Obstacle> {
    if let Some(HomeProblem::Locked(home)) = account.home_problem(paths) {
        return Some(Obstacle { kind: ObstacleKind::NoKey, path: home });
    }
    let path = &paths.credentials_file;
    let file = CredentialsFile::new(path.clone(), account.uid.as_raw());
    let check_space = || {
        let place = refresh::LoginPlace::new(path, &account.home).ok()?;
        disk_space::obstacle(path, &place.own_settings()).ok().flatten()
    };
    file.read_obstacle().or_else(|| file.replace_obstacle()).or_else(check_space)
}

/// Returns the path of the client that a sync runs.
///
/// # Errors
/// The reason why there is no client, with the remedy.
pub(crate) fn find(
    settings: &ClaudeSettings,
    account: &Account,
    search_path: Option<&OsStr>,
) -> Result<PathBuf, &'static str> {
    program::find(settings.program.as_deref(), search_path, &account.home, account.uid)
        .map_err(NotFound::text)
}

/// Returns the client that a sync runs, with its version.
///
/// # Errors
/// The reason why there is no client, with the remedy.
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

    fn refresh_in_place(&mut self) -> Result<Verification, Obstacle> {
        self.try_refresh().unwrap_or_else(|error| Ok(error.into()))
    }
}
