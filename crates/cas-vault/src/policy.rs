//! What is set up on the server for people: the policy of each one's token, and the role through which tokens are minted.
//! The texts are the files of `packaging/vault/`, so that an admin who prefers doing it by hand does the same.

use super::{SettingError, VaultPath};
use cas_core::config::VaultSettings;
use cas_core::store::StoreError;

/// The token role that mints people's tokens.
pub const ROLE: &str = "workstation-claude";

const USER_POLICY: &str = include_str!("../../../packaging/vault/user-policy.hcl");
const PROVISIONER_POLICY: &str = include_str!("../../../packaging/vault/provisioner-policy.hcl");
const TOKEN_ROLE: &str = include_str!("../../../packaging/vault/token-role.json");

/// Where people's documents lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentLayout {
    /// The mount of the KV version 2 engine.
    pub mount: VaultPath,
    /// The folder of all documents below it.
    pub folder: VaultPath,
}

impl DocumentLayout {
    /// What is configured, or else `secret` and `workstation/claude-users`.
    ///
    /// # Errors
    /// [`SettingError`] for what cannot be a path.
    pub fn configured(settings: &VaultSettings) -> Result<Self, SettingError> {
        let path = |text: &Option<String>, usual: &str| VaultPath::parse(text.as_deref().unwrap_or(usual));
        Ok(Self {
            mount: path(&settings.mount, "secret")?,
            folder: path(&settings.path, "workstation/claude-users")?,
        })
    }

    /// The name of this user's policy; the server keeps policies in lower case.
    pub fn policy_name(&self, user: &str) -> String {
        policy_name(user)
    }

    /// The least policy of this user's token.
    pub fn user_policy(&self, user: &str) -> String {
        let policy: Vec<_> = USER_POLICY.lines().filter(|line| !line.starts_with('#')).collect();
        let policy = policy.join("\n").trim_start().replace("/USER\"", &format!("/{user}\""));
        self.substitute_paths(&policy)
    }

    /// The least policy of an admin's token that provisions people.
    pub fn provisioner_policy(&self) -> String {
        self.substitute_paths(PROVISIONER_POLICY)
    }

    /// The role, in the JSON that the server takes.
    pub fn token_role(&self) -> &'static str {
        TOKEN_ROLE
    }

    /// Names of policies are kept in lower case, so this user's may be the one of somebody whose name differs in that alone.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a policy that names somebody else's document, and not this user's.
    pub fn check_policy_owner(&self, user: &str, policy: &str) -> Result<(), StoreError> {
        let folder = format!("\"{}/data/{}/", self.mount, self.folder);
        let names: Vec<_> = policy.split(&folder).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        match names.iter().find(|name| Self::is_valid_policy_user(name)) {
            Some(other) if !names.contains(&user) => Err(StoreError::Refused {
                reason: format!("the policy {} is the one of {other}", self.policy_name(user)),
                remedy: "one of the two needs another login name; or correct that policy by hand".into(),
            }),
            _ => Ok(()),
        }
    }

    fn substitute_paths(&self, policy: &str) -> String {
        policy
            .replace("\"secret/", &format!("\"{}/", self.mount))
            .replace("workstation/claude-users", &self.folder.to_string())
    }

    /// Whether a policy can name this user's document and nobody else's: in a policy's path `*` and `+` stand for others.
    pub fn is_valid_policy_user(user: &str) -> bool {
        user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
    }
}

/// The start of the name of every policy of a user.
pub(super) const POLICY_PREFIX: &str = "workstation-claude-";

/// The policy that speaks for the user; Vault keeps policy names in lower case.
pub(super) fn policy_name(user: &str) -> String {
    format!("{POLICY_PREFIX}{}", user.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_follow_the_configured_places() {
        let usual = DocumentLayout::configured(&VaultSettings::default()).expect("the defaults");
        assert!(usual.user_policy("ada").contains("\"secret/data/workstation/claude-users/ada\""));
        let settings = VaultSettings {
            mount: Some("kv/people".into()),
            path: Some("claude".into()),
            ..VaultSettings::default()
        };
        let moved = DocumentLayout::configured(&settings).expect("paths");
        for policy in [moved.user_policy("ada"), moved.provisioner_policy()] {
            assert!(
                !policy.contains("\"secret/") && !policy.contains("workstation/claude-users"),
                "{policy}"
            );
        }
        assert!(moved.user_policy("ada").contains("\"kv/people/data/claude/ada\""));
    }

    #[test]
    fn a_policy_that_is_somebody_elses_is_seen_by_the_document_it_names() {
        let layout = DocumentLayout::configured(&VaultSettings::default()).expect("the defaults");
        let of = |policy: &str| layout.check_policy_owner("Ada", policy);
        assert!(of(&layout.user_policy("Ada")).is_ok());
        assert!(of(&layout.user_policy("ada")).is_err());
        assert!(
            of(&(layout.user_policy("ada") + &layout.user_policy("Ada"))).is_ok(),
            "too wide is another matter"
        );
        assert!(of("path \"secret/*\" { capabilities = [\"read\"] }").is_ok());
    }

    #[test]
    fn what_a_template_says_of_itself_and_what_is_configured_is_left_alone() {
        let settings = VaultSettings { path: Some("it/USERS".into()), ..VaultSettings::default() };
        let policy = DocumentLayout::configured(&settings).expect("paths").user_policy("ada");
        assert!(policy.starts_with("path \"secret/data/it/USERS/ada\""), "{policy}");
    }

    #[test]
    fn a_name_that_would_be_a_pattern_is_nobodys() {
        for name in ["ada", "jean-luc", "a.b", "_x", "ada@realm", "Ada"] {
            assert!(DocumentLayout::is_valid_policy_user(name), "{name}");
        }
        for name in ["*", "a*", "+", "a+b", "a b", "a\"b", "a\\b", "a/b", "jörg"] {
            assert!(!DocumentLayout::is_valid_policy_user(name), "{name}");
        }
    }
}
