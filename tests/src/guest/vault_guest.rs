//! A guest whose users have a store: a real OpenBao on the loopback of the guest.

use serde_json::{Value, json};

use super::{Guest, Suite};
use crate::claude_login::parsed;
use crate::openbao::{Bao, Policy, Prefix, VaultUser};

/// A workstation and its store. The server ends before the guest does.
pub struct VaultGuest {
    /// The server, behind TLS.
    pub bao: Bao,
    /// The workstation.
    pub guest: Guest,
}

impl VaultGuest {
    /// Boots a guest with the product installed and configured for its own server, without enrolled
    /// users. A login asks the store when its last response is older than `login_refresh_after`.
    #[track_caller]
    pub fn start(suite: Suite, login_refresh_after: &str) -> Self {
        let guest = Guest::boot_with_product(suite);
        let bao = Bao::tls_behind(&Prefix(guest.network_prefix()));
        let host = Self { bao, guest };
        let ca = std::fs::read(host.bao.ca_cert().expect("it is behind TLS")).expect("reading the CA");
        host.configure_address(host.bao.address(), login_refresh_after);
        host.guest.write("/etc/claude-auth-sync/ca.pem", "root", "644", &ca);
        host
    }

    /// Points the product at this URL.
    #[track_caller]
    pub fn configure_address(&self, address: &str, login_refresh_after: &str) {
        self.guest.configure(&format!(
            "store = \"vault\"\nlogin_refresh_after = \"{login_refresh_after}\"\n\n[vault]\naddress = \"{address}\"\n\
             ca_cert = \"/etc/claude-auth-sync/ca.pem\"\n"
        ));
    }

    /// Enrolls a user and creates a Vault token under the packaged policy.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> VaultUser {
        self.guest.enroll(user);
        let vault_user = self.bao.create_user(user, Policy::Patch);
        self.guest.put_vault_token(user, &format!("{}\n", vault_user.token()));
        vault_user
    }
}

/// Returns the fields of a document with this login and those of another tool.
///
/// # Panics
/// If it is not a login.
#[track_caller]
pub fn document_with(login: &str) -> Value {
    let oauth = &parsed(login)["claudeAiOauth"];
    json!({
        "claude_ai_oauth_json": oauth.to_string(),
        "credential_expires_at_ms": oauth["expiresAt"],
        "backed_up_at": "2026-01-01T00:00:00Z",
        "vaultwarden_email": "alice@example.org",
    })
}
