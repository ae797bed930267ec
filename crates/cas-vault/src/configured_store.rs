//! Opens the configured store of a user.

use cas_core::config::{Config, StoreKind, VaultSettings};
use cas_core::state::directory::StateDirectory;
use cas_core::state::local_store::LocalStore;
use cas_core::store::{Document, Fields, Renewal, Store, StoreError};
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

use crate::{ProxyAddress, ServerUrl, TokenCache, VaultConfig, VaultPath, VaultStore};

/// The name of the token cache in the state directory.
const TOKEN_CACHE: &str = "vault-token.json";

/// Opens the configured store of this user. No request is sent yet.
///
/// # Errors
/// [`StoreError::Misconfigured`] if a setting is invalid or missing.
pub fn open(
    config: &Config,
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    now: Timestamp,
) -> Result<Box<dyn Store>, StoreError> {
    match config.store {
        StoreKind::Local => Ok(Box::new(LocalStore::new(state.clone(), now))),
        StoreKind::Vault => {
            let token_cache = state.load(TOKEN_CACHE).unwrap_or_default();
            let config = vault_config(&config.vault, account, paths, now, token_cache).map_err(unusable)?;
            Ok(Box::new(ConfiguredVault { store: VaultStore::new(config), state: state.clone() }))
        }
    }
}

/// A Vault store that keeps its token cache in the user's state directory.
struct ConfiguredVault {
    store: VaultStore,
    state: StateDirectory,
}

impl Store for ConfiguredVault {
    fn read(&mut self, deadline: &Deadline) -> Result<Document, StoreError> {
        self.store.read(deadline)
    }

    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, StoreError> {
        self.store.merge(changes, expected, deadline)
    }

    fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, StoreError> {
        self.store.renew_if_due(deadline)
    }

    fn requests(&self) -> u64 {
        self.store.requests()
    }

    fn save_token_cache(&self) {
        // Without the cache the next run sends one request more.
        drop(self.state.save(TOKEN_CACHE, self.store.token_cache()));
    }
}

fn vault_config(
    settings: &VaultSettings,
    account: &Account,
    paths: &Paths,
    now: Timestamp,
    token_cache: TokenCache,
) -> Result<VaultConfig, String> {
    let address = settings.address.as_deref().ok_or("vault.address is not set")?;
    let address = ServerUrl::parse(address).map_err(|error| error.to_string())?;
    let token_file = paths.vault_token_file.clone();
    let default = VaultConfig::for_user(address, &account.name, token_file, now.millis())
        .map_err(|error| error.to_string())?;
    let path = |text: &Option<String>| {
        text.as_deref().map(VaultPath::parse).transpose().map_err(|error| error.to_string())
    };
    let document = settings.path.as_ref().map(|folder| format!("{folder}/{}", account.name));
    let (mount, document) = match &settings.document {
        Some(whole) => VaultPath::parse_with_mount(whole).map_err(|error| error.to_string())?,
        None => (path(&settings.mount)?.unwrap_or(default.mount), path(&document)?.unwrap_or(default.path)),
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
        agent_user: settings.agent_user.clone(),
        token_cache,
        ..default
    })
}

fn unusable(reason: String) -> StoreError {
    StoreError::Misconfigured { reason, remedy: "correct /etc/claude-auth-sync/config.toml".into() }
}
