//! A guest whose users have a store: a real OpenBao on the guest's loopback.

use serde_json::{Value, json};

use super::{Guest, Suite};
use crate::claude_login::parsed;
use crate::openbao::{Bao, Person, Policy, Prefix};

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
        let vault_guest = Self { bao, guest };
        let ca = std::fs::read(vault_guest.bao.ca_cert().expect("it is behind TLS")).expect("reading the CA");
        vault_guest.configure_address(vault_guest.bao.address(), login_refresh_after);
        vault_guest.guest.write("/etc/claude-auth-sync/ca.pem", "root", "644", &ca);
        vault_guest
    }

    /// Points the product at this address.
    #[track_caller]
    pub fn configure_address(&self, address: &str, login_refresh_after: &str) {
        self.guest.configure(&format!(
            "store = \"vault\"\nlogin_refresh_after = \"{login_refresh_after}\"\n\n[vault]\naddress = \"{address}\"\n\
             ca_cert = \"/etc/claude-auth-sync/ca.pem\"\n"
        ));
    }

    /// Enrolls a user and creates a Vault token under the packaged policy.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> Person {
        self.guest.enroll(user);
        let person = self.bao.person(user, Policy::Patch);
        self.guest.put_vault_token(user, &format!("{}\n", person.token()));
        person
    }
}

/// Returns the fields of a document with this login, beside those of another tool.
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
