//! Somebody who types a command about their own credentials: who they are, where their files lie, what is configured, and the
//! sync's own way of looking after them.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cas_core::account::{Account, Paths};
use cas_core::config::{self, Config};
use cas_core::deadline::Deadline;
use cas_core::fingerprint::Fingerprint;
use cas_core::outcome::{Note, Outcome, Status};
use cas_core::secret::Secret;
use cas_core::state_directory::{Lock, StateDirectory, StateError};
use cas_core::store::user_store::UserStore;
use cas_core::timestamp::Timestamp;
use cas_core::verdict::{Verdict, Verifier};
use nix::fcntl::Flock;

use crate::claude::Claude;
use crate::deferred_signals::{DeferredSignals, Woken};
use crate::failed::Failed;
use crate::notify::Notify;
use crate::published::Shelf;
use crate::report::Report;
use crate::sync::{self, Verification, keep_secrets_in_memory, named_as_asked, now, own_account, variable};

/// How long a sync that is at work is waited for: longer than most take, shorter than a refresh that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// The caller.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) paths: Paths,
    pub(crate) state: StateDirectory,
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    /// Where root finds how they are; it knows them by their login name alone.
    shelf: Shelf,
    /// What nobody understands in the configuration.
    misunderstood: Vec<String>,
}

impl Person {
    /// Whoever runs this, if it is a person with a home that is in use. From here on no debugger and no core dump sees what is
    /// read.
    ///
    /// # Errors
    /// [`Failed`]: root, an account that is none, a home that is away, or a configuration that cannot be used.
    pub(crate) fn myself() -> Result<Self, Failed> {
        let account = own_account()?;
        let shelf = Shelf::of(&account.name, account.uid.as_raw());
        let account = named_as_asked(account)?;
        let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
        if account.home_is_yet_to_come(&paths) {
            let home = account.home.display();
            return Err(Failed::new(
                75,
                format!("the home {home} is not there, not mounted, or not in use yet"),
            ));
        }
        keep_secrets_in_memory()?;
        let (mut config, misunderstood) = Config::load(Path::new(config::DIRECTORY))?;
        config.override_from(variable);
        let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
        Ok(Self { account, paths, state, config, now: now(), shelf, misunderstood })
    }

    /// The store, as it is configured; nothing is asked of a server yet.
    ///
    /// # Errors
    /// [`Failed`] when it cannot be meant.
    pub(crate) fn store(&self) -> Result<UserStore, Failed> {
        Ok(UserStore::open(&self.config, &self.account, &self.paths, &self.state, self.now)?)
    }

    /// The client of this person.
    pub(crate) fn claude(&self) -> Claude {
        let search_path = variable("PATH").map(OsString::from);
        Claude::new(&self.config.claude, &self.account, &self.paths, search_path.as_deref(), self.now)
    }

    /// Takes the lock that a sync holds, so that none comes in between. One that is at work is waited for, which is said.
    ///
    /// # Errors
    /// [`Failed`], to be tried later, when it takes too long or somebody asks to end.
    pub(crate) fn lock(&self, signals: &DeferredSignals) -> Result<Flock<File>, Failed> {
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
                Err(StateError::Busy(_)) => {
                    return Err(Failed::new(
                        75,
                        "a sync is at work still; nothing was changed: try again later",
                    ));
                }
                locked => return Ok(locked?),
            }
        }
    }

    /// What a sync makes of all this, under its lock, which the caller holds. It is told as every sync's end, but for the
    /// terminal.
    pub(crate) fn sync(&self, verifier: Option<Box<dyn Verifier>>) -> Outcome {
        let (account, state) = (self.account.clone(), &self.state);
        let config = self.config.clone();
        let now = now();
        let mut outcome = sync::tend_with(account, &self.paths, &config, state, now, verifier);
        for what in &self.misunderstood {
            outcome.add(Status::Warn, Note::Configuration(what.clone()));
        }
        let user = self.account.name.clone();
        let command = self.config.notify.clone();
        let notify = Notify { command, user: user.clone(), home: self.account.home.clone() };
        let notify = Some(&notify).filter(|notify| !notify.command.is_empty());
        let (shelf, verification) = (self.shelf.clone(), Verification::Wanted);
        Report { user, state: state.clone(), shelf, now, verification }.tell_others(&outcome, notify);
        outcome
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
