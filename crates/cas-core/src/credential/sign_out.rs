//! A missing login that the user intends.

use std::fmt;

/// Why the user intends that there is no login. Then no backup is restored without a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOut {
    /// The user logged out with Claude Code, which also asks the Anthropic API to revoke the login.
    Logout,
    /// The user signed in with an API key.
    ApiKey,
}

impl fmt::Display for SignOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Logout => "you logged out of Claude Code, so no login is restored",
            Self::ApiKey => {
                "Claude Code is signed in with an API key (primaryApiKey in ~/.claude.json), so no login is restored"
            }
        })
    }
}
