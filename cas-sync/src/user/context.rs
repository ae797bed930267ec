//! Somebody whose credentials are looked after, because they typed a command about them or because it is time: who they are,
//! where their files lie, what is configured, and the sync's own way of looking after them.

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
use cas_core::outcome::{Detail, Outcome, Status};
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::{StateDirectory, StateError, StateLock};
use cas_core::state::sync_requests::Requests;
use cas_core::store::{Store, StoreError};
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use nix::fcntl::Flock;

use crate::claude::Claude;
use crate::os::deferred_signals::Wake;
use crate::os::environment::{env_var, harden_process, now};
use crate::published_state::PublishedState;
use crate::term::stderr::print_error;
use crate::user::error::CommandError;
use crate::user::error::block_termination;
use crate::user::identity::CallingUser;
use crate::user::notify::NotifyCommand;
use crate::user::report::Report;
use crate::user::verification::VerifyMode;

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(480);

/// How long a sync that is at work is waited for: longer than most take, shorter than a refresh that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// The caller, and how their machine is set up.
pub(crate) struct UserContext {
    pub(crate) account: Account,
    pub(crate) paths: Paths,
    pub(crate) state: StateDirectory,
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    pub(crate) requests: Requests,
    pub(crate) published_dir: PublishedState,
    /// What nobody understands in the configuration.
    config_warnings: Vec<String>,
}

/// Carries a command of the caller's out: what it answers is its exit code, and what it cannot do is told.
pub(crate) fn run_command(command: impl FnOnce(&UserContext) -> Result<u8, CommandError>) -> ExitCode {
    match UserContext::for_current_user().and_then(|person| command(&person)) {
        Ok(code) => ExitCode::from(code),
        Err(failed) => failed.report(),
    }
}

impl UserContext {
    /// Whoever runs this, if it is a person with a home that is in use. From here on no debugger and no core dump sees what is
    /// read. What nobody understands in the configuration is told.
    ///
    /// # Errors
    /// [`CommandError`]: root, an account that is none, a home that is away, or a configuration that cannot be used.
    pub(crate) fn for_current_user() -> Result<Self, CommandError> {
        harden_process()?;
        let caller = CallingUser::current()?.with_name_override()?;
        if caller.is_home_unavailable() {
            let home = caller.account.home.display();
            let why = "is not there, not mounted, or not in use yet; try again when it is";
            return Err(CommandError::new(75, format!("the home {home} {why}")));
        }
        let person = Self::configured(caller, now())?;
        person.config_warnings.iter().for_each(|what| print_error(&anyhow::anyhow!("configuration: {what}")));
        Ok(person)
    }

    /// The caller, as the machine and the environment are configured.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be used.
    pub(crate) fn configured(caller: CallingUser, now: Timestamp) -> Result<Self, ConfigError> {
        let (mut config, misunderstood) = Config::load(Path::new(config::CONFIG_DIR))?;
        config.apply_environment(env_var);
        let CallingUser { account, paths, state, requests, published_dir: shelf } = caller;
        Ok(Self {
            account,
            paths,
            state,
            config,
            now,
            requests,
            published_dir: shelf,
            config_warnings: misunderstood,
        })
    }

    /// The store, as it is configured; nothing is asked of a server yet.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be meant.
    pub(crate) fn store(&self) -> Result<Box<dyn Store>, StoreError> {
        cas_vault::open(&self.config, &self.account, &self.paths, &self.state, self.now)
    }

    /// The client of this person: the one that is configured, or found where people have it.
    pub(crate) fn claude(&self) -> Claude {
        let search_path = env_var("PATH").map(OsString::from);
        Claude::new(&self.config.claude, &self.account, &self.paths, search_path.as_deref(), self.now)
    }

    /// The same as a judge of credentials, where that is `wanted`.
    pub(crate) fn verifier(&self, wanted: bool) -> Option<Box<dyn Verifier>> {
        wanted.then(|| Box::new(self.claude()) as Box<dyn Verifier>)
    }

