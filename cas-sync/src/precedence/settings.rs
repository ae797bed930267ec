//! Parses one settings file of Claude Code, or one environment: what it sets about credentials and
//! servers, without a secret.

use std::collections::BTreeMap;

use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::credential::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Each of these overrides the login with another credential or server.
const VARIABLES: [&str; 10] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    CUSTOM_HEADERS,
    PROFILE,
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_OAUTH_TOKEN",
    API_KEY_DESCRIPTOR,
    TOKEN_DESCRIPTOR,
    SIMPLE,
];

/// Names a program that prints a key.
pub(crate) const HELPER: &str = "apiKeyHelper";

/// Makes the client ignore logins and setup tokens, as `--bare` does.
pub(crate) const SIMPLE: &str = "CLAUDE_CODE_SIMPLE";

/// The number of a descriptor with an API key. With any value the client uses no login.
pub(crate) const API_KEY_DESCRIPTOR: &str = "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR";

/// The number of a descriptor with a setup token.
pub(crate) const TOKEN_DESCRIPTOR: &str = "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR";

/// It selects one of several profiles, and the home of a verification has none.
const PROFILE: &str = "ANTHROPIC_PROFILE";

const CUSTOM_HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";

/// The headers that carry a credential.
const AUTHORIZING: [&str; 2] = ["authorization", "x-api-key"];

/// Variables with this prefix select a cloud provider.
const PROVIDERS: &str = "CLAUDE_CODE_USE_";

/// The values that switch a provider on; the client ignores all others.
const ON: [&str; 4] = ["1", "true", "yes", "on"];

/// The settings of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    variables: BTreeMap<String, Value>,
    /// True if a program is named that prints a key.
    pub(crate) has_helper: bool,
    /// True if the client has its own key.
    pub(crate) has_primary_key: bool,
}

/// The value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    /// Empty, white space, or without effect: it counts as unset and overrides earlier places.
    Blank,
    /// Set; surrounding white space does not count.
    Set(Fingerprint),
}

impl Settings {
    /// Returns the settings of a settings file or a `.claude.json`.
    pub(crate) fn from_file(file: &ClaudeJson) -> Self {
        // All members were parsed with the file.
        let member = |name| serde_json::from_str(file.member(name).unwrap_or("null")).unwrap_or(Json::Null);
        let env = member("env");
        let variables = env.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
            Json::String(text) => Some((name.clone(), text.clone())),
            // The client converts these to text, `null` too.
            Json::Number(_) | Json::Bool(_) | Json::Null => Some((name.clone(), value.to_string())),
            Json::Array(_) | Json::Object(_) => None,
        });
        let is_nonempty = |value: &Json| value.as_str().is_some_and(|text| !text.is_empty());
        Self {
            has_helper: is_nonempty(&member(HELPER)),
            has_primary_key: is_nonempty(&member("primaryApiKey")),
            ..Self::from_variables(variables)
        }
    }

    /// Returns both; `later` wins.
    pub(crate) fn merge(mut self, later: Self) -> Self {
        self.variables.extend(later.variables);
        self.has_helper |= later.has_helper;
        self.has_primary_key |= later.has_primary_key;
        self
    }

    /// Returns the settings of these variables.
    pub(crate) fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let variables = variables.filter(|(name, _)| is_about_credentials(name));
        let variables = variables.map(|(name, text)| {
            let value = Value::parse(&name, &text);
            (name, value)
        });
        Self { variables: variables.collect(), has_helper: false, has_primary_key: false }
    }

    /// Returns the names of all effective settings; never a value.
    pub(crate) fn names(&self) -> Vec<&str> {
        let set = self.variables.iter().filter(|(_, value)| **value != Value::Blank);
        let helper = self.has_helper.then_some(HELPER);
        set.map(|(name, _)| name.as_str()).chain(helper).collect()
    }

    /// Returns the value of this variable; `None` if it is not set here.
    pub(crate) fn variable(&self, name: &str) -> Option<Value> {
        self.variables.get(name).copied()
    }

    /// Returns true if something here overrides the login with another credential or server. All
    /// variables with the prefix of the cloud providers count, because later clients may support
    /// more.
    pub(crate) fn overrides_login(&self) -> bool {
        let overrides = |(name, value): (&String, &Value)| name != PROFILE && *value != Value::Blank;
        self.has_helper || self.variables.iter().any(overrides)
    }
}

impl Value {
    fn parse(name: &str, text: &str) -> Self {
        let text = text.trim();
        let has_effect = match name {
            CUSTOM_HEADERS => text.lines().any(authorizes),
            TOKEN_DESCRIPTOR => text.parse::<u32>().is_ok(),
            _ if name == SIMPLE || name.starts_with(PROVIDERS) => {
                ON.iter().any(|on| text.eq_ignore_ascii_case(on))
            }
            _ => !text.is_empty(),
        };
        if has_effect { Self::Set(Fingerprint::from_bytes(text)) } else { Self::Blank }
    }
}

fn authorizes(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default().trim();
    AUTHORIZING.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Returns true if a variable affects the credential or the server.
pub(crate) fn is_about_credentials(name: &str) -> bool {
    VARIABLES.contains(&name) || name.starts_with(PROVIDERS)
}
