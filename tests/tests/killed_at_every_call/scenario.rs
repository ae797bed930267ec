//! What each sweep begins with, and what it is about.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cas_core::claude_files::locks::STALE_LOCK_AGE;
use cas_core::ledger::Ledger;
use cas_tests::claude_login::{HOUR_MS, fresh, healthy, parsed, tombstone};
use cas_tests::now_ms;
use cas_tests::openbao::{Bao, Policy, Socket};
use cas_tests::test_user::{ENV_FILE, LOGIN, Resident, STATE};
use serde_json::{Value, json};

use crate::disk_state::{LOCKS, World};

/// The world before each run.
pub(crate) struct Scene {
    // Dropped in this order: the server ends before its network does.
    store: Option<Store>,
    resident: Resident,
    home: PathBuf,
    subject: Subject,
}

/// A server and what it holds before each run.
struct Store {
    socket: Socket,
    path: String,
    document: Value,
    _bao: Bao,
}

/// What the run is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Login,
    EnvFile,
    Document,
}

impl Scene {
    /// A cleared login, and a backup in the history.
    pub(crate) fn restore_from_this_machine() -> Self {
        let resident = Resident::settle();
        let login = fresh("one");
        resident.put(LOGIN, &login);
        assert!(resident.sync().status.success());
        resident.put(LOGIN, &tombstone(&login));
        Self::with(resident, None, Subject::Login)
    }

    /// No login file at all, and a copy in the history whose access token has ended.
    pub(crate) fn restore_of_a_lost_file() -> Self {
        let resident = Resident::settle();
        resident.put(LOGIN, &healthy("one", now_ms() - HOUR_MS));
        assert!(resident.sync().status.success());
        resident.remove(LOGIN);
        Self::with(resident, None, Subject::Login)
    }

    /// A cleared login on a machine without a history, and a backup in the store.
    pub(crate) fn restore_from_the_store() -> Self {
        let resident = Resident::settle();
        let login = fresh("one");
        let store = Store::new(&resident, Policy::Patch, document_with(&login));
        resident.put(LOGIN, &tombstone(&login));
        Self::with(resident, Some(store), Subject::Login)
    }

    /// A login newer than the copies in the history and in the store.
    pub(crate) fn backup(policy: Policy) -> Self {
        let resident = Resident::settle();
        let old = healthy("one", now_ms() + HOUR_MS);
        let store = Store::new(&resident, policy, document_with(&old));
        let _first = store.reset();
        resident.put(LOGIN, &old);
        assert!(resident.sync().status.success());
        resident.put(LOGIN, &fresh("two"));
        Self::with(resident, Some(store), Subject::Document)
    }

    /// Another setup-token in the store than in the env file.
    pub(crate) fn new_setup_token() -> Self {
        let resident = Resident::settle();
        let mut document = document_with(&fresh("one"));
        document["setup_token"] = json!("sk-ant-oat01-the-new-one");
        let store = Store::new(&resident, Policy::Patch, document);
        resident.put(LOGIN, &fresh("one"));
        resident.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-the-old-one\n");
        Self::with(resident, Some(store), Subject::EnvFile)
    }

    /// A setup-token in the env file that the store knows no more; and a login to fall back to, not
    /// backed up yet.
    pub(crate) fn withdrawn_setup_token() -> Self {
        let resident = Resident::settle();
        let mut document = document_with(&healthy("one", now_ms() + HOUR_MS));
        document["setup_token"] = json!("");
        let store = Store::new(&resident, Policy::Patch, document);
        resident.put(LOGIN, &fresh("two"));
        resident.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-the-old-one\n");
        Self::with(resident, Some(store), Subject::EnvFile)
    }

    fn with(resident: Resident, store: Option<Store>, subject: Subject) -> Self {
        let home = resident.keep_home_as("home-before");
        Self { store, resident, home, subject }
    }

    /// Makes everything as it was before the first run; returns the version of the store's
    /// document, if there is one.
    pub(crate) fn begin(&self) -> u64 {
        self.resident.move_in(&self.home);
        self.store.as_ref().map_or(0, Store::reset)
    }

    /// Whose home it is.
    pub(crate) fn resident(&self) -> &Resident {
        &self.resident
    }

    /// What the run is to change.
    pub(crate) fn subject(&self) -> Subject {
        self.subject
    }

    /// The document as an admin reads it: version and fields.
    pub(crate) fn document(&self) -> Option<(u64, Value)> {
        let store = self.store.as_ref()?;
        let answer = store.socket.ask("GET", &store.path, &Value::Null).body;
        let version = answer["data"]["metadata"]["version"].as_u64().expect("a version");
        Some((version, answer["data"]["data"].clone()))
    }

    /// Ages the locks, so that those without a holder become stale.
    pub(crate) fn age_locks(&self) {
        #[expect(clippy::disallowed_methods, reason = "the product compares with the wall clock")]
        let then = SystemTime::now() - STALE_LOCK_AGE - Duration::from_secs(2);
        for lock in LOCKS {
            if let Ok(directory) = File::open(self.resident.path(lock)) {
                directory.set_times(FileTimes::new().set_modified(then)).expect("its time is set");
            }
        }
    }

    /// Returns true if the one restore of this login is used: recorded, without a file.
    pub(crate) fn spends(&self, torn: &World) -> bool {
        let ledger = fs::read(self.resident.path(&format!("{STATE}/ledger.json"))).unwrap_or_default();
        let ledger: Ledger = serde_json::from_slice(&ledger).unwrap_or_default();
        torn.subject.is_null() && ledger.pending_restore.is_some_and(|intent| intent.replaces.is_none())
    }
}

impl Store {
    fn new(resident: &Resident, policy: Policy, document: Value) -> Self {
        let bao = resident.bao();
        let person = resident.use_store(&bao, policy);
        Self { socket: bao.socket(), path: person.path("data"), document, _bao: bao }
    }

    fn reset(&self) -> u64 {
        let body = json!({ "data": self.document });
        let answer = self.socket.ask("PUT", &self.path, &body).body;
        answer["data"]["version"].as_u64().expect("a version")
    }
}

/// A document of this machine's, with this login and the fields of another tool.
fn document_with(login: &str) -> Value {
    let oauth = &parsed(login)["claudeAiOauth"];
    json!({
        "claude_ai_oauth_json": oauth.to_string(),
        "credential_expires_at_ms": oauth["expiresAt"].to_string(),
        "backed_up_at": "2026-01-01T00:00:00Z",
        "vaultwarden_email": "alice@example.org",
        "vaultwarden_master_password": "<&>\u{e9}\u{1f511}\\\"",
        "numbers": [1, 2.5, null],
    })
}
