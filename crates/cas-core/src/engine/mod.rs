//! The engine of a run: gathers the facts, executes the planner's steps, and asks it again until it
//! reports. The engine contains no policy.

mod copy_token;
mod execute;
mod from_snapshot;
mod inspect;
mod observe;
mod sign_out;
mod verify;

use std::path::Path;

pub use inspect::{BackupInfo, Inspection};
pub use sign_out::sign_out;

use crate::claude_files::credentials_file::{CredentialsFile, Snapshot};
use crate::credential::login::Login;
use crate::credential::verification::Verifier;
use crate::outcome::{Detail, Finding, Outcome, Status};
use crate::planner::{self, Facts, Mode, Settings, Step, TokenFact};
use crate::state::directory::StateDirectory;
use crate::state::env_file::{EnvFile, EnvFileContent};
use crate::state::local_store::LocalStore;
use crate::store::user_document::{SetupTokenField, UserDocument};
use crate::store::{Renewal, Store, StoreError};
use crate::system::account::{Account, Paths};
use crate::system::machine_id::MachineId;
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::setup_token::SetupToken;

/// The maximum number of steps in a run. The planner needs less than half.
const MAX_STEPS: usize = 32;

/// One run for one user. The process must already run as that user.
pub struct Engine {
    account: Account,
    settings: Settings,
    machine: MachineId,
    now: Timestamp,
    deadline: Deadline,
    credentials: CredentialsFile,
    env_file: EnvFile,
    state: StateDirectory,
    history: LocalStore,
    store: Result<Box<dyn Store>, StoreError>,
    /// The content of the credential file, with its secrets, or the given snapshot.
    snapshot: Snapshot,
    /// Whether the snapshot was given, so that the file is not read.
    snapshot_is_fixed: bool,
    /// The logins in the local history.
    kept: Vec<Login>,
    /// The store's document, with its secrets.
    document: Option<UserDocument>,
    verifier: Option<Box<dyn Verifier>>,
    asked_at: Option<Timestamp>,
    /// Whether the env file was changed, or a change failed, because the store said so.
    follows_store: bool,
    /// How often a step was decided again because another process was faster.
    conflicts: u32,
    /// Whether this is an inspection, which writes nothing.
    is_inspection: bool,
    /// The backups that were found before any change.
    found: Vec<BackupInfo>,
}

/// The parameters of a run.
pub struct EngineInput<'a> {
    /// The user.
    pub account: Account,
    /// The paths of the user's files.
    pub paths: &'a Paths,
    /// What the run may do.
    pub settings: Settings,
    /// The user's store, or why it cannot be used.
    pub store: Result<Box<dyn Store>, StoreError>,
    /// The wall clock.
    pub now: Timestamp,
    /// The deadline of the run.
    pub deadline: Deadline,
    /// This machine.
    pub machine: MachineId,
    /// The verifier. Without it nothing is verified.
    pub verifier: Option<Box<dyn Verifier>>,
    /// When a sync was last requested:
    /// [`crate::state::sync_requests::SyncRequests::last_activity`].
    pub asked_at: Option<Timestamp>,
}

/// The result of a run.
pub struct RunResult {
    /// The outcome.
    pub outcome: Outcome,
    /// The setup token that is active now.
    pub token: Option<SetupToken>,
    /// How many requests were sent to a server.
    pub requests: u64,
    /// For a command, the backups that were found before any change.
    pub found: Vec<BackupInfo>,
}

impl Engine {
    /// Prepares a run. Nothing is read yet.
    pub fn new(input: EngineInput<'_>) -> Self {
        let EngineInput { account, paths, settings, store, now, deadline, machine, verifier, asked_at } =
            input;
        let settings = Settings { can_verify: verifier.is_some(), ..settings };
        let owner = account.uid.as_raw();
        let state = StateDirectory::new(paths.state_directory.clone(), owner);
        Self {
            credentials: CredentialsFile::new(paths.credentials_file.clone(), owner),
            env_file: EnvFile::new(paths.env_file.clone(), owner),
            history: LocalStore::new(state.clone(), now),
            snapshot: Snapshot {
                login: crate::credential::login_file::LoginFileState::Missing,
                content: None,
                identity: None,
            },
            snapshot_is_fixed: false,
            kept: Vec::new(),
            document: None,
            verifier,
            asked_at,
            follows_store: false,
            conflicts: 0,
            is_inspection: false,
            found: Vec::new(),
            account,
            settings,
            machine,
            now,
            deadline,
            state,
            store,
        }
    }

    /// Executes the run. It ends in exactly one outcome, whatever fails.
    pub fn run(mut self) -> RunResult {
        let mut outcome = self.outcome();
        let found = std::mem::take(&mut self.found);
        self.renew_store_token(&mut outcome);
        if let Ok(store) = &self.store
            && store.requests() > 0
        {
            store.save_token_cache();
        }
        let token = self.active_token();
        RunResult { outcome, token, requests: self.store.as_ref().map_or(0, |store| store.requests()), found }
    }

    fn outcome(&mut self) -> Outcome {
        if !Path::is_dir(&self.account.home) {
            return skipped(format!("the home directory {} is missing", self.account.home.display()));
        }
        let mut facts = self.observe();
        for _ in 0..MAX_STEPS {
            match planner::next(&facts) {
                Step::Report(outcome) => return *outcome,
                step => self.execute(step, &mut facts),
            }
        }
        skipped(String::from("no decision was reached; report this as a defect"))
    }

