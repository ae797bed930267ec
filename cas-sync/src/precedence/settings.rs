//! One file of settings of Claude Code, or one environment: what it says about credentials and servers, without a secret.

use std::collections::BTreeMap;

use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::credential::fingerprint::Fingerprint;
use serde_json::Value as Json;

/// Each puts another credential, or another server, in the place of a login.
const VARIABLES: [&str; 8] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    CUSTOM_HEADERS,
    PROFILE,
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
];

/// It chooses among credentials that are there, and there are none where a login is put to the test.
const PROFILE: &str = "ANTHROPIC_PROFILE";

const CUSTOM_HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";

/// The headers among them that carry a credential.
const AUTHORIZING: [&str; 2] = ["authorization", "x-api-key"];

/// So does every variable that begins so: the cloud providers.
const PROVIDERS: &str = "CLAUDE_CODE_USE_";

/// What counts as "on" for a switch; the client takes everything else for off.
const ON: [&str; 4] = ["1", "true", "yes", "on"];

/// What one place says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    variables: BTreeMap<String, Value>,
    /// Whether a program is named that prints a key.
    pub(crate) has_helper: bool,
    /// Whether there is a key of the client's own.
    pub(crate) has_primary_key: bool,
}

/// What a variable is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// To nothing, white space, or something without an effect: as good as unset, also for the places before.
    Blank,
    /// To something; white space around it does not count.
    Set(Fingerprint),
}

impl Settings {
    /// What a file of settings, or a `.claude.json`, says.
    pub(crate) fn of(file: &ClaudeJson) -> Self {
        // All of them were understood when the file was.
        let member = |name| serde_json::from_str(file.member(name).unwrap_or("null")).unwrap_or(Json::Null);
        let env = member("env");
        let variables = env.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
            Json::String(text) => Some((name.clone(), text.clone())),
            // The client makes text of these, "null" included.
            Json::Number(_) | Json::Bool(_) | Json::Null => Some((name.clone(), value.to_string())),
            Json::Array(_) | Json::Object(_) => None,
        });
        let is_given = |value: &Json| value.as_str().is_some_and(|text| !text.is_empty());
        Self {
            has_helper: is_given(&member("apiKeyHelper")),
            has_primary_key: is_given(&member("primaryApiKey")),
            ..Self::of_variables(variables)
        }
    }

    /// What both say, where `later` has the last word.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.variables.extend(later.variables);
        self.has_helper |= later.has_helper;
        self.has_primary_key |= later.has_primary_key;
        self
    }

    /// What these variables say.
    pub(crate) fn of_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let variables = variables.filter(|(name, _)| is_about_credentials(name));
        let variables = variables.map(|(name, text)| {
            let value = Value::of(&name, &text);
            (name, value)
        });
        Self { variables: variables.collect(), has_helper: false, has_primary_key: false }
    }

    /// The names of all that it sets with an effect, the settings among them; never a value.
    pub(crate) fn names(&self) -> Vec<&str> {
        let set = self.variables.iter().filter(|(_, value)| **value != Value::Blank);
        let helper = self.has_helper.then_some("apiKeyHelper");
        set.map(|(name, _)| name.as_str()).chain(helper).collect()
    }

    /// What it says about this variable; nothing where it leaves it alone.
    pub(crate) fn variable(&self, name: &str) -> Option<Value> {
        self.variables.get(name).copied()
    }

    /// Whether something here puts another credential or server in the place of a login. Switches that begin like those of
    /// the cloud providers count whoever they are: there may be more of them in the next client.
    pub(crate) fn overrides_a_login(&self) -> bool {
        let overrides = |(name, value): (&String, &Value)| name != PROFILE && *value != Value::Blank;
        self.has_helper || self.variables.iter().any(overrides)
    }
}

impl Value {
    fn of(name: &str, text: &str) -> Self {
        let text = text.trim();
        let has_effect = match name {
            CUSTOM_HEADERS => text.lines().any(authorizes),
            _ if name.starts_with(PROVIDERS) => ON.iter().any(|on| text.eq_ignore_ascii_case(on)),
            _ => !text.is_empty(),
        };
        if has_effect { Self::Set(Fingerprint::from_bytes(text)) } else { Self::Blank }
    }
}

fn authorizes(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default().trim();
    AUTHORIZING.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a variable has to do with which credential or server is used.
pub(crate) fn is_about_credentials(name: &str) -> bool {
    VARIABLES.contains(&name) || name.starts_with(PROVIDERS)
}
