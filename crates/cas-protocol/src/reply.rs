//! The reply line of `cas-session login` to the PAM module: a version word and at most one setup
//! token.
//!
//! ```text
//! CAS1 sk-ant-oat01-…\n     set this token
//! CAS1\n                    no token
//! ```
//!
//! The module requests this format with `--reply=1`. A helper that is newer than the loaded module
//! therefore still answers in the format that the module knows. The module rejects any other
//! output.

use std::fmt;

use zeroize::Zeroizing;

use crate::setup_token::{self, SetupToken};

/// The version of this format, as passed in `--reply=`.
pub const VERSION: &str = "1";

const WORD: &str = "CAS1";

/// The longest reply in bytes, including the newline. A reader can stop one byte later and reject
/// the reply.
pub const MAX_LEN: usize = WORD.len() + 1 + setup_token::MAX_LEN + 1;

/// The helper's reply: the user's setup token, if there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply(pub Option<SetupToken>);

impl Reply {
    /// Parses everything that was read from the pipe.
    ///
    /// # Errors
    /// [`NotAReply`] unless the bytes are exactly one well-formed line.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAReply> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAReply)?;
        let line = text.strip_suffix('\n').ok_or(NotAReply)?;
        match line.strip_prefix(WORD).ok_or(NotAReply)? {
            "" => Ok(Self(None)),
            rest => {
                let token = rest.strip_prefix(' ').ok_or(NotAReply)?;
                Ok(Self(Some(SetupToken::parse(token).map_err(|_| NotAReply)?)))
            }
        }
    }

    /// Returns the line to write, including the newline. Its memory is overwritten on drop.
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(match &self.0 {
            Some(token) => format!("{WORD} {}\n", token.expose()),
            None => format!("{WORD}\n"),
        })
    }
}

/// The bytes are not exactly one reply line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAReply;

impl fmt::Display for NotAReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the helper's answer is not a reply line of version 1")
    }
}

impl std::error::Error for NotAReply {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn written_reply_parses_to_the_same_reply() {
        for reply in [Reply(None), Reply(SetupToken::parse("sk-ant-oat01-abc").ok())] {
            let line = reply.to_line();
            assert!(line.len() <= MAX_LEN);
            assert_eq!(Reply::parse(line.as_bytes()), Ok(reply));
        }
    }

    #[test]
    fn reply_that_is_not_one_exact_line_is_rejected() {
        for bytes in [
            &b""[..],
            b"CAS1",
            b"CAS2\n",
            b"CAS1 \n",
            b"CAS1\n\n",
            b"CAS1\nCAS1\n",
            b" CAS1\n",
            b"CAS1  sk-ant-oat01-abc\n",
            b"CAS1 sk-ant-oat01-abc",
            b"CAS1 sk-ant-oat01-abc\r\n",
            b"CAS1 sk-ant-oat01-abc\nLD_PRELOAD=/x\n",
            b"CAS1 LD_PRELOAD=/x\n",
            b"CAS1 CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n",
            b"CAS1 sk-ant-oat01-a\0\n",
            b"\xff\n",
        ] {
            assert_eq!(Reply::parse(bytes), Err(NotAReply), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn reply_of_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..MAX_LEN + 10)) {
            let _ = Reply::parse(&bytes);
        }

        #[test]
        fn accepted_line_equals_the_written_line(
            line in "(CAS[0-9])?[ \\t]?(sk-ant-oat01-)?[a-zA-Z0-9_ =\\n-]{0,8}\\n?"
        ) {
            if let Ok(reply) = Reply::parse(line.as_bytes()) {
                let written = reply.to_line();
                prop_assert_eq!(written.as_str(), line);
            }
        }

        #[test]
        fn changed_byte_never_adds_a_variable_or_a_line(place in 0..30_usize, byte in any::<u8>()) {
            let mut line = b"CAS1 sk-ant-oat01-abcdefghijk\n".to_vec();
            line[place.min(29)] = byte;
            if let Ok(Reply(Some(token))) = Reply::parse(&line) {
                prop_assert!(token.expose().starts_with("sk-ant-oat01-"));
                prop_assert!(token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
            }
        }
    }
}
