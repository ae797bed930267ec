//! The store in HashiCorp Vault or OpenBao: a KV version 2 document per user, read and written with
//! the user's own token. `docs/admin/vault.md` describes the measured behavior of the servers.
//!
//! Every write names the version that was read. A deleted document is never written again, and a
//! token of another user is never used. Nothing is opened and no request is sent before the first
//! use.

mod address;
mod admin;
mod admin_documents;
mod configured_store;
mod connection;
mod documents;
mod http;
mod kv;
mod mint;
mod peer;
mod policy;
mod policy_check;
mod policy_probe;
mod redact;
mod renewal;
mod response;
mod tls;
mod token_cache;
mod token_check;
mod token_file;
mod token_info;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use self::documents::DocumentClient;
use cas_core::store::{Document, Fields, Renewal, Store, StoreError, merge};
use cas_protocol::deadline::Deadline;

pub use self::address::{ProxyAddress, ServerUrl, SettingError, VaultPath};
pub use self::admin::AdminClient;
pub use self::configured_store::open;
pub use self::connection::Connection;
pub use self::mint::Minted;
pub use self::policy::{DocumentLayout, ROLE};
pub use self::policy_check::Access;
pub use self::policy_probe::{ForbiddenCall, forbidden_calls};
pub use self::token_cache::{TokenCache, WriteMethod};
pub use self::token_file::{Token, TokenFileError, parse as parse_token, read as read_token};
pub use self::token_info::TokenInfo;

/// The settings of the store.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// The URL of the server.
    pub address: ServerUrl,
    /// The only trusted CA, in PEM form. Without it, the system's CAs are trusted.
    pub ca_cert: Option<PathBuf>,
    /// The namespace, if there is one.
    pub namespace: Option<VaultPath>,
    /// The mount of the KV version 2 engine.
    pub mount: VaultPath,
    /// The path of the document below the mount.
    pub path: VaultPath,
    /// The proxy for https, if there is one. Proxies of the environment are ignored.
    pub proxy: Option<ProxyAddress>,
    /// The user, besides root, that may listen at an `http://` URL.
    pub agent_user: Option<String>,
    /// The user that the token must belong to.
    pub user: String,
    /// The token file: owned by the effective user, mode 0600, not a symlink.
    pub token_file: PathBuf,
    /// Wall-clock time, in milliseconds since the epoch.
    pub now_ms: u64,
    /// The cache of the last run, [`VaultStore::token_cache`].
    pub token_cache: TokenCache,
}

impl VaultConfig {
    /// Returns the settings with the default path of this user's document:
    /// `workstation/claude-users/USER` below the mount `secret`.
    ///
    /// # Errors
    /// [`SettingError`] if the name cannot be part of a path.
    pub fn for_user(
        address: ServerUrl,
        user: &str,
        token_file: PathBuf,
        now_ms: u64,
    ) -> Result<Self, SettingError> {
        Ok(Self {
            address,
            ca_cert: None,
            namespace: None,
            mount: VaultPath::parse("secret")?,
            path: VaultPath::for_user(user)?,
            proxy: None,
            agent_user: None,
            user: user.to_owned(),
            token_file,
            now_ms,
            token_cache: TokenCache::default(),
        })
    }

    fn server(&self) -> Connection {
        Connection {
            address: self.address.clone(),
            ca_cert: self.ca_cert.clone(),
            namespace: self.namespace.clone(),
            proxy: self.proxy.clone(),
            agent_user: self.agent_user.clone(),
        }
    }
}

/// One user's document in Vault, during one run.
pub struct VaultStore {
    documents: DocumentClient,
    /// The document that this run last read or wrote.
    cached: Option<Document>,
    /// The version that is known to be outdated.
    stale_version: Option<u64>,
}

/// The delays while a standby catches up. It usually lags by about 60 ms.
const STANDBY_BACKOFF_MS: [u64; 4] = [50, 100, 200, 400];

impl VaultStore {
    /// Creates the store. Neither the token file nor the server is accessed.
    pub fn new(config: VaultConfig) -> Self {
        Self { documents: DocumentClient::new(config), cached: None, stale_version: None }
    }

    /// Returns the token cache to save for the next run.
    pub fn token_cache(&self) -> &TokenCache {
        self.documents.token_cache()
    }