    /// The admin's program that is told of changes, if there is one.
    pub(crate) fn notify(&self) -> Option<NotifyCommand> {
        let command = self.config.notify.clone();
        let is_one = !command.is_empty();
        is_one.then(|| NotifyCommand {
            command,
            user: self.account.name.clone(),
            home: self.account.home.clone(),
        })
    }

    /// Takes the lock that a sync holds, so that none comes in between. One that is at work is waited for, which is said.
    ///
    /// # Errors
    /// [`CommandError`], to be tried later, when it takes too long or somebody asks to end.
    pub(crate) fn lock(&self) -> Result<Flock<File>, CommandError> {
        let signals = block_termination()?;
        let deadline = Deadline::after(PATIENCE);
        let mut is_said = false;
        loop {
            match self.state.lock(StateLock::Sync, &Deadline::after(Duration::ZERO)) {
                Err(StateError::Busy(_)) if !deadline.is_expired() => {
                    if !is_said {
                        eprintln!("A sync is at work; waiting for it, for {} s at most.", PATIENCE.as_secs());
                        is_said = true;
                    }
                    if signals.wait(None, Some(PAUSE)) == Wake::Signal {
                        return Err(CommandError::new(75, "interrupted; nothing was changed"));
                    }
                }
                Err(StateError::Busy(lock)) => {
                    let lock = lock.display();
                    let why = format!("another run is at work still, and holds {lock}; nothing was changed");
                    return Err(CommandError::new(75, format!("{why}: try again when it has ended")));
                }
                locked => return Ok(locked?),
            }
        }
    }

    /// A run of the planner for them, which may take its time. Unless it only looks, the caller holds the sync's lock.
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
            settings: Settings::from_config(&self.config, mode),
            store,
            now,
            deadline: Deadline::after(DEADLINE),
            machine: MachineId::read(Path::new("/etc/machine-id")),
            verifier,
            asked_at: None,
        })
    }

    /// What a sync makes of all this, under its lock, which the caller holds.
    pub(crate) fn run_sync(&self, now: Timestamp, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let run = self.run(Mode::Sync, now, self.store(), verifier);
        let mut outcome = self.with_login_email(run.run().outcome);
        for what in &self.config_warnings {
            outcome.escalate(Status::Warn, Detail::Configuration(what.clone()));
        }
        outcome
    }

    /// The same, told as every sync's end, but for the terminal.
    pub(crate) fn sync(&self, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let now = now();
        let outcome = self.run_sync(now, verifier);
        self.report(now, VerifyMode::Verify).publish_without_stdout(&outcome, self.notify().as_ref());
        outcome
    }

    /// Who hears of a run that began at `now`.
    pub(crate) fn report(&self, now: Timestamp, verification: VerifyMode) -> Report {
        let (user, state, shelf) =
            (self.account.name.clone(), self.state.clone(), self.published_dir.clone());
        Report { user, state, shelf, now, verification }
    }

    /// Whoever is told to sign in is told as whom, where Claude Code knows.
    pub(crate) fn with_login_email(&self, mut outcome: Outcome) -> Outcome {
        if outcome.requires_sign_in() {
            let owner = outcome.login().map(|login| login.owner.clone()).unwrap_or_default();
            outcome.sign_in_as = self.address(&owner);
        }
        outcome
    }

    /// The address of the account that this login belongs to, where Claude Code knows.
    pub(crate) fn address(&self, owner: &Owner) -> Option<Email> {
        let state = ClaudeJson::read(&json_settings::state_file(&self.account.home, None)).ok()??;
        Email::for_owner(&state, owner)
    }
}

/// A client that is not asked again about the credential it was just asked about.
pub(crate) struct CachedVerifier {
    claude: Claude,
    about: Fingerprint,
    verdict: Verification,
}

impl CachedVerifier {
    /// `claude`, which showed this of `token`.
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

    fn refresh_in_place(&mut self) -> Verification {
        self.claude.refresh_in_place()
    }
}
