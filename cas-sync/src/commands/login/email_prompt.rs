//! The address that somebody signs in with.

use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::claude_files::state_file::ClaudeState;
use cas_core::credential::email::Address;
use cas_core::credential::login::Owner;

use crate::os::deferred_signals::DeferredSignals;
use crate::term::secret_input::{ask_openly, is_at_a_terminal};
use crate::user::error::Failed;

/// The longest there is (RFC 5321, section 4.5.3.1.3).
const LONGEST: usize = 254;

/// An address, as far as it can be told from its form.
///
/// # Errors
/// [`Failed`], of usage.
pub(super) fn parse(text: &str) -> Result<String, Failed> {
    let is_one = text.len() <= LONGEST
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(Failed::new(2, "give an address such as alice@example.org with --email")),
    }
}

/// The address that this file of the client's names.
pub(super) fn of_last_sign_in(state: &ClaudeState) -> Option<String> {
    let state = ClaudeJson::read(state.path()).ok()??;
    Address::of_account(&state, &Owner::default()).map(|address| address.to_string())
}

/// The address that was given, else that of the last sign-in here, else what somebody at the terminal says; nothing where
/// nobody says any.
///
/// # Errors
/// [`Failed`] when what is typed is no address, or somebody asks to end.
pub(super) fn known_or_asked(
    given: Option<String>,
    state: &ClaudeState,
    signals: &DeferredSignals,
) -> Result<Option<String>, Failed> {
    let known = || of_last_sign_in(state);
    match given.or_else(known) {
        None if is_at_a_terminal() => {
            let question = "Your address (or just Enter, to choose in the browser): ";
            let answer = ask_openly(question, signals).map_err(|not| Failed::new(1, not))?;
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
