//! A user of the store: a policy, a scoped token minted as a provisioner mints it, and a private
//! file that holds it.

use std::fs;
use std::path::PathBuf;

use cas_vault::{ServerUrl, VaultConfig, VaultStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::admin::{Admin, Reply};
use crate::{now_ms, write_private};

/// What a user's token may do to the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `packaging/vault/user-policy.hcl`: the server merges.
    Patch,
    /// `packaging/vault/user-policy-update.hcl`: the complete document may be replaced.
    Update,
}

impl Policy {
    /// Returns the packaged policy for this user.
    pub fn text(self, user: &str) -> String {
        let template = match self {
            Self::Patch => include_str!("../../../packaging/vault/user-policy.hcl"),
            Self::Update => include_str!("../../../packaging/vault/user-policy-update.hcl"),
        };
        template.replace("USER", user)
    }
}

/// A user who has a token.
pub struct VaultUser {
    admin: Admin,
    folder: TempDir,
    user: String,
}

impl VaultUser {
    pub(super) fn provision(admin: &Admin, user: &str, policy: Policy) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the token");
        let vault_user = Self { admin: admin.clone(), folder, user: user.to_owned() };
        vault_user.set_policy(policy);
        vault_user.use_token(&vault_user.mint(&json!({ "user": user, "purpose": "claude-auth-sync" })));
        vault_user
    }

    /// Returns a client with all permissions.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Returns the name of the account.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Gives the user this policy; it applies to existing tokens at once.
    pub fn set_policy(&self, policy: Policy) {
        self.set_policy_text(&policy.text(&self.user));
    }

    /// Gives the user a policy with this text.
    pub fn set_policy_text(&self, text: &str) {
        let path = format!("sys/policies/acl/workstation-claude-{}", self.user.to_lowercase());
        self.admin.send_ok("PUT", &path, &json!({ "policy": text }));
    }

    /// Mints another scoped token: orphan, periodic, without the default policy.
    pub fn mint(&self, meta: &Value) -> String {
        let body = json!({
            "policies": [format!("workstation-claude-{}", self.user.to_lowercase())],
            "display_name": format!("devvm-claude-auth-{}", self.user),
            "meta": meta,
        });
        let answer = self.admin.send_ok("POST", "auth/token/create/workstation-claude", &body);
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Mints another token as provisioners did for the legacy script: without the role, and without
    /// the name of a user in it.
    pub fn mint_for_legacy_script(&self) -> String {
        let body = json!({
            "policies": [format!("workstation-claude-{}", self.user.to_lowercase())],
            "display_name": format!("devvm-claude-auth-{}", self.user),
            "period": "768h",
        });
        let answer = self.admin.send_ok("POST", "auth/token/create-orphan", &body);
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Puts this token into the user's token file.
    pub fn use_token(&self, token: &str) {
        write_private(&self.token_file(), token);
    }

    /// Returns the token in the user's token file.
    pub fn token(&self) -> String {
        fs::read_to_string(self.token_file()).expect("reading the token file").trim_end().to_owned()
    }

    /// Returns the path of the token file.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("vault-token")
    }

    /// Returns the settings of a run without cached state.
    pub fn config(&self) -> VaultConfig {
        let address = ServerUrl::parse(&self.admin.address).expect("the URL of the fixture");
        let config = VaultConfig::for_user(address, &self.user, self.token_file(), now_ms());
        VaultConfig { ca_cert: self.admin.ca_cert.clone(), ..config.expect("the user name of the fixture") }
    }

    /// Returns the store of a run without cached state.
    pub fn store(&self) -> VaultStore {
        VaultStore::new(self.config())
    }

    /// Returns an HTTP client with the user's token.
    pub fn user_client(&self) -> Admin {
        Admin { token: self.token(), ..self.admin.clone() }
    }

    /// Replaces the document, as an administrator can.
    pub fn put_document(&self, fields: &Value) {
        self.admin.send_ok("PUT", &self.path("data"), &json!({ "data": fields }));
    }

    /// Returns the document as an administrator reads it.
    pub fn document(&self) -> Reply {
        self.admin.ask("GET", &self.path("data"), None)
    }

    /// Returns the fields of the newest version as an administrator reads them, or null.
    pub fn fields(&self) -> Value {
        self.document().body["data"]["data"].clone()
    }

    /// Deletes the newest version; it can be undeleted.
    pub fn delete_document(&self) {
        self.admin.send_ok("DELETE", &self.path("data"), &Value::Null);
    }

    /// Destroys a version; it cannot be undeleted.
    pub fn destroy_document(&self, version: u64) {
        self.admin.send_ok("PUT", &self.path("destroy"), &json!({ "versions": [version] }));
    }

    /// Returns the path of the document's `data`, `metadata`, `destroy`, …
    pub fn path(&self, part: &str) -> String {
        format!("secret/{part}/workstation/claude-users/{}", self.user)
    }
}

/// Creates the role that mints scoped tokens.
pub(super) fn create_role(admin: &Admin) {
    let role = include_str!("../../../packaging/vault/token-role.json");
    let role = serde_json::from_str(role).expect("the packaged role is JSON");
    admin.send_ok("POST", "auth/token/roles/workstation-claude", &role);
}
