//! Somebody whose credentials are looked after, because they typed a command about them or because it is time: who they are,
//! where their files lie, what is configured, and the sync's own way of looking after them.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cas_core::claude_files::json_settings::{self, ClaudeJson};
use cas_core::config::{self, Config, ConfigError};
use cas_core::credential::email::Address;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::login::Owner;
use cas_core::credential::verification::{Verdict, Verifier};
use cas_core::engine::{Parts, Run};
use cas_core::outcome::{Note, Outcome, Status};
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::{Lock, StateDirectory, StateError};
use cas_core::state::sync_requests::Requests;
use cas_core::store::{Failure, Store};
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::Machine;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use nix::fcntl::Flock;

use crate::claude::Claude;
use crate::os::deferred_signals::{Woken, held_back};
use crate::os::environment::{keep_secrets_in_memory, now, variable};
use crate::published_state::Shelf;
use crate::term::stderr::complain;
use crate::user::error::Failed;
use crate::user::identity::Caller;
use crate::user::notify::Notify;
use crate::user::report::Report;
use crate::user::verification::Verification;

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(480);

/// How long a sync that is at work is waited for: longer than most take, shorter than a refresh that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// The caller, and how their machine is set up.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) paths: Paths,
    pub(crate) state: StateDirectory,
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    pub(crate) requests: Requests,
    pub(crate) shelf: Shelf,
    /// What nobody understands in the configuration.
    misunderstood: Vec<String>,
}

/// Carries a command of the caller's out: what it answers is its exit code, and what it cannot do is told.
pub(crate) fn answered(command: impl FnOnce(&Person) -> Result<u8, Failed>) -> ExitCode {
    match Person::myself().and_then(|person| command(&person)) {
        Ok(code) => ExitCode::from(code),
        Err(failed) => failed.tell(),
    }
}

impl Person {
    /// Whoever runs this, if it is a person with a home that is in use. From here on no debugger and no core dump sees what is
    /// read. What nobody understands in the configuration is told.
    ///
    /// # Errors
    /// [`Failed`]: root, an account that is none, a home that is away, or a configuration that cannot be used.
    pub(crate) fn myself() -> Result<Self, Failed> {
        keep_secrets_in_memory()?;
        let caller = Caller::find()?.named_as_asked()?;
        if caller.home_is_yet_to_come() {
            let home = caller.account.home.display();
            let why = "is not there, not mounted, or not in use yet; try again when it is";
            return Err(Failed::new(75, format!("the home {home} {why}")));
        }
        let person = Self::configured(caller, now())?;
        person.misunderstood.iter().for_each(|what| complain(&anyhow::anyhow!("configuration: {what}")));
        Ok(person)
    }

    /// The caller, as the machine and the environment are configured.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be used.
    pub(crate) fn configured(caller: Caller, now: Timestamp) -> Result<Self, ConfigError> {
        let (mut config, misunderstood) = Config::load(Path::new(config::DIRECTORY))?;
        config.override_from(variable);
        let Caller { account, paths, state, requests, shelf } = caller;
        Ok(Self { account, paths, state, config, now, requests, shelf, misunderstood })
    }

    /// The store, as it is configured; nothing is asked of a server yet.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be meant.
    pub(crate) fn store(&self) -> Result<Box<dyn Store>, Failure> {
        cas_vault::open(&self.config, &self.account, &self.paths, &self.state, self.now)
    }

    /// The client of this person: the one that is configured, or found where people have it.
    pub(crate) fn claude(&self) -> Claude {
        let search_path = variable("PATH").map(OsString::from);
        Claude::new(&self.config.claude, &self.account, &self.paths, search_path.as_deref(), self.now)
    }

    /// The same as a judge of credentials, where that is `wanted`.
    pub(crate) fn verifier(&self, wanted: bool) -> Option<Box<dyn Verifier>> {
        wanted.then(|| Box::new(self.claude()) as Box<dyn Verifier>)
    }

    /// The admin's program that is told of changes, if there is one.
    pub(crate) fn notify(&self) -> Option<Notify> {
        let command = self.config.notify.clone();
        let is_one = !command.is_empty();
        is_one.then(|| Notify { command, user: self.account.name.clone(), home: self.account.home.clone() })
    }

