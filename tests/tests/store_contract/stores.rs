//! The stores that the contract applies to, each accessed as its user and as an administrator.

use std::fs;
use std::path::PathBuf;

use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::store::Store;
use cas_core::time::timestamp::Timestamp;
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::vault_fake::VaultFake;
use cas_vault::{VaultConfig, VaultStore};
use nix::unistd::Uid;
use serde_json::{Value, json};

/// A kind of store that can create an empty document for each case.
pub(crate) trait StoreFactory {
    /// Creates an unwritten document for a user of this name.
    fn empty(&self, user: &str) -> Box<dyn UserStore>;
}

/// The document of one user in a store.
pub(crate) trait UserStore: Sync {
    /// Returns the store as a new run of the user opens it.
    fn store(&self) -> Box<dyn Store>;
    /// Replaces the complete document, as another tool does.
    fn replace(&self, fields: &Value);
    /// Returns what an administrator sees: version and fields, or `None` if there is no live
    /// document.
    fn current_document(&self) -> Option<(u64, Value)>;
    /// Deletes the newest version so that it can be undeleted. Returns false if the store does not
    /// support this.
    fn delete(&self) -> bool;
    /// Destroys the newest version. Returns false if the store does not support this.
    fn destroy(&self) -> bool;
}

/// A state directory for each document.
pub(crate) struct LocalStores;

impl StoreFactory for LocalStores {
    fn empty(&self, _user: &str) -> Box<dyn UserStore> {
        Box::new(LocalUserStore(tempfile::tempdir().expect("a folder")))
    }
}

struct LocalUserStore(tempfile::TempDir);

impl LocalUserStore {
    fn file(&self) -> PathBuf {
        self.0.path().join("history.json")
    }

    fn history(&self) -> Value {
        let text = fs::read_to_string(self.file()).unwrap_or_else(|_| r#"{"versions":[]}"#.to_owned());
        serde_json::from_str(&text).expect("the history is JSON")
    }
}

impl UserStore for LocalUserStore {
    fn store(&self) -> Box<dyn Store> {
        let state = StateDirectory::new(self.0.path().to_owned(), Uid::effective().as_raw());
        Box::new(LocalStore::new(state, Timestamp::from_millis(0)))
    }

    fn replace(&self, fields: &Value) {
        let version = self.current_document().map_or(0, |(version, _)| version) + 1;
        let mut history = self.history();
        let versions = history["versions"].as_array_mut().expect("a list of versions");
        versions.push(json!({"version": version, "written_at": 0, "fields": fields}));
        fs::write(self.file(), history.to_string()).expect("the history is written");
    }

    fn current_document(&self) -> Option<(u64, Value)> {
        let newest = self.history()["versions"].as_array()?.last()?.clone();
        Some((newest["version"].as_u64()?, newest["fields"].clone()))
    }

    fn delete(&self) -> bool {
        false
    }

    fn destroy(&self) -> bool {
        false
    }
}

/// A fake for each document.
pub(crate) struct FakeStores {
    pub(crate) may_patch: bool,
    pub(crate) may_update: bool,
}

impl StoreFactory for FakeStores {
    fn empty(&self, user: &str) -> Box<dyn UserStore> {
        let fake = VaultFake::start(user);
        fake.set_policy(self.may_patch, self.may_update);
        let folder = tempfile::tempdir().expect("a folder");
        let config = fake.config(user, folder.path());
        Box::new(FakeUserStore { fake, config, _folder: folder })
    }
}

struct FakeUserStore {
    fake: VaultFake,
    config: VaultConfig,
    _folder: tempfile::TempDir,
}

impl UserStore for FakeUserStore {
    fn store(&self) -> Box<dyn Store> {
        Box::new(VaultStore::new(self.config.clone()))
    }

    fn replace(&self, fields: &Value) {
        self.fake.replace(&self.config.user, fields);
    }

    fn current_document(&self) -> Option<(u64, Value)> {
        let (status, body) = self.fake.document(&self.config.user);
        live_document(status, &body)
    }

    fn delete(&self) -> bool {
        self.fake.delete(&self.config.user);
        true
    }

    fn destroy(&self) -> bool {
        self.fake.destroy(&self.config.user);
        true
    }
}

/// A user of a real server for each document.
pub(crate) struct BaoStores {
    pub(crate) bao: Bao,
    pub(crate) policy: Policy,
}

impl StoreFactory for BaoStores {
    fn empty(&self, user: &str) -> Box<dyn UserStore> {
        Box::new(self.bao.create_user(user, self.policy))
    }
}

impl UserStore for VaultUser {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.store())
    }

    fn replace(&self, fields: &Value) {
        self.put_document(fields);
    }

    fn current_document(&self) -> Option<(u64, Value)> {
        let reply = self.document();
        live_document(reply.status, &reply.body)
    }

    fn delete(&self) -> bool {
        self.delete_document();
        true
    }

    fn destroy(&self) -> bool {
        let (version, _) = UserStore::current_document(self).expect("a live document");
        self.destroy_document(version);
        true
    }
}

fn live_document(status: u16, body: &Value) -> Option<(u64, Value)> {
    let data = &body["data"];
    (status == 200).then(|| (data["metadata"]["version"].as_u64().expect("a version"), data["data"].clone()))
}
