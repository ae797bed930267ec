//! One row of the table: the settings of a user, as text.
//!
//! Items are separated by `, `. `no login` and `setup token` are what they say. `in DIRECTORY` is
//! the working directory below the home. All others are `PLACE NAME` or `PLACE NAME=VALUE`, where
//! `{home}` is the home; without a value, it is the secret that the place and the name stand for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(super) const TOKEN: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// The places, each with its file below the home, as `cas-sync status` names them.
pub(super) const FILES: [(&str, &str); 6] = [
    ("own-state", ".claude.json"),
    ("user-settings", ".claude/settings.json"),
    ("project-settings", "project/.claude/settings.json"),
    ("local-settings", "project/.claude/settings.local.json"),
    ("sub-local-settings", "project/sub/.claude/settings.local.json"),
    ("organization", ".claude/remote-settings.json"),
];

/// What sets a credential, and its kind in `cas-sync status`.
const KINDS: [(&str, &str); 8] = [
    (TOKEN, "foreign-setup-token"),
    ("ANTHROPIC_API_KEY", "api-key"),
    ("ANTHROPIC_AUTH_TOKEN", "auth-token"),
    ("ANTHROPIC_CUSTOM_HEADERS", "custom-headers"),
    ("apiKeyHelper", "api-key-helper"),
    ("primaryApiKey", "primary-api-key"),
    ("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "token-descriptor"),
    ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "api-key-descriptor"),
];

/// A parsed row.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) has_no_login: bool,
    /// Below the home.
    pub(super) directory: String,
    pub(super) environment: Vec<(String, String)>,
    /// The secret on descriptor 3.
    pub(super) descriptor: Option<String>,
    /// The content of the settings of each place.
    pub(super) places: BTreeMap<String, Value>,
    /// The kind and the place of each secret.
    pub(super) secrets: BTreeMap<String, String>,
}

/// Returns the token in the user's env file.
pub(super) fn setup_token() -> String {
    secret("setup-token", "environment")
}

/// Returns the secret that has this kind in this place.
fn secret(kind: &str, place: &str) -> String {
    format!("sk-ant-oat01-{kind}-{place}")
}

impl Row {
    pub(super) fn parse(text: &str, home: &str) -> Self {
        let mut row = Self::default();
        for item in text.split(", ") {
            match item {
                "a login" => (),
                "no login" => row.has_no_login = true,
                "setup token" => row.set("environment", TOKEN, &setup_token()),
                _ => row.add(item, home),
            }
        }
        row.secrets.insert(setup_token(), "setup-token environment".into());
        row
    }

    fn add(&mut self, item: &str, home: &str) {
        let (place, setting) = item.split_once(' ').unwrap_or_else(|| panic!("{item:?} has no place"));
        if place == "in" {
            self.directory = setting.to_owned();
            return;
        }
        if let Some((name, value)) = setting.split_once('=') {
            return self.set(place, name, &value.replace("{home}", home));
        }
        let kind = KINDS.iter().find(|(name, _)| *name == setting);
        let (_, kind) = kind.unwrap_or_else(|| panic!("{setting:?} has no value"));
        let named = match place {
            "managed-snippet" => "managed-settings",
            "sub-local-settings" => "local-settings",
            _ => place,
        };
        let secret = secret(kind, place);
        self.secrets.insert(secret.clone(), format!("{kind} {named}"));
        match setting {
            "apiKeyHelper" => self.set(place, setting, &format!("echo {secret}")),
            "ANTHROPIC_CUSTOM_HEADERS" => {
                self.set(place, setting, &format!("X-Team: a\nAuthorization: Bearer {secret}"));
            }
            _ if setting.ends_with("DESCRIPTOR") => {
                self.descriptor = Some(secret);
                self.set(place, setting, "3");
            }
            _ => self.set(place, setting, &secret),
        }
    }

    /// Adds a setting: a variable if its name is in capital letters. `true` is no text.
    fn set(&mut self, place: &str, name: &str, value: &str) {
        if place == "environment" {
            return self.environment.push((name.to_owned(), value.to_owned()));
        }
        let value = if value == "true" { json!(true) } else { json!(value) };
        let place = self.places.entry(place.to_owned()).or_insert_with(|| json!({}));
        let is_variable = name.starts_with(|first: char| first.is_ascii_uppercase());
        match is_variable {
            true => {
                let members = place.as_object_mut().expect("an object");
                let env = members.entry("env").or_insert_with(|| Value::Object(Map::new()));
                env[name] = value;
            }
            false => place[name] = value,
        }
    }
}
