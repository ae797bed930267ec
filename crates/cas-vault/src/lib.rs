//! The store of a fleet: a KV version 2 document in HashiCorp Vault or OpenBao, read and changed with the user's own
//! token. What the server does in which case was measured, see `docs/vault.md`.
//!
//! It never writes without saying which version it read, never brings a deleted document back, and never uses a token
//! that is not the user's own. Nothing is opened, built or asked before the first use.

mod address;
mod admin;
mod admin_documents;
mod configured_store;
mod connection;
mod documents;
mod http;
mod kv;
mod mint;
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

use self::documents::Conversation;
use cas_core::store::{Document, Failure, Fields, Renewal, Store, merge};
use cas_protocol::deadline::Deadline;

pub use self::address::{Address, BadSetting, ProxyAddress, VaultPath};
pub use self::admin::{Administration, Standing};
pub use self::configured_store::open;
pub use self::connection::Server;
pub use self::mint::Minted;
pub use self::policy::{Layout, ROLE};
pub use self::policy_check::Permission;
pub use self::policy_probe::{Attempt, attempts};
pub use self::token_cache::{TokenMemory, WriteMethod};
pub use self::token_file::{Token, TokenFileError, parse as parse_token, read as read_token};

/// Everything the store has to be told.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Where the server listens.
    pub address: Address,
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
    /// Whose token it has to be.
    pub user: String,
    /// The file with the token: owned by the effective user, mode 0600, no link.
    pub token_file: PathBuf,
    /// Wall-clock time, in milliseconds since the epoch.
    pub now_ms: u64,
    /// What [`VaultStore::memory`] said at the end of the last run.
    pub remembered: TokenMemory,
}

impl VaultConfig {
    /// The usual place of this user's document: `workstation/claude-users/USER` below the mount `secret`.
    ///
    /// # Errors
    /// [`BadSetting`] when the name cannot be part of a path.
    pub fn of_user(
        address: Address,
        user: &str,
        token_file: PathBuf,
        now_ms: u64,
    ) -> Result<Self, BadSetting> {
        Ok(Self {
            address,
            ca_cert: None,
            namespace: None,
            mount: VaultPath::parse("secret")?,
            path: VaultPath::of_user(user)?,
            proxy: None,
            user: user.to_owned(),
            token_file,
            now_ms,
            remembered: TokenMemory::default(),
        })
    }

    fn server(&self) -> Server {
        Server {
            address: self.address.clone(),
            ca_cert: self.ca_cert.clone(),
            namespace: self.namespace.clone(),
            proxy: self.proxy.clone(),
        }
    }
}

/// One user's document in Vault, for one run.
pub struct VaultStore {
    conversation: Conversation,
    /// The document as this run last read or wrote it.
    last_seen: Option<Document>,
    /// The version that the server said is not the newest any more.
    outdated: Option<u64>,
}

/// How long to wait for a standby to catch up, again and again: it usually lags by some 60 ms.
const PAUSES_MS: [u64; 4] = [50, 100, 200, 400];

impl VaultStore {
    /// Takes the settings; neither file nor server is touched.
    pub fn new(config: VaultConfig) -> Self {
        Self { conversation: Conversation::new(config), last_seen: None, outdated: None }
    }

    /// What to remember for the next run.
    pub fn memory(&self) -> &TokenMemory {
        self.conversation.memory()
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.conversation.requests()
    }

    /// Renews the token when its last renewal is a week ago or a third of its life is over. For the regular sync, not
    /// for logins: it is a write for the server.
    ///
    /// # Errors
    /// [`Failure::Refused`] when this token will never be renewed again, such as after its role was removed;
    /// [`Failure::Busy`] and [`Failure::Unreachable`] when the next run may succeed.
    pub fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, Failure> {
        self.conversation.renew_if_due(deadline)
    }

    /// The document at this version, as this run saw it last or else as it is now.
    fn seen_at(&mut self, version: u64, deadline: &Deadline) -> Result<Seen, Failure> {
        match self.last_seen.take() {
            Some(document) if document.version == version => Ok(Seen { document, is_fresh: false }),
            _ => self.fresh_at(version, deadline),
        }
    }

    /// The document as it is now, provided it is at this version.
    fn fresh_at(&mut self, version: u64, deadline: &Deadline) -> Result<Seen, Failure> {
        let document = self.newest(deadline)?;
        if document.version == version {
            return Ok(Seen { document, is_fresh: true });
        }
        Err(Failure::Conflict)
    }

    /// The document as it is now. After a conflict a standby may still show the version that lost, since the server's
    /// refusal does not tell how far it was: that is known to be old, and waited for.
    fn newest(&mut self, deadline: &Deadline) -> Result<Document, Failure> {
        for pause_ms in PAUSES_MS {
            let document = self.conversation.read(deadline)?;
            if self.outdated != Some(document.version) {
                self.outdated = None;
                return Ok(document);
            }
            thread::sleep(Duration::from_millis(pause_ms).min(deadline.remaining()));
        }
        Err(Failure::Busy {
            reason: "this node of the store has not caught up with the active one".to_owned(),
            retry_after: None,
        })
    }

    /// Writes in the way that the policy is known or assumed to allow, else in the other.
    fn write(&mut self, mut old: Seen, changes: &Fields, deadline: &Deadline) -> Result<u64, Failure> {
        let first = self.conversation.memory().writes_by;
        for method in [first, first.other()] {
            let written = match method {
                WriteMethod::Patch => self.conversation.patch(old.document.version, changes, deadline)?,
                WriteMethod::Put => {
                    // The check of the version does not notice a deletion, and the write would undo it: look again.
                    if !old.is_fresh {
                        old = self.fresh_at(old.document.version, deadline)?;
                    }
                    self.conversation.put(&old.document, changes, deadline)?
                }
            };
            if let Some(version) = written {
                self.conversation.remember_method(method);
                return Ok(version);
            }
        }
        Err(self.conversation.why_denied("patch or update", deadline))
    }

    /// Writes the first version. A server that refuses this may mean that there is a document by now.
    fn create(&mut self, changes: &Fields, deadline: &Deadline) -> Result<u64, Failure> {
        match self.conversation.put(&Document::default(), changes, deadline)? {
            Some(version) => Ok(version),
            None => {
                self.fresh_at(0, deadline)?;
                Err(self.conversation.why_denied("create", deadline))
            }
        }
    }
}

/// A document, and whether it was read just now.
struct Seen {
    document: Document,
    is_fresh: bool,
}

impl Store for VaultStore {
    fn read(&mut self, deadline: &Deadline) -> Result<Document, Failure> {
        self.last_seen = None;
        let document = self.newest(deadline)?;
        self.last_seen = Some(document.clone());
        Ok(document)
    }

    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, Failure> {
        merge::refuse_ambiguous(changes)?;
        let old = self.seen_at(expected, deadline)?;
        if merge::is_unchanged(&old.document.fields, changes) {
            self.last_seen = Some(old.document);
            return Ok(expected);
        }
        let mut fields = old.document.fields.clone();
        let written = match expected {
            0 => self.create(changes, deadline),
            _ => self.write(old, changes, deadline),
        };
        if written == Err(Failure::Conflict) {
            self.outdated = Some(expected);
        }
        let version = written?;
        fields.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.last_seen = Some(Document { fields, version });
        Ok(version)
    }
}
