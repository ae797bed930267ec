//! The thread that acts: it records the logins, repairs the file and starts pushes. The planner
//! decides what may be done.

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
use cas_core::state::notice_file;
use cas_core::state::sync_requests::SyncRequests;
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::system::syslog;
use cas_protocol::deadline::Deadline;

use super::queue::Queue;
use super::store_push::{self, StorePush};
use super::sync_marker::SyncMarker;
use crate::os::environment::now;

/// The time limit of one inspection. If a client holds its locks longer, the sync repairs the file.
const INSPECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// A file that is not JSON counts as invalid, not as incomplete, if it is unchanged for this time.
const WRITE_GRACE: Duration = Duration::from_millis(100);

/// The time limit for the event thread to queue all events; it does nothing else.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

/// The repair thread of one user.
pub(super) struct RepairThread {
    account: Account,
    paths: Paths,
    state: StateDirectory,
    requests: SyncRequests,
    machine: MachineId,
    /// The path of this program, for a push.
    program: PathBuf,
    push: StorePush,
    marker: Arc<SyncMarker>,
    /// The last logged problem, which is not logged again with each write.
    last_problem: Option<String>,
}

impl RepairThread {
    pub(super) fn new(
        account: Account,
        paths: Paths,
        state: StateDirectory,
        requests: SyncRequests,
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
            last_problem: None,
        }
    }

    /// Handles the queue and does not return. Holds `busy` during all work.
    pub(super) fn run(mut self, queue: &Arc<Queue>, busy: &Mutex<()>) -> ! {
        loop {
            let batch = queue.take(self.push.next_at());
            let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
            self.record(batch.seen);
            if batch.needs_inspection {
                self.inspect(queue);
            }
            if let Some(ending) = batch.pushed {
                self.push.finish(ending, Instant::now());
            }
            if self.push.try_begin(Instant::now()) {
                self.begin_push(queue);
            }
        }
    }

    fn record(&mut self, seen: VecDeque<Login>) {
        for login in seen {
            let outcome = self.engine().record(login);
            self.schedule_push(&outcome);
            self.log(&outcome);
        }
    }

    /// Inspects the file and repairs it if needed.
    fn inspect(&mut self, queue: &Queue) {
        let file = CredentialsFile::new(self.paths.credentials_file.clone(), self.account.uid.as_raw());
        let found = file.read(now());
        if matches!(found.login, LoginFileState::Missing) {
            return; // a deleted file is not restored
        }
        if matches!(found.login, LoginFileState::Invalid(_)) {
            thread::sleep(WRITE_GRACE);
            if !file.is_unchanged_since(&found) {
                return; // it is being written; its close causes an event
            }
        }
        if found.login.needs_restore() {
            // A newer login may be in the queue; the restored one must not be older than that.
            if !queue.wait_synced(&self.marker, SYNC_TIMEOUT) {
                return self.request_sync();
            }
            self.record(queue.drain_logins());
        }
        let before = found.identity;
        let outcome = self.engine().run_on_snapshot(found);
        self.schedule_push(&outcome);
        // A problem of a file that has changed is not logged: the next inspection follows.
        if outcome.status == Status::Recovered || file.read(now()).identity == before {
            self.log(&outcome);
        }
    }

    fn engine(&self) -> Engine {
        let now = now();
        // As at a login: an invalid configuration does not prevent a repair by this machine.
        let config =
            Config::load(Path::new(config::CONFIG_DIR)).map(|(config, _)| config).unwrap_or_default();
        Engine::new(EngineInput {
            account: self.account.clone(),
            paths: &self.paths,
            settings: Settings::from_config(&config, Mode::Watch),
            store: Ok(Box::new(LocalStore::new(self.state.clone(), now))),
            now,
            deadline: Deadline::after(INSPECTION_TIMEOUT),
            machine: self.machine.clone(),
            verifier: None,
            asked_at: self.requests.last_activity(),
        })
    }

    /// Schedules a push if a new login was backed up and there is a store.
    fn schedule_push(&mut self, outcome: &Outcome) {
        if outcome.notes.contains(&Detail::BackedUp(BackupLocation::LocalHistory)) && has_store() {
            self.push.schedule(Instant::now());
        }
    }

    /// Logs the outcome to the journal and requests a sync if needed: once for each problem, even
    /// if it recurs. A restore leaves a notice. All other notices come from logins and syncs, which
    /// know more.
    fn log(&mut self, outcome: &Outcome) {
        let problem = matches!(outcome.status, Status::Warn | Status::Fail).then(|| outcome.to_string());
        let is_new = match outcome.status {
            Status::Ok | Status::Skip => false,
            Status::Recovered => true,
            Status::Warn | Status::Fail => self.last_problem != problem,
        };
        self.last_problem = problem;
        if outcome.status == Status::Recovered {
            // Not essential: the restore is in the journal.
            drop(notice_file::update(outcome, Mode::Watch, &self.state));
        }
        if is_new {
            syslog::log_outcome(&self.account.name, outcome);
            if outcome.wants_sync {
                self.request_sync();
            }
        }
    }

    fn request_sync(&self) {
        self.requests.submit();
    }

    fn begin_push(&mut self, queue: &Arc<Queue>) {
        let (program, waiting) = (self.program.clone(), Arc::clone(queue));
        let started = thread::Builder::new().spawn(move || waiting.pushed(store_push::run_push(&program)));
        if started.is_err() {
            self.push.finish(store_push::PushResult::Retry, Instant::now());
        }
    }
}

/// Returns true if there is a store besides the local history. An invalid configuration is reported
/// by the push.
fn has_store() -> bool {
    let config = Config::load(Path::new(config::CONFIG_DIR));
    config.map_or(true, |(config, _)| config.store == StoreKind::Vault)
}
