//! The thread that acts: records what was seen, mends what lies there, and has it pushed. What may be done is the planner's
//! decision.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::config::StoreKind;
use cas_core::config::{self, Config};
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::engine::{Engine, EngineInput};
use cas_core::outcome::{BackupLocation, Detail, Outcome, Status};
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::state::sync_requests::Requests;
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::system::syslog;
use cas_protocol::deadline::Deadline;

use super::queue::Queue;
use super::store_push::{self, StorePush};
use super::sync_marker::SyncMarker;
use crate::os::environment::now;

/// How long one look may take. A client that holds its locks longer than this is left to the sync.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a file that is no JSON has to stay as it is before it counts as damaged, and not as half written.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// How long the catcher may take to tell what it was told; it does nothing else.
const PATIENCE: Duration = Duration::from_secs(1);

/// Acts for one person.
pub(super) struct RepairThread {
    account: Account,
    paths: Paths,
    state: StateDirectory,
    requests: Requests,
    machine: MachineId,
    /// This program, as it will be started for a push.
    program: PathBuf,
    push: StorePush,
    marker: Arc<SyncMarker>,
    /// The trouble that was told last, so that it is not told with every write.
    told: Option<String>,
}

impl RepairThread {
    pub(super) fn new(
        account: Account,
        paths: Paths,
        state: StateDirectory,
        requests: Requests,
        program: PathBuf,
        marker: Arc<SyncMarker>,
    ) -> Self {
        let machine = MachineId::read(Path::new("/etc/machine-id"));
        Self {
            account,
            paths,
            state,
            requests,
            machine,
            program,
            marker,
            push: StorePush::default(),
            told: None,
        }
    }

    /// Acts on what arrives, for ever. Holds `busy` whenever it may be in the middle of something.
    pub(super) fn run(mut self, inbox: &Arc<Queue>, busy: &Mutex<()>) -> ! {
        loop {
            let mail = inbox.take(self.push.next_at());
            let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
            self.record(mail.seen);
            if mail.look {
                self.look(inbox);
            }
            if let Some(ending) = mail.pushed {
                self.push.finish(ending, Instant::now());
            }
            if self.push.try_begin(Instant::now()) {
                self.begin_push(inbox);
            }
        }
    }

    fn record(&mut self, seen: VecDeque<Login>) {
        for login in seen {
            let outcome = self.engine().record(login);
            self.note_what_is_new(&outcome);
            self.tell(&outcome);
        }
    }

    /// Looks at what lies in the file now, and does what is to be done about it.
    fn look(&mut self, inbox: &Queue) {
        let file = CredentialsFile::new(self.paths.credentials_file.clone(), self.account.uid.as_raw());
        let found = file.read(now());
        if matches!(found.login, LoginFileState::Missing) {
            return; // whoever deletes the file means it
        }
        if matches!(found.login, LoginFileState::Invalid(_)) {
            thread::sleep(SETTLED_AFTER);
            if !file.is_unchanged_since(&found) {
                return; // its writer is at it; the end of that is an event of its own
            }
        }
        if found.login.needs_restore() {
            // A later login may have been seen that is not recorded yet; whatever is put back must not be older than that.
            if !inbox.wait_synced(&self.marker, PATIENCE) {
                return self.requests.leave();
            }
            self.record(inbox.drain_logins());
        }
        let before = found.identity;
        let outcome = self.engine().run_on_snapshot(found);
        self.note_what_is_new(&outcome);
        // What is wrong with a file that is gone is not worth telling: the next look is on its way.
        if outcome.status == Status::Recovered || file.read(now()).identity == before {
            self.tell(&outcome);
        }
    }

    fn engine(&self) -> Engine {
        let now = now();
        // As at a login: a configuration that cannot be read keeps nobody from mending what this machine can mend.
        let config =
            Config::load(Path::new(config::CONFIG_DIR)).map(|(config, _)| config).unwrap_or_default();
        Engine::new(EngineInput {
            account: self.account.clone(),
            paths: &self.paths,
            settings: Settings::from_config(&config, Mode::Watch),
            store: Ok(Box::new(LocalStore::new(self.state.clone(), now))),
            now,
            deadline: Deadline::after(DEADLINE),
            machine: self.machine.clone(),
            verifier: None,
            asked_at: self.requests.asked_at(),
        })
    }

    /// What is new is for the store.
    fn note_what_is_new(&mut self, outcome: &Outcome) {
        if outcome.notes.contains(&Detail::BackedUp(BackupLocation::LocalHistory)) && has_store() {
            self.push.schedule(Instant::now());
        }
    }

    /// Tells the journal, and the sync if that has to look: once of each trouble, however often somebody causes it.
    fn tell(&mut self, outcome: &Outcome) {
        let trouble = matches!(outcome.status, Status::Warn | Status::Fail).then(|| outcome.to_string());
        let is_news = match outcome.status {
            Status::Ok | Status::Skip => false,
            Status::Recovered => true,
            Status::Warn | Status::Fail => self.told != trouble,
        };
        self.told = trouble;
        if is_news {
            syslog::log_outcome(&self.account.name, outcome);
            if outcome.wants_sync {
                self.requests.leave();
            }
        }
    }

    fn begin_push(&mut self, inbox: &Arc<Queue>) {
        let (program, waiting) = (self.program.clone(), Arc::clone(inbox));
        let started = thread::Builder::new().spawn(move || waiting.pushed(store_push::run_push(&program)));
        if started.is_err() {
            self.push.finish(store_push::PushResult::Retry, Instant::now());
        }
    }
}

/// With the embedded store the history is the store, and there is nobody to tell. A configuration that cannot be read is for
/// the run to complain about.
fn has_store() -> bool {
    let config = Config::load(Path::new(config::CONFIG_DIR));
    config.map_or(true, |(config, _)| config.store == StoreKind::Vault)
}
