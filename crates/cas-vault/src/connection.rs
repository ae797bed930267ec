//! How a server is reached, whoever talks to it.

use std::path::PathBuf;

use super::{ProxyAddress, ServerUrl, VaultPath};
use cas_core::config::VaultSettings;

/// The server's part of the settings.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where it listens.
    pub address: ServerUrl,
    /// The only CA to believe, in PEM form; without one, those the system trusts.
    pub ca_cert: Option<PathBuf>,
    /// The namespace, where it has any.
    pub namespace: Option<VaultPath>,
    /// The proxy for https, if one is wanted.
    pub proxy: Option<ProxyAddress>,
    /// The user, besides root, that may be at the other end of an `http://` address.
    pub agent_user: Option<String>,
}

impl Connection {
    /// What is configured.
    ///
    /// # Errors
    /// Which setting is missing or cannot be meant, and how to write it.
    pub fn from_settings(settings: &VaultSettings) -> Result<Self, String> {
        let address = settings.address.as_deref().ok_or("vault.address is not set")?;
        let said = |error: super::SettingError| error.to_string();
        Ok(Self {
            address: ServerUrl::parse(address).map_err(said)?,
            ca_cert: settings.ca_cert.clone(),
            namespace: settings.namespace.as_deref().map(VaultPath::parse).transpose().map_err(said)?,
            agent_user: settings.agent_user.clone(),
            proxy: settings.proxy.as_deref().map(ProxyAddress::parse).transpose().map_err(said)?,
        })
    }
}
