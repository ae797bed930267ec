//! The email of a sign-in.

use cas_core::claude_files::email::Email;
use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::credential::login::Owner;
use cas_core::outcome::ExitStatus;

use crate::os::deferred_signals::SignalBlock;
use crate::term::secret_input::{is_at_a_terminal, prompt};
use crate::user::error::CommandError;

/// Maximum length of an email address (RFC 5321, section 4.5.3.1.3).
const MAX_LENGTH: usize = 254;

/// Returns the text if it has the form of an email.
///
/// # Errors
/// Returns [`CommandError`], a usage error.
pub(super) fn parse(text: &str) -> Result<String, CommandError> {
    let is_email = text.len() <= MAX_LENGTH
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    match is_email {
        true => Ok(text.to_owned()),
        false => Err(CommandError::new(
            ExitStatus::UsageError,
            "--email: not an email; give one such as alice@example.org",
        )),
    }
}

/// Returns the email of the last sign-in, from the client's state file.
pub(super) fn last_sign_in_email(state: &ClaudeStateFile) -> Option<String> {
    let state = ClaudeJson::read(state.path()).ok()??;
    Email::for_owner(&state, &Owner::default()).map(|email| email.to_string())
}

/// Returns the given email, else the email of the last sign-in, else what the user enters at the
/// terminal. Returns `None` without input.
///
/// # Errors
/// Returns [`CommandError`] if the input is not an email or the user interrupts.
pub(super) fn known_or_prompt(
    given: Option<String>,
    state: &ClaudeStateFile,
    signals: &SignalBlock,
) -> Result<Option<String>, CommandError> {
    let known = || last_sign_in_email(state);
    match given.or_else(known) {
        None if is_at_a_terminal() => {
            let question = "Your email (or press Enter to choose in the browser): ";
            let answer =
                prompt(question, signals).map_err(|error| CommandError::new(ExitStatus::Failure, error))?;
            answer.as_deref().map(parse).transpose()
        }
        email => Ok(email),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_has_a_name_and_a_host() {
        for text in ["alice@example.org", "a.b+c@mail.example.org", "-x@example.org", "ä@exämple.org"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for text in ["", "alice", "@example.org", "alice@", "alice@host", "a b@example.org", "a@b.c\n", &long]
        {
            assert!(parse(text).is_err_and(|failed| failed.status == ExitStatus::UsageError), "{text}");
        }
    }
}
