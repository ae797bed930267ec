//! The address that somebody signs in with.

use cas_core::claude_files::email::Email;
use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::credential::login::Owner;

use crate::os::deferred_signals::SignalBlock;
use crate::term::secret_input::{is_at_a_terminal, prompt};
use crate::user::error::CommandError;

/// The longest there is (RFC 5321, section 4.5.3.1.3).
const LONGEST: usize = 254;

/// An address, as far as it can be told from its form.
///
/// # Errors
/// [`CommandError`], of usage.
pub(super) fn parse(text: &str) -> Result<String, CommandError> {
    let is_one = text.len() <= LONGEST
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(CommandError::new(2, "give an address such as alice@example.org with --email")),
    }
}

/// The address that this file of the client's names.
pub(super) fn last_sign_in_email(state: &ClaudeStateFile) -> Option<String> {
    let state = ClaudeJson::read(state.path()).ok()??;
    Email::for_owner(&state, &Owner::default()).map(|address| address.to_string())
}

/// The address that was given, else that of the last sign-in here, else what somebody at the terminal says; nothing where
/// nobody says any.
///
/// # Errors
/// [`CommandError`] when what is typed is no address, or somebody asks to end.
pub(super) fn known_or_prompt(
    given: Option<String>,
    state: &ClaudeStateFile,
    signals: &SignalBlock,
) -> Result<Option<String>, CommandError> {
    let known = || last_sign_in_email(state);
    match given.or_else(known) {
        None if is_at_a_terminal() => {
            let question = "Your address (or just Enter, to choose in the browser): ";
            let answer = prompt(question, signals).map_err(|not| CommandError::new(1, not))?;
            answer.as_deref().map(parse).transpose()
        }
        address => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host_and_no_room_for_anything_else() {
        for text in ["alice@example.org", "a.b+c@mail.example.org", "-x@example.org", "ä@exämple.org"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for text in ["", "alice", "@example.org", "alice@", "alice@host", "a b@example.org", "a@b.c\n", &long]
        {
            assert!(parse(text).is_err_and(|failed| failed.code == 2), "{text}");
        }
    }
}
