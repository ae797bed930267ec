//! The user of a command: account, files, configuration, and the sync of their credentials.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cas_core::claude_files::email::Email;
use cas_core::claude_files::json_settings::{self, ClaudeJson};
use cas_core::config::{self, Config, ConfigError};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::login::Owner;
use cas_core::credential::verification::{Verification, Verifier};
use cas_core::engine::{Engine, EngineInput};
use cas_core::fs::obstacle::Obstacle;
use cas_core::outcome::{Detail, ExitStatus, Outcome, Status};
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::{StateDirectory, StateError, StateLock};
use cas_core::state::sync_requests::SyncRequests;
use cas_core::store::{Store, StoreError};
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::system::privileges::harden_process;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use nix::fcntl::Flock;

use crate::claude::Claude;
use crate::os::deferred_signals::Wake;
use crate::os::environment::{env_var, now};
use crate::term::stderr::print_error;
use crate::user::error::CommandError;
use crate::user::error::block_termination;
use crate::user::identity::CallingUser;
use crate::user::notify::NotifyCommand;
use crate::user::report::Report;
use crate::user::verification::VerifyMode;

/// The time limit of one run.
const RUN_TIMEOUT: Duration = Duration::from_secs(480);

/// The time limit for a running sync: longer than most take, shorter than a refresh that hangs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The poll interval of the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The user of this process with paths and configuration.
pub(crate) struct UserContext {
    pub(crate) account: Account,
    pub(crate) paths: Paths,
    pub(crate) state: StateDirectory,
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    pub(crate) requests: SyncRequests,
    /// Unknown or invalid settings.
    config_warnings: Vec<String>,
}

/// Runs a command of the user: returns its exit status, or prints its error.
pub(crate) fn run_command(
    command: impl FnOnce(&UserContext) -> Result<ExitStatus, CommandError>,
) -> ExitCode {
    match UserContext::for_current_user().and_then(|user| command(&user)) {
        Ok(status) => status.into(),
        Err(failed) => failed.report(),
    }
}

impl UserContext {
    /// Returns the context of the user of this process. From here on, debuggers and core dumps
    /// cannot see what is read. Prints unknown settings.
    ///
    /// # Errors
    /// [`CommandError`] for root, an unknown account, a missing home, or an invalid configuration.
    pub(crate) fn for_current_user() -> Result<Self, CommandError> {
        harden_process()?;
        let caller = CallingUser::current()?.with_name_override()?;
        if let Some(problem) = caller.home_problem() {
            return Err(CommandError::new(ExitStatus::TryLater, problem.to_string()));
        }
        let context = Self::configured(caller, now())?;
        context
            .config_warnings
            .iter()
            .for_each(|what| print_error(&anyhow::anyhow!("configuration: {what}")));
        Ok(context)
    }

