//! Names of credentials and places, in JSON and in text.

use cas_protocol::setup_token::VARIABLE;

use super::{Kind, Place, TokenOrigin, settings};

impl Kind {
    /// Returns its name in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::Headers => "custom-headers",
            Self::ApiKey => "api-key",
            Self::ApiKeyDescriptor => "api-key-descriptor",
            Self::AuthToken => "auth-token",
            Self::ApiKeyHelper => "api-key-helper",
            Self::Token(TokenOrigin::Ours) => "setup-token",
            Self::Token(TokenOrigin::Withdrawn) => "withdrawn-setup-token",
            Self::Token(TokenOrigin::Foreign) => "foreign-setup-token",
            Self::Descriptor => "token-descriptor",
            Self::Profile => "profile",
            Self::Login => "login",
            Self::ActiveProfile => "active-profile",
            Self::PrimaryKey => "primary-api-key",
        }
    }

    /// Returns its description.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Provider(_) => "a cloud provider's credential",
            Self::Headers => "an authorization header",
            Self::ApiKey => "an API key",
            Self::ApiKeyDescriptor => "an API key on a file descriptor",
            Self::AuthToken => "a bearer token",
            Self::ApiKeyHelper => "the key that apiKeyHelper prints",
            Self::Token(TokenOrigin::Ours) => "the setup token",
            Self::Token(TokenOrigin::Withdrawn) => "a setup token that was replaced or removed",
            Self::Token(TokenOrigin::Foreign) => "a token that cas-sync does not manage",
            Self::Descriptor => "a token on a file descriptor",
            Self::Profile => "a profile",
            Self::Login => "the login",
            Self::ActiveProfile => "the active profile",
            Self::PrimaryKey => "the API key of Claude Code",
        }
    }

    /// Returns the name of what sets it.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Provider(name) => name,
            Self::Headers => "ANTHROPIC_CUSTOM_HEADERS",
            Self::ApiKey => "ANTHROPIC_API_KEY",
            Self::ApiKeyDescriptor => settings::API_KEY_DESCRIPTOR,
            Self::AuthToken => "ANTHROPIC_AUTH_TOKEN",
            Self::ApiKeyHelper => settings::HELPER,
            Self::Token(_) => VARIABLE,
            Self::Descriptor => settings::TOKEN_DESCRIPTOR,
            Self::Profile => "ANTHROPIC_PROFILE",
            Self::Login => ".credentials.json",
            Self::ActiveProfile => "active_config",
            Self::PrimaryKey => "primaryApiKey",
        }
    }
}

impl Place {
    /// Returns its name in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::OwnState => "own-state",
            Self::UserSettings => "user-settings",
            Self::ProjectSettings => "project-settings",
            Self::LocalSettings => "local-settings",
            Self::ManagedSettings => "managed-settings",
            Self::Organization => "organization",
        }
    }

    /// Returns its description.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Environment => "the environment",
            Self::OwnState => "~/.claude.json",
            Self::UserSettings => "~/.claude/settings.json",
            Self::ProjectSettings => ".claude/settings.json of this directory",
            Self::LocalSettings => ".claude/settings.local.json of this directory",
            Self::ManagedSettings => "the machine's settings below /etc/claude-code",
            Self::Organization => "the settings of the organization",
        }
    }
}
