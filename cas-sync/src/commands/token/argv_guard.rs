//! A token that somebody has put on the command line.

use std::ffi::OsString;

use crate::user::error::CommandError;

/// How every credential of the vendor's begins.
const CREDENTIAL: &str = "sk-ant-";

/// Refuses a command line with a credential in it, whatever else it says, and never repeats it: what is on a command line can
/// be seen by everybody here, and stays in the history of the shell. Where a setup-token could be meant, every word that is no
/// option counts as one.
///
/// # Errors
/// [`CommandError`], of usage.
pub(crate) fn reject_token_in_argv(arguments: impl Iterator<Item = OsString>) -> Result<(), CommandError> {
    let arguments: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let is_one = match words.as_slice() {
        ["token", "set" | "import", after @ ..] => has_a_stray_word(after),
        ["token", other, ..] => !is_known(other),
        _ => false,
    };
    match is_one || words.iter().any(|word| word.contains(CREDENTIAL)) {
        false => Ok(()),
        true => Err(CommandError::new(2, TOKEN_IN_ARGV)),
    }
}

const TOKEN_IN_ARGV: &str = "a setup-token is never an argument, and nothing was changed; if that was one, others could see it: take it out of \
     the history of your shell, make another one, and give it to `cas-sync token set` at the terminal or on the standard input \
     (`cas-sync help token`)";

fn is_known(word: &str) -> bool {
    word.starts_with('-') || ["set", "show", "clear", "import", "help"].contains(&word)
}

/// A word that neither is an option nor belongs to one.
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
    fn what_could_be_a_token_is_refused_and_not_repeated() {
        let refused = |line: &str| reject_token_in_argv(line.split_whitespace().map(OsString::from)).err();
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
            let failed = refused(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(failed.code, 2, "{line}");
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
            assert!(refused(line).is_none(), "{line}");
        }
    }
}
