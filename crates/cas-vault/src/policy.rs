//! The policies and the token role on the server. Their texts are the files of `packaging/vault/`,
//! which an administrator can also apply by hand.

use super::{SettingError, VaultPath};
use cas_core::config::VaultSettings;
use cas_core::store::StoreError;

/// The token role that creates users' tokens.
pub const ROLE: &str = "workstation-claude";

const USER_POLICY: &str = include_str!("../../../packaging/vault/user-policy.hcl");
const PROVISIONER_POLICY: &str = include_str!("../../../packaging/vault/provisioner-policy.hcl");
const TOKEN_ROLE: &str = include_str!("../../../packaging/vault/token-role.json");

/// The location of the users' documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentLayout {
    /// The mount of the KV version 2 engine.
    pub mount: VaultPath,
    /// The path of all documents below the mount.
    pub folder: VaultPath,
}

impl DocumentLayout {
    /// Returns the configured layout. The defaults are `secret` and `workstation/claude-users`.
    ///
    /// # Errors
    /// [`SettingError`] for an invalid path.
    pub fn from_settings(settings: &VaultSettings) -> Result<Self, SettingError> {
        let path =
            |text: &Option<String>, default: &str| VaultPath::parse(text.as_deref().unwrap_or(default));
        Ok(Self {
            mount: path(&settings.mount, "secret")?,
            folder: path(&settings.path, "workstation/claude-users")?,
        })
    }

    /// Returns the path of this user's document below `/v1/`, in the `data` or the `metadata` of
    /// the engine.
    pub fn document_path(&self, part: &str, user: &str) -> String {
        format!("{}/{part}/{}/{user}", self.mount, self.folder)
    }

    /// Returns the name of this user's policy. The server stores policy names in lower case.
    pub fn policy_name(&self, user: &str) -> String {
        policy_name(user)
    }

    /// Returns the least policy for this user's token.
    pub fn user_policy(&self, user: &str) -> String {
        let policy: Vec<_> = USER_POLICY.lines().filter(|line| !line.starts_with('#')).collect();
        let policy = policy.join("\n").trim_start().replace("/USER\"", &format!("/{user}\""));
        self.substitute_paths(&policy)
    }

    /// Returns the least policy for an administrator's token that provisions users.
    pub fn provisioner_policy(&self) -> String {
        self.substitute_paths(PROVISIONER_POLICY)
    }

    /// Returns the token role as JSON.
    pub fn token_role(&self) -> &'static str {
        TOKEN_ROLE
    }

    /// Checks that a policy belongs to this user. Policy names are in lower case, so it may belong
    /// to a user whose name differs only in case.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a policy that names another user's document and not this user's.
    pub fn check_policy_owner(&self, user: &str, policy: &str) -> Result<(), StoreError> {
        let folder = format!("\"{}/data/{}/", self.mount, self.folder);
        let names: Vec<_> = policy.split(&folder).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        match names.iter().find(|name| Self::is_valid_policy_user(name)) {
            Some(other) if !names.contains(&user) => Err(StoreError::Refused {
                reason: format!("the policy {} belongs to {other}", self.policy_name(user)),
                remedy: "give one of the two another login name, or correct that policy by hand".into(),
            }),
            _ => Ok(()),
        }
    }

    fn substitute_paths(&self, policy: &str) -> String {
        policy
            .replace("\"secret/", &format!("\"{}/", self.mount))
            .replace("workstation/claude-users", &self.folder.to_string())
    }

    /// Returns true if a policy path can name exactly this user's document. In a policy path `*`
    /// and `+` are wildcards.
    pub fn is_valid_policy_user(user: &str) -> bool {
        user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
    }
}

/// The prefix of every user's policy name.
pub(super) const POLICY_PREFIX: &str = "workstation-claude-";

/// Returns the name of a user's policy. Vault stores policy names in lower case.
pub(super) fn policy_name(user: &str) -> String {
    format!("{POLICY_PREFIX}{}", user.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_contain_the_configured_paths() {
        let default = DocumentLayout::from_settings(&VaultSettings::default()).expect("the defaults");
        assert!(default.user_policy("ada").contains("\"secret/data/workstation/claude-users/ada\""));
        let settings = VaultSettings {
            mount: Some("kv/people".into()),
            path: Some("claude".into()),
            ..VaultSettings::default()
        };
        let moved = DocumentLayout::from_settings(&settings).expect("paths");
        for policy in [moved.user_policy("ada"), moved.provisioner_policy()] {
            assert!(
                !policy.contains("\"secret/") && !policy.contains("workstation/claude-users"),
                "{policy}"
            );
        }
        assert!(moved.user_policy("ada").contains("\"kv/people/data/claude/ada\""));
    }

    #[test]
    fn policy_of_another_user_is_detected_by_its_document() {
        let layout = DocumentLayout::from_settings(&VaultSettings::default()).expect("the defaults");
        let check = |policy: &str| layout.check_policy_owner("Ada", policy);
        assert!(check(&layout.user_policy("Ada")).is_ok());
        assert!(check(&layout.user_policy("ada")).is_err());
        assert!(
            check(&(layout.user_policy("ada") + &layout.user_policy("Ada"))).is_ok(),
            "a policy that is too broad is detected elsewhere"
        );
        assert!(check("path \"secret/*\" { capabilities = [\"read\"] }").is_ok());
    }

    #[test]
    fn user_policy_omits_comments_and_keeps_configured_paths() {
        let settings = VaultSettings { path: Some("it/USERS".into()), ..VaultSettings::default() };
        let policy = DocumentLayout::from_settings(&settings).expect("paths").user_policy("ada");
        assert!(policy.starts_with("path \"secret/data/it/USERS/ada\""), "{policy}");
    }

    #[test]
    fn user_name_with_a_wildcard_is_invalid_in_a_policy() {
        for name in ["ada", "jean-luc", "a.b", "_x", "ada@realm", "Ada"] {
            assert!(DocumentLayout::is_valid_policy_user(name), "{name}");
        }
        for name in ["*", "a*", "+", "a+b", "a b", "a\"b", "a\\b", "a/b", "jörg"] {
            assert!(!DocumentLayout::is_valid_policy_user(name), "{name}");
        }
    }
}
