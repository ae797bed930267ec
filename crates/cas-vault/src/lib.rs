//! The store of a fleet: a KV version 2 document in HashiCorp Vault or OpenBao, read and changed with the user's own
//! token. What the server does in which case was measured, see `docs/admin/vault.md`.
//!
//! It never writes without saying which version it read, never brings a deleted document back, and never uses a token
//! that is not the user's own. Nothing is opened, built or asked before the first use.

mod address;
mod admin;
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

/// Everything the store has to be told.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Where the server listens.
    pub address: ServerUrl,
    /// The only CA to believe, in PEM form; without one, those the system trusts.
    pub ca_cert: Option<PathBuf>,
    /// The namespace, where the server has any.
    pub namespace: Option<VaultPath>,
    /// Where the KV version 2 engine is mounted.
    pub mount: VaultPath,
    /// Where the document lies below the mount.
    pub path: VaultPath,
    /// The proxy for https, if one is wanted: those in the environment are not looked at.
    pub proxy: Option<ProxyAddress>,
    /// The user, besides root, that may be at the other end of an `http://` address.
    pub agent_user: Option<String>,
    /// Whose token it has to be.
    pub user: String,
    /// The file with the token: owned by the effective user, mode 0600, no link.
    pub token_file: PathBuf,
    /// Wall-clock time, in milliseconds since the epoch.
    pub now_ms: u64,
    /// What [`VaultStore::memory`] said at the end of the last run.
    pub token_cache: TokenCache,
}

impl VaultConfig {
    /// The usual place of this user's document: `workstation/claude-users/USER` below the mount `secret`.
    ///
    /// # Errors
    /// [`SettingError`] when the name cannot be part of a path.
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

/// One user's document in Vault, for one run.
pub struct VaultStore {
    documents: DocumentClient,
    /// The document as this run last read or wrote it.
    cached: Option<Document>,
    /// The version that the server said is not the newest any more.
    stale_version: Option<u64>,
}

/// How long to wait for a standby to catch up, again and again: it usually lags by some 60 ms.
const STANDBY_BACKOFF_MS: [u64; 4] = [50, 100, 200, 400];

impl VaultStore {
    /// Takes the settings; neither file nor server is touched.
    pub fn new(config: VaultConfig) -> Self {
        Self { documents: DocumentClient::new(config), cached: None, stale_version: None }
    }

    /// What to remember for the next run.
    pub fn token_cache(&self) -> &TokenCache {
        self.documents.token_cache()
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.documents.requests()
    }

    /// Renews the token when its last renewal is a week ago or a third of its life is over. For the regular sync, not
    /// for logins: it is a write for the server.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this token will never be renewed again, such as after its role was removed;
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] when the next run may succeed.
    pub fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, StoreError> {
        self.documents.renew_if_due(deadline)
    }

    /// The document at this version, as this run saw it last or else as it is now.
    fn cached_at(&mut self, version: u64, deadline: &Deadline) -> Result<CachedDocument, StoreError> {
        match self.cached.take() {
            Some(document) if document.version == version => Ok(CachedDocument { document, is_fresh: false }),
            _ => self.fetch_at(version, deadline),
        }
    }

    /// The document as it is now, provided it is at this version.
    fn fetch_at(&mut self, version: u64, deadline: &Deadline) -> Result<CachedDocument, StoreError> {
        let document = self.newest(deadline)?;
        if document.version == version {
            return Ok(CachedDocument { document, is_fresh: true });
        }
        Err(StoreError::Conflict)
    }

    /// The document as it is now. After a conflict a standby may still show the version that lost, since the server's
    /// refusal does not tell how far it was: that is known to be old, and waited for.
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

    /// Writes in the way that the policy is known or assumed to allow, else in the other.
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
                    // The check of the version does not notice a deletion, and the write would undo it: look again.
                    if !old.is_fresh {
                        old = self.fetch_at(old.document.version, deadline)?;
                    }
                    self.documents.put(&old.document, changes, deadline)?
                }
            };
            if let Some(version) = written {
                self.documents.remember_method(method);
                return Ok(version);
            }
        }
        Err(self.documents.explain_denial("patch or update", deadline))
    }

    /// Writes the first version. A server that refuses this may mean that there is a document by now.
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

/// A document, and whether it was read just now.
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
