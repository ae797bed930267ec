//! What credentials and their places are called, by programs and by people.

use cas_protocol::setup_token::VARIABLE;

use super::{Kind, Place, TokenOrigin};

impl Kind {
    /// Its name for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::Headers => "custom-headers",
            Self::ApiKey => "api-key",
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

    /// What it is, for people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Provider(_) => "a cloud provider's credential",
            Self::Headers => "a header that authorises",
            Self::ApiKey => "an API key",
            Self::AuthToken => "a bearer token",
            Self::ApiKeyHelper => "the key that a program prints",
            Self::Token(TokenOrigin::Ours) => "the setup-token",
            Self::Token(TokenOrigin::Withdrawn) => "a setup-token that was replaced or taken away",
            Self::Token(TokenOrigin::Foreign) => "a token that is none of ours",
            Self::Descriptor => "a token on a file descriptor",
            Self::Profile => "a profile",
            Self::Login => "the login",
            Self::ActiveProfile => "the active profile",
            Self::PrimaryKey => "the key that Claude Code keeps",
        }
    }

    /// What sets it.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Provider(name) => name,
            Self::Headers => "ANTHROPIC_CUSTOM_HEADERS",
            Self::ApiKey => "ANTHROPIC_API_KEY",
            Self::AuthToken => "ANTHROPIC_AUTH_TOKEN",
            Self::ApiKeyHelper => "apiKeyHelper",
            Self::Token(_) => VARIABLE,
            Self::Descriptor => "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
            Self::Profile => "ANTHROPIC_PROFILE",
            Self::Login => ".credentials.json",
            Self::ActiveProfile => "active_config",
            Self::PrimaryKey => "primaryApiKey",
        }
    }
}

impl Place {
    /// Its name for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::OwnState => "own-state",
            Self::UserSettings => "user-settings",
            Self::ManagedSettings => "managed-settings",
            Self::Organization => "organization",
        }
    }

    /// Where that is, for people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Environment => "the environment",
            Self::OwnState => "~/.claude.json",
            Self::UserSettings => "~/.claude/settings.json",
            Self::ManagedSettings => "the machine's settings below /etc/claude-code",
            Self::Organization => "the settings that the organisation serves",
        }
    }
}
