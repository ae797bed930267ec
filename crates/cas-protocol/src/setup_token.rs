//! The setup-token: the long-lived token of `claude setup-token`, given to Claude Code in one environment variable.
//! This is the only thing that may ever reach a login's environment through us, so its form is checked here, once.

use std::fmt;

use crate::secret::{Secret, Zeroizing};

/// The one environment variable this project ever sets. Claude Code prefers it over the login file.
pub const VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// What every setup-token begins with (`docs/design/claude-code.md`; the client itself checks nothing).
pub const PREFIX: &str = "sk-ant-oat01-";

/// The longest setup-token accepted, in bytes. Real ones are about a hundred bytes; an environment value of more than
/// 128 KiB would make every `exec` of the login fail.
pub const MAX_LEN: usize = 1024;

/// A well-formed setup-token: [`PREFIX`], then one to `MAX_LEN - PREFIX.len()` bytes of `[A-Za-z0-9_-]`.
/// Well-formed says nothing about whether the server accepts it.
#[derive(PartialEq, Eq)]
pub struct SetupToken(Secret<String>);

impl SetupToken {
    /// Accepts exactly the bytes of a token: no white space, no quotes, no line end.
    ///
    /// # Errors
    /// [`SetupTokenError`] names the first rule that does not hold, and never repeats the text.
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

    /// Accepts a token as people paste it: with white space around it, and broken into several lines, as a narrow terminal
    /// does to what is copied from it. Nothing else is mended: no token has white space in it, but within a line it may be
    /// where one text ends and another begins.
    ///
    /// # Errors
    /// As [`SetupToken::parse`].
    pub fn from_user_input(text: &str) -> Result<Self, SetupTokenError> {
        // Of the whole length at once, so that no part of it stays behind where the text has grown out of.
        let mut joined = Zeroizing::new(String::with_capacity(text.len()));
        text.lines().for_each(|line| joined.push_str(line.trim()));
        Self::parse(&joined)
    }

    /// The token's text, for the environment, the env file and the store only.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for SetupToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SetupToken(…)")
    }
}

/// Why a text is no setup-token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupTokenError {
    /// It does not begin with [`PREFIX`].
    Prefix,
    /// Nothing follows the prefix, or the whole is longer than [`MAX_LEN`].
    Length,
    /// A byte outside `[A-Za-z0-9_-]` follows the prefix: often a line end or a quote that was copied along.
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
    fn only_a_well_formed_token_is_taken() {
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
    fn what_a_narrow_terminal_has_broken_is_joined_and_nothing_else_is_mended() {
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
