//! `/etc/claude-auth-sync/config.toml` and `conf.d/*.toml`: the administrator's settings. Later
//! files override earlier ones, key by key.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use crate::credential::fingerprint::Fingerprint;
use crate::time::duration;

/// The directory of the configuration.
pub const CONFIG_DIR: &str = "/etc/claude-auth-sync";

/// Reads a file of an administrator, such as the roster. Returns `None` if it does not exist.
///
/// # Errors
/// What is wrong with the file, and the remedy: it is not a regular file, belongs to another user,
/// can be written by every user, or is too long.
pub fn read_admin_file(path: &Path) -> Result<Option<String>, String> {
    file::read(path)
}

/// The known keys. A key of a table, such as `vault`, is written `vault.key`.
pub const KEYS: [&str; 19] = [
    "store",
    "login_refresh_after",
    "expected_organization",
    "restore_from_other_machines",
    "verify",
    "oauth_backup",
    "notify",
    "notify.command",
    "claude",
    "claude.program",
    "claude.environment",
    "vault",
    "vault.address",
    "vault.ca_cert",
    "vault.namespace",
    "vault.mount",
    "vault.path",
    "vault.proxy",
    "vault.agent_user",
];

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The local history in the state directory.
    Local,
    /// A Vault or OpenBao server.
    Vault,
}

/// The configuration. Every value has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The store of the backups.
    pub store: StoreKind,
    /// The age of the last response at which a login asks the store again (default 15 minutes).
    pub login_refresh_after: Duration,
    /// The only organization whose logins are backed up and restored.
    pub expected_organization: Option<String>,
    /// Whether a backup of another machine may be restored although this machine had a login.
    pub restore_from_other_machines: bool,
    /// Whether the sync verifies credentials (default true).
    pub verify: bool,
    /// Whether logins are backed up and restored (default true).
    pub oauth_backup: bool,
    /// The program that runs when the user's required action changes, with its arguments. Empty if
    /// not configured.
    pub notify: Vec<String>,
    /// The client that verifies.
    pub claude: ClaudeSettings,
    /// The Vault server, for `store = "vault"`.
    pub vault: VaultSettings,
}

/// The variables that `claude.environment` may set: those of the network, none that selects a
/// credential or a server.
pub const NETWORK_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The table `claude`: how the sync runs Claude Code to verify a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaudeSettings {
    /// The program. Without it `claude` is searched for in the usual directories.
    pub program: Option<PathBuf>,
    /// The [`NETWORK_VARIABLES`] that it gets.
    pub environment: BTreeMap<String, String>,
}

/// The table `vault`, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultSettings {
    /// The URL of the server.
    pub address: Option<String>,
    /// The CA certificate that replaces the system's.
    pub ca_cert: Option<PathBuf>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The mount of the KV engine (default `secret`).
    pub mount: Option<String>,
    /// The path of all users' documents (default `workstation/claude-users`).
    pub path: Option<String>,
    /// The proxy. Proxies of the environment are never used.
    pub proxy: Option<String>,
    /// The user that a Vault agent on this machine runs as. A token is sent over `http://` only to
    /// processes of this user and of root.
    pub agent_user: Option<String>,
    /// Mount and path of this user's document, from `CLAUDE_AUTH_VAULT_PATH`. It is not a key of
    /// the file.
    pub document: Option<String>,
}

impl Config {
    /// Returns the identity of the store: its kind, and where Vault has the documents. The ledger
    /// records it for each setup token.
    pub fn store_id(&self) -> Fingerprint {
        let vault = &self.vault;
        let parts = match self.store {
            StoreKind::Local => Vec::new(),
            StoreKind::Vault => {
                vec![&vault.address, &vault.namespace, &vault.mount, &vault.path, &vault.document]
            }
        };
        Fingerprint::from_bytes(&format!("{:?} {parts:?}", self.store))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreKind::Local,
            login_refresh_after: Duration::from_secs(15 * 60),
            expected_organization: None,
            restore_from_other_machines: false,
            verify: true,
            oauth_backup: true,
            notify: Vec::new(),
            claude: ClaudeSettings::default(),
            vault: VaultSettings::default(),
        }
    }
}

