//! The initial state of each sweep, and its subject.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cas_core::claude_files::locks::STALE_LOCK_AGE;
use cas_core::ledger::Ledger;
use cas_tests::claude_login::{HOUR_MS, cleared_login, new_login, parsed, valid_login};
use cas_tests::now_ms;
use cas_tests::openbao::{Bao, Policy, Socket};
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use serde_json::{Value, json};

use crate::disk_state::{DiskState, LOCKS};

/// The state before each run.
pub(crate) struct Scenario {
    // Dropped in this order: the server ends before its network does.
    store: Option<Store>,
    test_user: TestUser,
    home: PathBuf,
    subject: Subject,
}

/// A server and its content before each run.
struct Store {
    socket: Socket,
    path: String,
    document: Value,
    _bao: Bao,
}

/// What the run must change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Login,
    EnvFile,
    Document,
}

impl Scenario {
    /// Returns a cleared login, and a backup in the history.
    pub(crate) fn restore_from_history() -> Self {
        let test_user = TestUser::create();
        let login = new_login("one");
        test_user.put(LOGIN, &login);
        assert!(test_user.sync().status.success());
        test_user.put(LOGIN, &cleared_login(&login));
        Self::new(test_user, None, Subject::Login)
    }

    /// Returns a missing login file, and a backup in the history whose access token has expired.
    pub(crate) fn restore_of_missing_file() -> Self {
        let test_user = TestUser::create();
        test_user.put(LOGIN, &valid_login("one", now_ms() - HOUR_MS));
        assert!(test_user.sync().status.success());
        test_user.remove(LOGIN);
        Self::new(test_user, None, Subject::Login)
    }

    /// Returns a cleared login on a machine without a history, and a backup in the store.
    pub(crate) fn restore_from_the_store() -> Self {
        let test_user = TestUser::create();
        let login = new_login("one");
        let store = Store::new(&test_user, Policy::Patch, document_with(&login));
        test_user.put(LOGIN, &cleared_login(&login));
        Self::new(test_user, Some(store), Subject::Login)
    }

    /// Returns a login newer than the backups in the history and in the store.
    pub(crate) fn backup(policy: Policy) -> Self {
        let test_user = TestUser::create();
        let old = valid_login("one", now_ms() + HOUR_MS);
        let store = Store::new(&test_user, policy, document_with(&old));
        let _first = store.reset();
        test_user.put(LOGIN, &old);
        assert!(test_user.sync().status.success());
        test_user.put(LOGIN, &new_login("two"));
        Self::new(test_user, Some(store), Subject::Document)
    }

    /// Returns another setup token in the store than in the env file.
    pub(crate) fn new_setup_token() -> Self {
        let test_user = TestUser::create();
        let mut document = document_with(&new_login("one"));
        document["setup_token"] = json!("sk-ant-oat01-the-new-one");
        let store = Store::new(&test_user, Policy::Patch, document);
        test_user.put(LOGIN, &new_login("one"));
        test_user.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-the-old-one\n");
        Self::new(test_user, Some(store), Subject::EnvFile)
    }

    /// Returns a setup token in the env file that the store no longer has; and a login to fall back
    /// to, not backed up yet.
    pub(crate) fn withdrawn_setup_token() -> Self {
        let test_user = TestUser::create();
        let mut document = document_with(&valid_login("one", now_ms() + HOUR_MS));
        document["setup_token"] = json!("sk-ant-oat01-the-old-one");
        let mut store = Store::new(&test_user, Policy::Patch, document);
        let _first = store.reset();
        assert!(test_user.sync().status.success());
        store.document["setup_token"] = json!("");
        test_user.put(LOGIN, &new_login("two"));
        Self::new(test_user, Some(store), Subject::EnvFile)
    }

    /// Returns a login with backups in the history and in the store, and the client's own file.
    pub(crate) fn logout() -> Self {
        let test_user = TestUser::create();
        let store = Store::new(&test_user, Policy::Patch, document_with(&new_login("one")));
        let _first = store.reset();
        test_user.put(LOGIN, &new_login("one"));
        test_user.put(
            ".claude.json",
            r#"{"numStartups":5,"userID":"1","oauthAccount":{"emailAddress":"a@b.example"}}"#,
        );
        assert!(test_user.sync().status.success());
        Self::new(test_user, Some(store), Subject::Login)
    }

    fn new(test_user: TestUser, store: Option<Store>, subject: Subject) -> Self {
        let home = test_user.save_home("home-before");
        Self { store, test_user, home, subject }
    }

    /// Restores the state before the first run. Returns the version of the store's document, or 0.
    pub(crate) fn begin(&self) -> u64 {
        self.test_user.restore_home(&self.home);
        self.store.as_ref().map_or(0, Store::reset)
    }

    /// Returns the user of the home.
    pub(crate) fn test_user(&self) -> &TestUser {
        &self.test_user
    }

    /// Returns what the run must change.
    pub(crate) fn subject(&self) -> Subject {
        self.subject
    }

    /// Returns version and fields of the document as an administrator reads them.
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
        // Those of Claude Code, and the directory: a sync waits where a login was just deleted.
        for lock in LOCKS.iter().chain(&[".claude.json.lock", ".claude"]) {
            if let Ok(directory) = File::open(self.test_user.path(lock)) {
                directory.set_times(FileTimes::new().set_modified(then)).expect("its time is set");
            }
        }
    }

    /// Returns true if the one restore of this login is used: recorded, without a file.
    pub(crate) fn consumes_restore(&self, torn: &DiskState) -> bool {
        let ledger = fs::read(self.test_user.path(&format!("{STATE}/ledger.json"))).unwrap_or_default();
        let ledger: Ledger = serde_json::from_slice(&ledger).unwrap_or_default();
        torn.subject.is_null() && ledger.pending_restore.is_some_and(|intent| intent.replaces.is_none())
    }
}

impl Store {
    fn new(test_user: &TestUser, policy: Policy, document: Value) -> Self {
        let bao = test_user.bao();
        let vault_user = test_user.use_store(&bao, policy);
        Self { socket: bao.socket(), path: vault_user.path("data"), document, _bao: bao }
    }

    fn reset(&self) -> u64 {
        let body = json!({ "data": self.document });
        let answer = self.socket.ask("PUT", &self.path, &body).body;
        answer["data"]["version"].as_u64().expect("a version")
    }
}

/// Returns a document of this machine, with this login and the fields of another tool.
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