    /// Returns the number of requests that were sent.
    pub fn requests(&self) -> u64 {
        self.documents.requests()
    }

    /// Renews the token if its last renewal was a week ago or a third of its lifetime has passed.
    /// Call it in a sync, not at a login, because it is a write for the server.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this token can never be renewed again, for example because its
    /// role was removed; [`StoreError::Busy`] and [`StoreError::Unreachable`] if the next run may
    /// succeed.
    pub fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, StoreError> {
        self.documents.renew_if_due(deadline)
    }

    /// Returns the document at this version, from this run's cache or from the server.
    fn cached_at(&mut self, version: u64, deadline: &Deadline) -> Result<CachedDocument, StoreError> {
        match self.cached.take() {
            Some(document) if document.version == version => Ok(CachedDocument { document, is_fresh: false }),
            _ => self.fetch_at(version, deadline),
        }
    }

    /// Reads the document from the server. Fails with a conflict if it has another version.
    fn fetch_at(&mut self, version: u64, deadline: &Deadline) -> Result<CachedDocument, StoreError> {
        let document = self.newest(deadline)?;
        if document.version == version {
            return Ok(CachedDocument { document, is_fresh: true });
        }
        Err(StoreError::Conflict)
    }

    /// Reads the newest document. After a conflict a standby may still return the outdated version,
    /// because the refusal does not contain the current state. That version is retried.
    fn newest(&mut self, deadline: &Deadline) -> Result<Document, StoreError> {
        for pause_ms in STANDBY_BACKOFF_MS {
            let document = self.documents.read(deadline)?;
            if self.stale_version != Some(document.version) {
                self.stale_version = None;
                return Ok(document);
            }
            thread::sleep(Duration::from_millis(pause_ms).min(deadline.remaining()));
        }
        Err(StoreError::Busy {
            reason: "this node of the store has not caught up with the active one".to_owned(),
            retry_after: None,
        })
    }

    /// Writes with the method that the policy is known or assumed to permit, otherwise with the
    /// other one.
    fn write(
        &mut self,
        mut old: CachedDocument,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<u64, StoreError> {
        let first = self.documents.token_cache().write_method;
        for method in [first, first.other()] {
            let written = match method {
                WriteMethod::Patch => self.documents.patch(old.document.version, changes, deadline)?,
                WriteMethod::Put => {
                    // The version check does not detect a deletion, and the write would undo it:
                    // read again.
                    if !old.is_fresh {
                        old = self.fetch_at(old.document.version, deadline)?;
                    }
                    self.documents.put(&old.document, changes, deadline)?
                }
            };
            if let Some(version) = written {
                self.documents.set_write_method(method);
                return Ok(version);
            }
        }
        Err(self.documents.explain_denial("patch or update", deadline))
    }

    /// Writes the first version. A refusal may mean that the document exists by now.
    fn create(&mut self, changes: &Fields, deadline: &Deadline) -> Result<u64, StoreError> {
        match self.documents.put(&Document::default(), changes, deadline)? {
            Some(version) => Ok(version),
            None => {
                self.fetch_at(0, deadline)?;
                Err(self.documents.explain_denial("create", deadline))
            }
        }
    }
}

/// A document, and whether it was just read.
struct CachedDocument {
    document: Document,
    is_fresh: bool,
}

impl Store for VaultStore {
    fn read(&mut self, deadline: &Deadline) -> Result<Document, StoreError> {
        self.cached = None;
        let document = self.newest(deadline)?;
        self.cached = Some(document.clone());
        Ok(document)
    }

    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, StoreError> {
        merge::reject_null_or_object(changes)?;
        let old = self.cached_at(expected, deadline)?;
        if merge::is_unchanged(&old.document.fields, changes) {
            self.cached = Some(old.document);
            return Ok(expected);
        }
        let mut fields = old.document.fields.clone();
        let written = match expected {
            0 => self.create(changes, deadline),
            _ => self.write(old, changes, deadline),
        };
        if written == Err(StoreError::Conflict) {
            self.stale_version = Some(expected);
        }
        let version = written?;
        fields.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.cached = Some(Document { fields, version });
        Ok(version)
    }
}
