//! A guest whose people keep their logins in a store: a real OpenBao on the guest's own loopback.

use super::{Guest, Suite};
use crate::openbao::{Bao, Person, Policy, Prefix};

/// A workstation and its store. The server ends before the guest does.
pub struct Fleet {
    /// The server, behind TLS.
    pub bao: Bao,
    /// The workstation.
    pub guest: Guest,
}

impl Fleet {
    /// A guest with the product installed, pointed at a server of its own, and nobody enrolled yet. A login asks the store
    /// when its last answer is older than `login_refresh_after`.
    #[track_caller]
    pub fn start(suite: Suite, login_refresh_after: &str) -> Self {
        let guest = Guest::boot(suite);
        guest.install_product();
        let bao = Bao::tls_behind(&Prefix(guest.network_prefix()));
        let fleet = Self { bao, guest };
        let ca = std::fs::read(fleet.bao.ca_cert().expect("it is behind TLS")).expect("reading the CA");
        fleet.configure_address(fleet.bao.address(), login_refresh_after);
        fleet.guest.write("/etc/claude-auth-sync/ca.pem", "root", "644", &ca);
        fleet
    }

    /// Points the product at this address.
    #[track_caller]
    pub fn configure_address(&self, address: &str, login_refresh_after: &str) {
        self.guest.configure(&format!(
            "store = \"vault\"\nlogin_refresh_after = \"{login_refresh_after}\"\n\n[vault]\naddress = \"{address}\"\n\
             ca_cert = \"/etc/claude-auth-sync/ca.pem\"\n"
        ));
    }

    /// Enrolls somebody and gives them a scoped token under the packaged policy.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> Person {
        self.guest.enroll(user);
        let person = self.bao.person(user, Policy::Patch);
        self.guest.put_vault_token(user, &format!("{}\n", person.token()));
        person
    }
}
