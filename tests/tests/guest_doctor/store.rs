//! The server, the user's token and the document: a real OpenBao, broken by its administrator.

use cas_tests::claude_login;
use cas_tests::guest::{CommandResult, Suite, VaultGuest};
use cas_tests::openbao::{Policy, VaultUser, binary};
use serde_json::{Value, json};

use super::row::{self, Row, Who, apply_remedy, case, row};

const CONFIGURATION: &str = "/etc/claude-auth-sync/config.toml";

/// The problems of alice's home and the configuration; the others need the server's administrator.
pub(crate) const ROWS: [Row; 9] = [
    row("vault-token-missing", "rm .config/claude-auth-sync/vault-token"),
    row("vault-token-mode", "chmod 644 .config/claude-auth-sync/vault-token"),
    row("vault-token-mode", "chmod 640 .config/claude-auth-sync/vault-token").as_root(),
    row("vault-token-unusable", "echo 'two words' >.config/claude-auth-sync/vault-token"),
    row("vault-token-foreign", "cat /root/bobs >.config/claude-auth-sync/vault-token"),
    // No command knows the correct URL: the administrator edits the file.
    row("store-misconfigured", "sed -i 's|https://|gopher://|' /etc/claude-auth-sync/config.toml"),
    row(
        "store-unreachable",
        "sed -i 's|https://127.0.0.1:[0-9]*|https://127.0.0.1:9|' /etc/claude-auth-sync/config.toml",
    )
    .otherwise("cp /root/config.toml /etc/claude-auth-sync/config.toml"),
    row("store-untrusted", "cp /root/other-ca.pem /etc/claude-auth-sync/ca.pem")
        .otherwise("cp /root/ca.pem /etc/claude-auth-sync/ca.pem"),
    row("store-denied", "sed -i 's|^address|namespace = \"nowhere\"\\n&|' /etc/claude-auth-sync/config.toml")
        .otherwise("cp /root/config.toml /etc/claude-auth-sync/config.toml"),
];

/// The problems at the server.
pub(crate) const AT_SERVER: [&str; 9] = [
    "vault-token-rejected",
    "vault-token-expires",
    "vault-token-not-renewable",
    "vault-policy-too-narrow",
    "vault-policy-too-broad",
    "store-sealed",
    "document-deleted",
    "document-offboarded",
    "store-busy",
];

struct StoreFixture {
    vault_guest: VaultGuest,
    alice: VaultUser,
}

impl StoreFixture {
    fn start() -> Self {
        let vault_guest = VaultGuest::start(Suite::Bookworm, "15min");
        let alice = vault_guest.enroll("alice");
        let guest = &vault_guest.guest;
        guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", b"users:\n  alice:\n");
        guest.put_login("alice", &claude_login::new_login("one"));
        guest.sync("alice").expect_success("the first backup");
        let bob = vault_guest.bao.create_user("bob", Policy::Patch);
        guest.write("/root/bobs", "root", "600", format!("{}\n", bob.token()).as_bytes());
        let other = cas_tests::tls_authority::TlsAuthority::new("another one");
        guest.write("/root/other-ca.pem", "root", "644", other.certificate_pem().as_bytes());
        let editor = "#!/bin/sh\nsed -i 's|gopher://|https://|' \"$1\"\n";
        guest.write("/usr/local/bin/editor", "root", "755", editor.as_bytes());
        guest
            .run(&format!("cp {CONFIGURATION} /etc/claude-auth-sync/ca.pem /root/"))
            .expect_success("copying the files");
        guest.install_program(&binary(), "/usr/local/bin/bao");
        Self { vault_guest, alice }
    }

    /// Returns the environment of an administrator at a terminal.
    fn environment(&self) -> String {
        format!(
            "export VAULT_TOKEN={0} BAO_TOKEN={0} BAO_ADDR={1} BAO_CACERT=/etc/claude-auth-sync/ca.pem;",
            self.vault_guest.bao.root_token(),
            self.vault_guest.bao.address()
        )
    }