    /// Takes the lock that a sync holds, so that none comes in between. One that is at work is waited for, which is said.
    ///
    /// # Errors
    /// [`Failed`], to be tried later, when it takes too long or somebody asks to end.
    pub(crate) fn lock(&self) -> Result<Flock<File>, Failed> {
        let signals = held_back()?;
        let deadline = Deadline::after(PATIENCE);
        let mut is_said = false;
        loop {
            match self.state.lock(Lock::Sync, &Deadline::after(Duration::ZERO)) {
                Err(StateError::Busy(_)) if !deadline.has_passed() => {
                    if !is_said {
                        eprintln!("A sync is at work; waiting for it, for {} s at most.", PATIENCE.as_secs());
                        is_said = true;
                    }
                    if signals.wait(None, Some(PAUSE)) == Woken::Asked {
                        return Err(Failed::new(75, "interrupted; nothing was changed"));
                    }
                }
                Err(StateError::Busy(lock)) => {
                    let lock = lock.display();
                    let why = format!("another run is at work still, and holds {lock}; nothing was changed");
                    return Err(Failed::new(75, format!("{why}: try again when it has ended")));
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
        store: Result<Box<dyn Store>, Failure>,
        verifier: Option<Box<dyn Verifier>>,
    ) -> Run {
        Run::new(Parts {
            account: self.account.clone(),
            paths: &self.paths,
            settings: Settings::from_config(&self.config, mode),
            store,
            now,
            deadline: Deadline::after(DEADLINE),
            machine: Machine::this(Path::new("/etc/machine-id")),
            verifier,
            asked_at: None,
        })
    }

    /// What a sync makes of all this, under its lock, which the caller holds.
    pub(crate) fn tended(&self, now: Timestamp, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let run = self.run(Mode::Sync, now, self.store(), verifier);
        let mut outcome = self.addressed(run.until_reported().outcome);
        for what in &self.misunderstood {
            outcome.add(Status::Warn, Note::Configuration(what.clone()));
        }
        outcome
    }

    /// The same, told as every sync's end, but for the terminal.
    pub(crate) fn sync(&self, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let now = now();
        let outcome = self.tended(now, verifier);
        self.report(now, Verification::Wanted).tell_others(&outcome, self.notify().as_ref());
        outcome
    }

    /// Who hears of a run that began at `now`.
    pub(crate) fn report(&self, now: Timestamp, verification: Verification) -> Report {
        let (user, state, shelf) = (self.account.name.clone(), self.state.clone(), self.shelf.clone());
        Report { user, state, shelf, now, verification }
    }

    /// Whoever is told to sign in is told as whom, where Claude Code knows.
    pub(crate) fn addressed(&self, mut outcome: Outcome) -> Outcome {
        if outcome.asks_to_sign_in() {
            let owner = outcome.login().map(|login| login.owner.clone()).unwrap_or_default();
            outcome.sign_in_as = self.address(&owner);
        }
        outcome
    }

    /// The address of the account that this login belongs to, where Claude Code knows.
    pub(crate) fn address(&self, owner: &Owner) -> Option<Address> {
        let state = ClaudeJson::read(&json_settings::state_file(&self.account.home, None)).ok()??;
        Address::of_account(&state, owner)
    }
}

/// A client that is not asked again about the credential it was just asked about.
pub(crate) struct Asked {
    claude: Claude,
    about: Fingerprint,
    verdict: Verdict,
}

impl Asked {
    /// `claude`, which showed this of `token`.
    pub(crate) fn boxed(claude: Claude, token: &str, verdict: Verdict) -> Box<dyn Verifier> {
        Box::new(Self { claude, about: Fingerprint::of(token), verdict })
    }
}

impl Verifier for Asked {
    fn probe(&mut self, token: &Secret<String>) -> Verdict {
        match Fingerprint::of(token.expose()) == self.about {
            true => self.verdict.clone(),
            false => self.claude.probe(token),
        }
    }

    fn refresh_run(&mut self) -> Verdict {
        self.claude.refresh_run()
    }
}
