//! The settings of the connection to a server.

use std::path::PathBuf;

use super::{ProxyAddress, ServerUrl, VaultPath};
use cas_core::config::VaultSettings;

/// The settings of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The URL of the server.
    pub address: ServerUrl,
    /// The only trusted CA, in PEM form. Without it, the system's CAs are trusted.
    pub ca_cert: Option<PathBuf>,
    /// The namespace, if there is one.
    pub namespace: Option<VaultPath>,
    /// The proxy for https, if there is one.
    pub proxy: Option<ProxyAddress>,
    /// The user, besides root, that may listen at an `http://` URL.
    pub agent_user: Option<String>,
}

impl Connection {
    /// Returns the configured connection.
    ///
    /// # Errors
    /// The setting that is missing or invalid, and its correct form.
    pub fn from_settings(settings: &VaultSettings) -> Result<Self, String> {
        let address = settings.address.as_deref().ok_or("vault.address is not set")?;
        let text = |error: super::SettingError| error.to_string();
        Ok(Self {
            address: ServerUrl::parse(address).map_err(text)?,
            ca_cert: settings.ca_cert.clone(),
            namespace: settings.namespace.as_deref().map(VaultPath::parse).transpose().map_err(text)?,
            agent_user: settings.agent_user.clone(),
            proxy: settings.proxy.as_deref().map(ProxyAddress::parse).transpose().map_err(text)?,
        })
    }
}
