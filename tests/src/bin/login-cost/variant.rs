//! The ways a login can be set up, and how one login of each is timed.

use std::time::Duration;

use cas_tests::{
    claude_login::new_login,
    guest::{VaultGuest, login_path},
};

/// One way to set up `/etc/pam.d` and alice's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// Debian's own stack.
    Nothing,
    /// With the product, for a user who is not enrolled.
    NotEnrolled,
    /// The product, a valid login, a recent answer of the store.
    Healthy,
    /// The product, a valid login, an outdated answer of the store: one read of it.
    Stale,
    /// With the product: a cleared login is restored from the local history.
    RepairedFromHistory,
    /// With the product: a cleared login is restored from the store, without a local history.
    RepairedFromStore,
    /// `pam_exec` with a shell script that calls the store's command line four times.
    Script,
}

/// The script does what a login script of this kind must do: look up its token, read the document
/// and two of its fields.
const SCRIPT: &str = "#!/bin/bash
export BAO_ADDR=$(cat /etc/bao-address) BAO_CACERT=/etc/claude-auth-sync/ca.pem
BAO_TOKEN=$(cat /home/alice/.config/claude-auth-sync/vault-token); export BAO_TOKEN
path=secret/workstation/claude-users/alice
bao token lookup >/dev/null
bao kv get $path >/dev/null
bao kv get -field=backed_up_at $path >/dev/null
bao kv get -field=claude_ai_oauth_json $path >/dev/null
exit 0
";

const STATE: &str = "/home/alice/.local/state/claude-auth-sync";

/// Prepares everything that the variants need, once.
pub(crate) fn prepare(host: &VaultGuest) {
    let guest = &host.guest;
    let _alice = host.enroll("alice");
    guest.back_up_and_clear("alice", &new_login("measured"));
    guest
        .run(&format!(
            "cp -a {STATE} /root/state && cp /etc/pam.d/common-session /root/with-us && cp {login} /root/broken \
             && grep -v pam_cas_session /root/with-us >/root/with-nothing \
             && {{ cat /root/with-nothing; echo 'session optional pam_exec.so /usr/local/bin/login-script'; }} >/root/with-script",
            login = login_path("alice"),
        ))
        .expect_success("keeping what each round begins with");
    guest.write("/root/whole", "root", "600", new_login("measured").as_bytes());
    guest.write("/etc/bao-address", "root", "644", host.bao.address().as_bytes());
    guest.write("/usr/local/bin/login-script", "root", "755", SCRIPT.as_bytes());
    guest.install_program(&cas_tests::openbao::binary(), "/usr/local/bin/bao");
}

impl Variant {
    pub(crate) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::NotEnrolled,
        Self::Healthy,
        Self::Stale,
        Self::RepairedFromHistory,
        Self::RepairedFromStore,
        Self::Script,
    ];

    /// Returns the title in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Nothing => "Debian alone",
            Self::NotEnrolled => "with us, not enrolled",
            Self::Healthy => "with us, healthy login",
            Self::Stale => "with us, healthy, store asked once",
            Self::RepairedFromHistory => "with us, repaired from the history",
            Self::RepairedFromStore => "with us, repaired from the store",
            Self::Script => "pam_exec, script with 4 bao commands",
        }
    }

    /// Sets everything up, then measures one login.
    pub(crate) fn time_one_login(self, host: &VaultGuest) -> Duration {
        let guest = &host.guest;
        let stack = match self {
            Self::Nothing => "nothing",
            Self::Script => "script",
            _ => "us",
        };
        let file = if self.repairs() { "broken" } else { "whole" };
        let state = match self {
            Self::RepairedFromStore => String::new(),
            // Without the record of its last answer, the store is asked.
            Self::Stale => format!("cp -a /root/state {STATE}; rm -f {STATE}/store-contact.json;"),
            _ => format!("cp -a /root/state {STATE};"),
        };
        guest
            .run(&format!(
                "cp /root/with-{stack} /etc/pam.d/common-session; rm -rf {STATE}; {state} \
                 install -m 600 -o alice -g alice /root/{file} {}",
                login_path("alice")
            ))
            .expect_success("setting a login up");
        let user = if self == Self::NotEnrolled { "bob" } else { "alice" };
        let took = guest.ssh(user, "true").expect_success("a login").took;
        let is_whole = guest.read_login("alice").contains("refresh-of-measured");
        assert!(is_whole, "{self:?}: the login file is not what it should be:\n{}", guest.product_journal());
        took
    }

    fn repairs(self) -> bool {
        matches!(self, Self::RepairedFromHistory | Self::RepairedFromStore)
    }
}
