//! The store that is configured for a user.

use super::local::LocalStore;
use super::vault::{Address, ProxyAddress, Renewal, TokenMemory, VaultConfig, VaultPath, VaultStore};
use super::{Document, Failure, Fields, Store};
use crate::account::{Account, Paths};
use crate::config::{Config, VaultSettings};
use crate::deadline::Deadline;
use crate::planner::StoreKind;
use crate::state_directory::StateDirectory;
use crate::timestamp::Timestamp;

const MEMORY: &str = "vault-token.json";

/// The embedded store, or the server.
pub enum UserStore {
    /// The state directory's own file.
    Local(LocalStore),
    /// Vault or OpenBao.
    Vault(Box<VaultStore>),
}

impl UserStore {
    /// Opens what is configured; nothing is asked of a server yet.
    ///
    /// # Errors
    /// [`Failure::Misconfigured`] when a setting cannot be meant, or is missing.
    pub fn open(
        config: &Config,
        account: &Account,
        paths: &Paths,
        state: &StateDirectory,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        match config.store {
            StoreKind::Local => Ok(Self::Local(LocalStore::new(state.clone(), now))),
            StoreKind::Vault => {
                let remembered = state.load(MEMORY).unwrap_or_default();
                let config =
                    vault_config(&config.vault, account, paths, now, remembered).map_err(unusable)?;
                Ok(Self::Vault(Box::new(VaultStore::new(config))))
            }
        }
    }

    /// Renews the token at the server, if there is one and it is due.
    ///
    /// # Errors
    /// As [`VaultStore::renew_if_due`].
    pub fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, Failure> {
        match self {
            Self::Local(_) => Ok(Renewal::NotDue),
            Self::Vault(store) => store.renew_if_due(deadline),
        }
    }

    /// How many requests were sent to a server.
    pub fn requests(&self) -> u64 {
        match self {
            Self::Local(_) => 0,
            Self::Vault(store) => store.requests(),
        }
    }

    /// Saves what was learnt about the token, so that the next run need not ask again.
    pub fn remember(&self, state: &StateDirectory) {
        if let Self::Vault(store) = self {
            // Without it the next run asks one question more; that is all.
            drop(state.save(MEMORY, store.memory()));
        }
    }
}

impl Store for UserStore {
    fn read(&mut self, deadline: &Deadline) -> Result<Document, Failure> {
        match self {
            Self::Local(store) => store.read(deadline),
            Self::Vault(store) => store.read(deadline),
        }
    }

    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, Failure> {
        match self {
            Self::Local(store) => store.merge(changes, expected, deadline),
            Self::Vault(store) => store.merge(changes, expected, deadline),
        }
    }
}

fn vault_config(
    settings: &VaultSettings,
    account: &Account,
    paths: &Paths,
    now: Timestamp,
    remembered: TokenMemory,
) -> Result<VaultConfig, String> {
    let address = settings.address.as_deref().ok_or("vault.address is not set")?;
    let address = Address::parse(address).map_err(|error| error.to_string())?;
    let token_file = paths.vault_token_file.clone();
    let usual = VaultConfig::of_user(address, &account.name, token_file, now.millis())
        .map_err(|error| error.to_string())?;
    let path = |text: &Option<String>| {
        text.as_deref().map(VaultPath::parse).transpose().map_err(|error| error.to_string())
    };
    let document = settings.path.as_ref().map(|folder| format!("{folder}/{}", account.name));
    let (mount, document) = match &settings.document {
        Some(whole) => VaultPath::parse_with_mount(whole).map_err(|error| error.to_string())?,
        None => (path(&settings.mount)?.unwrap_or(usual.mount), path(&document)?.unwrap_or(usual.path)),
    };
    Ok(VaultConfig {
        ca_cert: settings.ca_cert.clone(),
        namespace: path(&settings.namespace)?,
        mount,
        path: document,
        proxy: settings
            .proxy
            .as_deref()
            .map(ProxyAddress::parse)
            .transpose()
            .map_err(|error| error.to_string())?,
        remembered,
        ..usual
    })
}

fn unusable(reason: String) -> Failure {
    Failure::Misconfigured { reason, remedy: "mend /etc/claude-auth-sync/config.toml".into() }
}