    /// Returns the setup token that this run activated, even if the env file could not be updated;
    /// otherwise that of the env file.
    fn active_token(&mut self) -> Option<SetupToken> {
        let document = self.document.take().filter(|_| self.follows_store);
        let stated = document
            .as_ref()
            .map(|found| TokenFact::from_field(&found.setup_token, self.settings.store, found.version));
        match (stated, document.map(|found| found.setup_token)) {
            (Some(TokenFact::Withdrawn | TokenFact::Absent), _) => None,
            (_, Some(SetupTokenField::Token(token))) => Some(token),
            _ => self.setup_token(),
        }
    }

    /// Returns the setup token in the env file.
    fn setup_token(&self) -> Option<SetupToken> {
        match self.env_file.read() {
            EnvFileContent::Token(token) => Some(token),
            _ => None,
        }
    }

    /// Renews the store's token when it is due. Only in a sync, because it is a write for the
    /// server.
    fn renew_store_token(&mut self, outcome: &mut Outcome) {
        let (Mode::Sync, Some(_), Ok(store)) = (self.settings.mode, &self.document, &mut self.store) else {
            return;
        };
        match store.renew_if_due(&self.deadline) {
            Ok(Renewal::NotDue) => (),
            Ok(Renewal::Renewed { warnings, .. }) => {
                warnings
                    .into_iter()
                    .for_each(|warning| outcome.escalate(Status::Warn, Detail::StoreToken(warning)));
            }
            Ok(Renewal::NotRenewable { expires_at_ms }) => {
                let end = expires_at_ms
                    .map_or_else(|| "never".into(), |end| Timestamp::from_millis(end).to_string());
                let why = format!(
                    "it cannot be renewed and expires {end}; an administrator must create another one"
                );
                outcome.escalate(Status::Warn, Detail::StoreToken(why));
            }
            Err(failure @ StoreError::Refused { .. }) => {
                outcome.escalate(Status::Fail, Detail::StoreToken(failure.to_string()))
            }
            Err(failure) => outcome.escalate(Status::Warn, Detail::Store(failure)),
        }
    }

    fn execute(&mut self, step: Step, facts: &mut Facts) {
        match step {
            Step::ReadStore => self.read_store(facts),
            Step::WriteEnvFile => self.write_env_file(facts),
            Step::RemoveEnvFile => self.remove_env_file(facts),
            Step::CopyToken(token) => self.copy_token(token, facts),
            Step::RemoveLocalToken => self.remove_local_token(facts),
            Step::Restore(generation, source) => self.restore(generation, source, facts),
            Step::RollBack => self.roll_back(facts),
            Step::Backup(generation, place) => self.back_up(generation, place, facts),
            Step::Probe(subject) => self.probe(subject, facts),
            Step::RefreshRun => self.refresh_run(facts),
            Step::Report(_) => (),
        }
    }
}

fn skipped(why: String) -> Outcome {
    Outcome::new(Status::Warn, Finding::Skipped(why))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::unistd::{Gid, Uid};

    use super::*;
    use crate::config::Config;
    use crate::credential::login_file::LoginFileState;
    use crate::ledger::Ledger;
    use crate::outcome::BackupLocation;

    /// Two logins run at the same time and the other one was faster: the ledger no longer permits
    /// the restore.
    #[test]
    fn restore_that_the_ledger_forbids_meanwhile_is_skipped() {
        let scratch = tempfile::tempdir().expect("a scratch home");
        let now = Timestamp::from_millis(100_000_000);
        let paths = Paths::new(scratch.path(), |_| None);
        let run = |mode| {
            let settings = Settings {
                login_refresh_after: Duration::ZERO,
                ..Settings::from_config(&Config::default(), mode)
            };
            let (uid, gid, home) = (Uid::effective(), Gid::effective(), scratch.path().to_owned());
            let state = StateDirectory::new(paths.state_directory.clone(), uid.as_raw());
            Engine::new(EngineInput {
                account: Account { name: "alice".into(), uid, gid, home },
                paths: &paths,
                settings,
                store: Ok(Box::new(LocalStore::new(state, now))),
                now,
                deadline: Deadline::after(Duration::from_secs(20)),
                machine: MachineId::read(Path::new("/etc/machine-id")),
                verifier: None,
                asked_at: None,
            })
        };
        let stale = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1,"scopes":["user:inference"]}}"#;
        std::fs::create_dir(scratch.path().join(".claude")).expect("a directory");
        std::fs::write(&paths.credentials_file, stale).expect("a login");
        run(Mode::Sync).run();
        std::fs::remove_file(&paths.credentials_file).expect("deleted");

        let mut slow = run(Mode::Login);
        let mut facts = slow.observe();
        let summary = facts.history.first().expect("backed up").clone();
        let faster = |ledger: &mut Ledger| ledger.begin_restore(&summary, None, now);
        slow.state.update_ledger(&slow.deadline, faster).expect("recorded");
        slow.execute(Step::Restore(summary.generation, BackupLocation::LocalHistory), &mut facts);
        assert_eq!(facts.login, LoginFileState::Missing);
        assert!(!paths.credentials_file.exists());
        assert!(facts.done.restore.is_none(), "the planner decides again");
    }
}
