//! The setup token: the one-year token of `claude setup-token`, passed to Claude Code in one
//! environment variable. It is the only value that this project adds to a session's environment, so
//! its format is checked here.

use std::fmt;

use crate::secret::{Secret, Zeroizing};

/// The one environment variable that this project sets. Claude Code prefers it over the login file.
pub const VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// The prefix of every setup token (`docs/design/claude-code.md`; the client does not check it).
pub const PREFIX: &str = "sk-ant-oat01-";

/// The longest accepted setup token, in bytes. Real ones have about a hundred bytes. An environment
/// value of more than 128 KiB would make every `exec` of the session fail.
pub const MAX_LEN: usize = 1024;

/// A well-formed setup token: [`PREFIX`], then one to `MAX_LEN - PREFIX.len()` bytes of
/// `[A-Za-z0-9_-]`. The Anthropic API may still reject it.
#[derive(PartialEq, Eq)]
pub struct SetupToken(Secret<String>);

impl SetupToken {
    /// Parses exactly the bytes of a token, without white space, quotes or a newline.
    ///
    /// # Errors
    /// [`SetupTokenError`] names the first rule that is violated. It never contains the text.
    pub fn parse(text: &str) -> Result<Self, SetupTokenError> {
        let body = text.strip_prefix(PREFIX).ok_or(SetupTokenError::Prefix)?;
        if body.is_empty() || text.len() > MAX_LEN {
            return Err(SetupTokenError::Length);
        }
        if !body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            return Err(SetupTokenError::Character);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// Parses a pasted token. White space around each line is removed and the lines are joined,
    /// because a narrow terminal breaks what is copied from it. White space within a line is an
    /// error: there it may separate two texts.
    ///
    /// # Errors
    /// As [`SetupToken::parse`].
    pub fn from_user_input(text: &str) -> Result<Self, SetupTokenError> {
        // Allocated once: a string that grows would leave parts of the token in freed memory.
        let mut joined = Zeroizing::new(String::with_capacity(text.len()));
        text.lines().for_each(|line| joined.push_str(line.trim()));
        Self::parse(&joined)
    }

    /// Returns the token's text. Only the environment, the env file and the store may receive it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for SetupToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SetupToken(…)")
    }
}

/// Why a text is not a setup token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupTokenError {
    /// The text does not begin with [`PREFIX`].
    Prefix,
    /// Nothing follows the prefix, or the text is longer than [`MAX_LEN`].
    Length,
    /// A byte outside `[A-Za-z0-9_-]` follows the prefix, often a newline or a quote that was
    /// copied along.
    Character,
}

impl fmt::Display for SetupTokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => write!(formatter, "it does not begin with {PREFIX}"),
            Self::Length => write!(formatter, "it is empty or longer than {MAX_LEN} bytes"),
            Self::Character => {
                formatter.write_str("it contains a space, line end, quote or other foreign character")
            }
        }
    }
}

impl std::error::Error for SetupTokenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_setup_token_is_rejected() {
        let long = format!("{PREFIX}{}", "a".repeat(MAX_LEN - PREFIX.len()));
        let too_long = format!("{long}a");
        let rows: &[(&str, Option<SetupTokenError>)] = &[
            ("sk-ant-oat01-AbC_09-xyz", None),
            (&long, None),
            (&too_long, Some(SetupTokenError::Length)),
            ("sk-ant-oat01-", Some(SetupTokenError::Length)),
            ("", Some(SetupTokenError::Prefix)),
            ("sk-ant-api03-abc", Some(SetupTokenError::Prefix)),
            (" sk-ant-oat01-abc", Some(SetupTokenError::Prefix)),
            ("sk-ant-oat01-abc\n", Some(SetupTokenError::Character)),
            ("sk-ant-oat01-abc\nLD_PRELOAD=/x", Some(SetupTokenError::Character)),
            ("sk-ant-oat01-a\0b", Some(SetupTokenError::Character)),
            ("sk-ant-oat01-a=b", Some(SetupTokenError::Character)),
            ("sk-ant-oat01-ä", Some(SetupTokenError::Character)),
        ];
        for (text, expected) in rows {
            assert_eq!(SetupToken::parse(text).err(), *expected, "{text:?}");
        }
    }

    #[test]
    fn pasted_token_with_line_breaks_is_joined() {
        let token = SetupToken::parse("sk-ant-oat01-AbC_09-xyz").expect("well-formed");
        for text in [
            "sk-ant-oat01-AbC_09-xyz",
            "  sk-ant-oat01-AbC_09-xyz \t\r\n",
            "sk-ant-oat01-Ab\nC_09-\nxyz\n",
            "\n\n  sk-ant-\r\n  oat01-AbC_09-xyz  \n\n",
        ] {
            assert_eq!(SetupToken::from_user_input(text).as_ref(), Ok(&token), "{text:?}");
        }
        for (text, expected) in [
            ("", SetupTokenError::Prefix),
            (" \n ", SetupTokenError::Prefix),
            ("sk-ant-oat01-AbC 09", SetupTokenError::Character),
            ("sk-ant-oat01-AbC\nKeep it in a safe place", SetupTokenError::Character),
            ("export CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc", SetupTokenError::Prefix),
            ("\"sk-ant-oat01-abc\"", SetupTokenError::Prefix),
            ("sk-ant-oat01-abc\"", SetupTokenError::Character),
            ("sk-ant-oat01-a\u{a0}b", SetupTokenError::Character),
        ] {
            assert_eq!(SetupToken::from_user_input(text).err(), Some(expected), "{text:?}");
        }
    }
}