    /// Returns the context of this user with the configuration and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub(crate) fn configured(caller: CallingUser, now: Timestamp) -> Result<Self, ConfigError> {
        let (mut config, config_warnings) = Config::load(Path::new(config::CONFIG_DIR))?;
        config.apply_environment(env_var);
        let CallingUser { account, paths, state, requests } = caller;
        Ok(Self { account, paths, state, config, now, requests, config_warnings })
    }

    /// Returns the configured store; sends no request yet.
    ///
    /// # Errors
    /// [`StoreError`] if its configuration is invalid.
    pub(crate) fn store(&self) -> Result<Box<dyn Store>, StoreError> {
        cas_vault::open(&self.config, &self.account, &self.paths, &self.state, self.now)
    }

    /// Returns the client of this user: the configured one, or an installed one.
    pub(crate) fn claude(&self) -> Claude {
        let search_path = env_var("PATH").map(OsString::from);
        Claude::new(&self.config.claude, &self.account, &self.paths, search_path.as_deref(), self.now)
    }

    /// Returns the client as verifier if `wanted`.
    pub(crate) fn verifier(&self, wanted: bool) -> Option<Box<dyn Verifier>> {
        wanted.then(|| Box::new(self.claude()) as Box<dyn Verifier>)
    }

    /// Returns the notification command of the administrator, if there is one.
    pub(crate) fn notify(&self) -> Option<NotifyCommand> {
        let command = self.config.notify.clone();
        let is_set = !command.is_empty();
        is_set.then(|| NotifyCommand {
            command,
            user: self.account.name.clone(),
            home: self.account.home.clone(),
        })
    }

    /// Takes the lock of a sync, so that none runs meanwhile. Waits for a running sync, with a
    /// message.
    ///
    /// # Errors
    /// [`CommandError`] with [`ExitStatus::TryLater`] at the timeout or after a signal.
    pub(crate) fn lock(&self) -> Result<Flock<File>, CommandError> {
        let signals = block_termination()?;
        let deadline = Deadline::after(LOCK_TIMEOUT);
        let mut is_printed = false;
        loop {
            match self.state.lock(StateLock::Sync, &Deadline::after(Duration::ZERO)) {
                Err(StateError::Busy(_)) if !deadline.is_expired() => {
                    if !is_printed {
                        eprintln!(
                            "A sync is running; waiting at most {} s for its end.",
                            LOCK_TIMEOUT.as_secs()
                        );
                        is_printed = true;
                    }
                    if signals.wait(None, Some(LOCK_INTERVAL)) == Wake::Signal {
                        return Err(CommandError::new(
                            ExitStatus::TryLater,
                            "interrupted; nothing was changed",
                        ));
                    }
                }
                Err(StateError::Busy(lock)) => {
                    let lock = lock.display();
                    let why = format!("another run is still active and holds {lock}; nothing was changed");
                    return Err(CommandError::new(
                        ExitStatus::TryLater,
                        format!("{why}; try again when it has ended"),
                    ));
                }
                locked => return Ok(locked?),
            }
        }
    }

    fn settings(&self, mode: Mode) -> Settings {
        let mut settings = Settings::from_config(&self.config, mode);
        let has_other_name = env_var("CLAUDE_AUTH_USER").is_some_and(|name| !name.is_empty());
        settings.can_copy_setup_token &= !has_other_name;
        settings
    }

    /// Returns an engine for this user. Unless the mode is read-only, the caller holds the lock of
    /// a sync.
    pub(crate) fn run(
        &self,
        mode: Mode,
        now: Timestamp,
        store: Result<Box<dyn Store>, StoreError>,
        verifier: Option<Box<dyn Verifier>>,
    ) -> Engine {
        Engine::new(EngineInput {
            account: self.account.clone(),
            paths: &self.paths,
            settings: self.settings(mode),
            store,
            now,
            deadline: Deadline::after(RUN_TIMEOUT),
            machine: MachineId::read(Path::new("/etc/machine-id")),
            verifier,
            asked_at: None,
        })
    }

    /// Runs a sync and returns its outcome. The caller holds the lock.
    pub(crate) fn run_sync(&self, now: Timestamp, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let run = self.run(Mode::Sync, now, self.store(), verifier);
        let mut outcome = self.with_login_email(run.run().outcome);
        for what in &self.config_warnings {
            outcome.escalate(Status::Warn, Detail::Configuration(what.clone()));
        }
        outcome
    }

    /// Runs a sync and reports it as usual, except on the terminal.
    pub(crate) fn sync(&self, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let now = now();
        let outcome = self.run_sync(now, verifier);
        self.report(now, VerifyMode::Verify).publish_without_stdout(&outcome, self.notify().as_ref());
        outcome
    }

    /// Requests a sync in the background. If that fails, the timer starts a sync.
    pub(crate) fn request_sync(&self) {
        self.requests.submit();
    }

    /// Returns the report of a run that began at `now`.
    pub(crate) fn report(&self, now: Timestamp, verification: VerifyMode) -> Report {
        let (user, state, requests) = (self.account.name.clone(), self.state.clone(), self.requests.clone());
        Report { user, state, requests, now, verification }
    }

    /// Adds the email of the login to an outcome that asks the user to sign in.
    pub(crate) fn with_login_email(&self, mut outcome: Outcome) -> Outcome {
        if outcome.requires_sign_in() {
            let owner = outcome.login().map(|login| login.owner.clone()).unwrap_or_default();
            outcome.sign_in_as = self.address(&owner);
        }
        outcome
    }

    /// Returns the email of the account of this login, if Claude Code knows it.
    pub(crate) fn address(&self, owner: &Owner) -> Option<Email> {
        let state = ClaudeJson::read(&json_settings::state_file(&self.account.home, None)).ok()??;
        Email::for_owner(&state, owner)
    }
}

/// A client that verifies one credential only once.
pub(crate) struct CachedVerifier {
    claude: Claude,
    about: Fingerprint,
    verdict: Verification,
}

impl CachedVerifier {
    /// Returns `claude` as a verifier that has verified `token` already.
    pub(crate) fn boxed(claude: Claude, token: &str, verdict: Verification) -> Box<dyn Verifier> {
        Box::new(Self { claude, about: Fingerprint::from_bytes(token), verdict })
    }
}

impl Verifier for CachedVerifier {
    fn probe(&mut self, token: &Secret<String>) -> Verification {
        match Fingerprint::from_bytes(token.expose()) == self.about {
            true => self.verdict.clone(),
            false => self.claude.probe(token),
        }
    }

    fn refresh_in_place(&mut self) -> Result<Verification, Obstacle> {
        self.claude.refresh_in_place()
    }
}
