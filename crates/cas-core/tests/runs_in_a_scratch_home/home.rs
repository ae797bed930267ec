//! A user's home for one test.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::verification::Verifier;
use cas_core::engine::{Engine, EngineInput};
use cas_core::outcome::Outcome;
use cas_core::planner::{Mode, Settings};
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::store::{Store, StoreError};
use cas_core::system::account::{Account, Paths};
use cas_core::system::machine_id::MachineId;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use nix::unistd::{Gid, Uid};
use tempfile::TempDir;

pub(crate) const HOUR: u64 = 60 * 60 * 1000;
pub(crate) const NOW: u64 = 1000 * HOUR;
pub(crate) const CLEARED: &str = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]},"mcpOAuth":{"server":{"n":1.50}},"x":[1,  2]}"#;

pub(crate) struct Home {
    directory: TempDir,
    /// The time of the last request for a sync, as a run is told.
    pub(crate) asked_at: Option<Timestamp>,
    /// Whether logins are backed up and restored.
    pub(crate) oauth_backup: bool,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a scratch home");
        let home = Self { directory, asked_at: None, oauth_backup: true };
        fs::create_dir(home.path().join(".claude")).expect("a configuration directory");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::new(self.path(), |_| None)
    }

    pub(crate) fn state(&self) -> StateDirectory {
        StateDirectory::new(self.paths().state_directory, Uid::effective().as_raw())
    }

    pub(crate) fn run(&self, mode: Mode, now: u64) -> Outcome {
        self.run_with(mode, now, StoreKind::Local, None, |state| {
            Ok(Box::new(LocalStore::new(state, Timestamp::from_millis(now))))
        })
    }

    /// Runs a sync with this verifier.
    pub(crate) fn verify(&self, now: u64, verifier: impl Verifier + 'static) -> Outcome {
        self.run_with(Mode::Sync, now, StoreKind::Local, Some(Box::new(verifier)), |state| {
            Ok(Box::new(LocalStore::new(state, Timestamp::from_millis(now))))
        })
    }

    pub(crate) fn run_with(
        &self,
        mode: Mode,
        now: u64,
        kind: StoreKind,
        verifier: Option<Box<dyn Verifier>>,
        store: impl FnOnce(StateDirectory) -> Result<Box<dyn Store>, StoreError>,
    ) -> Outcome {
        let account = Account {
            name: "alice".into(),
            uid: Uid::effective(),
            gid: Gid::effective(),
            home: self.path().to_owned(),
        };
        let settings = Settings {
            mode,
            store: kind,
            login_refresh_after: Duration::from_secs(900),
            store_id: Fingerprint::from_bytes("the local store"),
            can_verify: false,
            verifies_in_sync: false,
            expected_organization: None,
            restore_from_other_machines: false,
            oauth_backup: self.oauth_backup,
            can_copy_setup_token: true,
        };
        let input = EngineInput {
            account,
            paths: &self.paths(),
            settings,
            store: store(self.state()),
            now: Timestamp::from_millis(now),
            deadline: Deadline::after(Duration::from_secs(20)),
            machine: MachineId::read(Path::new("/etc/machine-id")),
            verifier,
            asked_at: self.asked_at,
        };
        Engine::new(input).run().outcome
    }

    pub(crate) fn put(&self, content: &str) {
        fs::write(self.paths().credentials_file, content).expect("written");
    }

    pub(crate) fn content(&self) -> String {
        fs::read_to_string(self.paths().credentials_file).expect("there")
    }
}

pub(crate) fn login(refresh: &str, expires_at: u64) -> String {
    format!(
        r#"{{"accessToken":"access-{refresh}","refreshToken":"{refresh}","expiresAt":{expires_at},"scopes":["user:inference"]}}"#
    )
}

/// As [`login`], with the name of its account.
pub(crate) fn login_with_account(refresh: &str, expires_at: u64, account: &str) -> String {
    login(refresh, expires_at).replacen('{', &format!(r#"{{"accountUuid":"{account}","#), 1)
}

pub(crate) fn file(login: &str) -> String {
    format!(r#"{{"claudeAiOauth":{login},"mcpOAuth":{{"server":{{"n":1.50}}}}}}"#)
}