impl Config {
    /// Applies the overrides of an environment, given as a function. They are used only with the
    /// store `vault`, so that a `VAULT_ADDR` for other purposes does not send logins to that
    /// server.
    pub fn apply_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let vault = &mut self.vault;
        let set = |setting: &mut Option<String>, name: &str| {
            if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                *setting = Some(value);
            }
        };
        set(&mut vault.address, "VAULT_ADDR");
        set(&mut vault.namespace, "VAULT_NAMESPACE");
        set(&mut vault.document, "CLAUDE_AUTH_VAULT_PATH");
        if let Some(path) = variable("VAULT_CACERT").filter(|path| !path.is_empty()) {
            vault.ca_cert = Some(path.into());
        }
    }

    /// Reads the configuration below `directory`. An unknown key is a warning that names the
    /// nearest known key, because a login must not fail for it.
    ///
    /// # Errors
    /// [`ConfigError`] if a file cannot be read or a value is invalid.
    pub fn load(directory: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let mut config = Self::default();
        let mut warnings = Vec::new();
        for path in files(directory)? {
            if let Some(text) = file::read(&path).map_err(|why| ConfigError::new(&path, why))? {
                config.apply(&text, &path, &mut warnings)?;
            }
        }
        Ok((config, warnings))
    }

    fn apply(&mut self, text: &str, path: &Path, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let table = file::parse(text).map_err(|why| ConfigError::new(path, why))?;
        for (key, value) in flatten(table) {
            let bad = |wanted: &str| ConfigError::new(path, format!("{key} must be {wanted}"));
            let text = || value.as_str().map(str::to_owned).ok_or_else(|| bad("a string in quotes"));
            match key.as_str() {
                "store" => {
                    self.store = match value.as_str() {
                        Some("local") => StoreKind::Local,
                        Some("vault") => StoreKind::Vault,
                        _ => return Err(bad("\"local\" or \"vault\"")),
                    }
                }
                "login_refresh_after" => {
                    let wanted = "a duration such as \"15min\", \"90s\" or \"2h\"";
                    self.login_refresh_after = value
                        .as_str()
                        .and_then(|text| duration::parse(text).ok())
                        .ok_or_else(|| bad(wanted))?;
                }
                "expected_organization" => self.expected_organization = Some(text()?),
                "restore_from_other_machines" => {
                    self.restore_from_other_machines = value.as_bool().ok_or_else(|| bad("true or false"))?;
                }
                "verify" => self.verify = value.as_bool().ok_or_else(|| bad("true or false"))?,
                "oauth_backup" => {
                    self.oauth_backup = value.as_bool().ok_or_else(|| bad("true or false"))?;
                }
                "notify" => return Err(bad("a table: begin it with a line [notify]")),
                "notify.command" => {
                    let wanted = "a list of strings, the first of them an absolute path: [\"/usr/local/bin/program\", \"argument\"]";
                    self.notify = command(&value).ok_or_else(|| bad(wanted))?;
                }
                "claude" => return Err(bad("a table: begin it with a line [claude]")),
                "claude.program" => {
                    let path = PathBuf::from(text()?);
                    self.claude.program =
                        Some(path.is_absolute().then_some(path).ok_or_else(|| bad("an absolute path"))?);
                }
                "claude.environment" => {
                    self.claude.environment = network_variables(&value).map_err(|why| bad(&why))?
                }
                "vault" => return Err(bad("a table: begin it with a line [vault]")),
                "vault.address" => self.vault.address = Some(text()?),
                "vault.ca_cert" => self.vault.ca_cert = Some(text()?.into()),
                "vault.namespace" => self.vault.namespace = Some(text()?),
                "vault.mount" => self.vault.mount = Some(text()?),
                "vault.path" => self.vault.path = Some(text()?),
                "vault.proxy" => self.vault.proxy = Some(text()?),
                "vault.agent_user" => self.vault.agent_user = Some(text()?),
                unknown => warnings.push(format!(
                    "{}: unknown key {unknown}, which is ignored{}",
                    path.display(),
                    suggestion(unknown)
                )),
            }
        }
        Ok(())
    }
}

/// Returns `config.toml`, then `conf.d/*.toml` in the order of their names.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let snippets = directory.join("conf.d");
    let mut paths = match fs::read_dir(&snippets) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ConfigError::new(&snippets, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(ConfigError::new(&snippets, error)),
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.insert(0, directory.join("config.toml"));
    Ok(paths)
}

fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut values = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                values.extend(inner.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)))
            }
            value => values.push((key, value)),
        }
    }
    values
}

fn network_variables(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let known = NETWORK_VARIABLES.join(", ");
    let table =
        value.as_table().ok_or("a table such as { HTTPS_PROXY = \"http://proxy.example.org:3128\" }")?;
    let variable = |(name, value): (&String, &Value)| match value.as_str() {
        Some(_) if !NETWORK_VARIABLES.contains(&name.as_str()) => {
            Err(format!("without {name}; it may set {known}"))
        }
        Some(text) if text.contains(char::is_control) => {
            Err(format!("a table of single lines of text, and {name} has a control character"))
        }
        Some(text) => Ok((name.clone(), text.to_owned())),
        None => Err(format!("a table of strings, and {name} is not a string")),
    };
    table.iter().map(variable).collect()
}

/// Returns a program and its arguments, or an empty list if none is configured.
fn command(value: &Value) -> Option<Vec<String>> {
    let words = value.as_array()?.iter().map(|word| word.as_str().filter(|word| !word.contains('\0')));
    let words: Vec<_> = words.map(|word| word.map(str::to_owned)).collect::<Option<_>>()?;
    words.first().is_none_or(|program| Path::new(program).is_absolute()).then_some(words)
}

fn suggestion(unknown: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(|key| (strsim::jaro_winkler(key, unknown), key))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((likeness, key)) if likeness > 0.8 => format!(": did you mean {key}?"),
        _ => String::from(": the README has a list"),
    }
}

/// A configuration that cannot be used: the file, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    what: String,
}

impl ConfigError {
    fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), what: what.to_string() }
    }
}

#[cfg(test)]
mod tests;