    #[track_caller]
    fn check_problem(&self, id: &str, broken: impl FnOnce()) {
        let remedy = |command: Option<&str>, who| {
            apply_remedy(&self.vault_guest.guest, who, command, &self.environment())
        };
        case(&self.vault_guest.guest, id, Who::Alice, broken, remedy).unwrap_or_else(|why| panic!("{why}"));
    }

    #[track_caller]
    fn check_problem_with_fix(&self, id: &str, broken: impl FnOnce(), fixed: impl FnOnce()) {
        let fix = |_: Option<&str>, _| -> Result<CommandResult, String> {
            fixed();
            Ok(self.vault_guest.guest.run("true"))
        };
        case(&self.vault_guest.guest, id, Who::Alice, broken, fix).unwrap_or_else(|why| panic!("{why}"));
    }

    fn use_token(&self, token: &str) {
        self.vault_guest.guest.put_vault_token("alice", &format!("{token}\n"));
    }

    fn admin(&self, method: &str, path: &str, body: &Value) {
        self.vault_guest.bao.admin().send_ok(method, path, body);
    }

    /// Mints a token of alice with properties that provisioning never sets.
    fn mint(&self, more: &Value) -> String {
        let mut body = json!({
            "policies": ["workstation-claude-alice"],
            "meta": { "user": "alice" },
            "no_default_policy": true,
        });
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        let answer = self.vault_guest.bao.admin().send_ok("POST", "auth/token/create-orphan", &body);
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }
}

#[test]
fn token_file_problem_is_fixed_by_the_printed_remedy() {
    let fixture = StoreFixture::start();
    row::check_rows(&fixture.vault_guest.guest, &ROWS, &fixture.environment());
}

#[test]
fn server_problem_is_fixed_by_the_printed_remedy() {
    let fixture = StoreFixture::start();
    let policy = |text: String| fixture.alice.set_policy_text(&text);
    let own = Policy::Patch.text("alice");

    let token = String::from_utf8(
        fixture.vault_guest.guest.read("/home/alice/.config/claude-auth-sync/vault-token").expect("a token"),
    )
    .expect("text");
    fixture.check_problem("vault-token-rejected", || {
        fixture.admin("POST", "auth/token/revoke", &json!({ "token": token.trim() }));
    });
    fixture.check_problem("vault-token-expires", || {
        fixture.use_token(&fixture.mint(&json!({ "period": "24h" })))
    });
    fixture.check_problem("vault-token-not-renewable", || {
        fixture.use_token(&fixture.mint(&json!({ "ttl": "700h", "renewable": false })));
    });
    // The role is deleted, so its tokens are never renewed again. The next provisioning creates it
    // again.
    fixture.check_problem("vault-token-not-renewable", || {
        fixture.admin("DELETE", "auth/token/roles/workstation-claude", &Value::Null)
    });
    fixture.check_problem("vault-policy-too-narrow", || {
        policy(own.replace("\"create\", \"patch\"", "\"create\""))
    });
    fixture.check_problem("vault-policy-too-broad", || {
        policy(own.replace("claude-users/alice", "claude-users/*"))
    });
    fixture.check_problem("document-deleted", || fixture.alice.delete_document());
    fixture.check_problem("document-offboarded", || {
        let mut fields = fixture.alice.fields();
        fields["claude_offboarded_at"] = json!("2026-11-30T00:00:00Z");
        fixture.alice.put_document(&fields);
    });

    // The printed text requires an administrator with keys or other knowledge. These are the
    // actions.
    fixture.check_problem_with_fix(
        "store-sealed",
        || fixture.vault_guest.bao.seal(),
        || fixture.vault_guest.bao.unseal(),
    );
    let fields = fixture.alice.fields();
    let version = fixture.alice.document().body["data"]["metadata"]["version"].as_u64().expect("a version");
    fixture.check_problem_with_fix(
        "document-deleted",
        || fixture.alice.destroy_document(version),
        || fixture.alice.put_document(&fields),
    );
    let quota = "sys/quotas/rate-limit/all";
    fixture.check_problem_with_fix(
        "store-busy",
        || fixture.admin("POST", quota, &json!({ "rate": 0.001, "interval": "1h", "path": "auth/token" })),
        || fixture.admin("DELETE", quota, &Value::Null),
    );
}
