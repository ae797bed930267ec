//! Rejects tokens on the command line.

use std::ffi::OsString;

use cas_core::outcome::ExitStatus;

use crate::user::error::CommandError;

/// The prefix of every Anthropic credential.
const CREDENTIAL: &str = "sk-ant-";

/// Rejects a command line that contains a credential, and never prints it: other users can see a
/// command line, and the shell's history keeps it. Where a setup token is possible, every word that
/// is not an option counts as one.
///
/// # Errors
/// Returns [`CommandError`], a usage error.
pub(crate) fn reject_token_in_argv(arguments: impl Iterator<Item = OsString>) -> Result<(), CommandError> {
    let arguments: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let has_token = match words.as_slice() {
        ["token", "set" | "import", after @ ..] => has_a_stray_word(after),
        ["token", other, ..] => !is_known(other),
        _ => false,
    };
    match has_token || words.iter().any(|word| word.contains(CREDENTIAL)) {
        false => Ok(()),
        true => Err(CommandError::new(ExitStatus::UsageError, TOKEN_IN_ARGV)),
    }
}

const TOKEN_IN_ARGV: &str = "a setup token cannot be an argument; nothing was changed. If it was one, other users could see it: remove it from \
     your shell history, create another one, and enter it in `cas-sync token set` at the terminal or on standard input \
     (see `cas-sync help token`)";

fn is_known(word: &str) -> bool {
    word.starts_with('-') || ["set", "show", "clear", "import", "help"].contains(&word)
}

/// Returns true if a word is neither an option nor the value of one.
fn has_a_stray_word(words: &[&str]) -> bool {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--minted-at" => drop(words.next()),
            word if !word.starts_with('-') => return true,
            _ => (),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_token_is_rejected_and_not_printed() {
        let rejected = |line: &str| reject_token_in_argv(line.split_whitespace().map(OsString::from)).err();
        for line in [
            "token set sk-ant-oat01-abc",
            "token set --token=sk-ant-oat01-abc",
            "token set --minted-at 2026-11-21 oat01-abc",
            "token set -- oat01-abc",
            "token import abc",
            "token abc",
            "token sk-ant-oat01-abc",
            "run sk-ant-oat01-abc",
            "sk-ant-oat01-abc",
        ] {
            let failed = rejected(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(failed.status, ExitStatus::UsageError, "{line}");
            assert!(!format!("{:#}", failed.error).contains("abc"), "{line}");
        }
        for line in [
            "",
            "run",
            "token",
            "token --help",
            "token help set",
            "token set",
            "token set --minted-at 2026-11-21 --unverified",
            "token set --minted-at=2026-11-21",
            "token show --json",
            "enroll alice",
            "help token",
        ] {
            assert!(rejected(line).is_none(), "{line}");
        }
    }
}
