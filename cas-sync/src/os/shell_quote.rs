//! Quotes words for commands that a user pastes into a shell.

/// Returns the word quoted for Bourne-like shells and fish. Returns `None` for a word with a
/// control character, because a terminal does not show it.
pub(crate) fn shell_quote(word: &str) -> Option<String> {
    if word.contains(char::is_control) {
        return None;
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:,@%=".contains(letter);
    Some(match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.chars().map(inside_quotes).collect::<String>()),
    })
}

/// fish has two escapes within single quotes, Bourne shells none: so both characters are outside of
/// the quotes.
fn inside_quotes(letter: char) -> String {
    match letter {
        '\'' => r"'\''".into(),
        '\\' => r"'\\'".into(),
        letter => letter.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn quoted_word_is_read_back_by_shell() {
        for word in [
            "/home/a b/.claude",
            "it's",
            "$HOME;`id`",
            "",
            "a\\b",
            r"a\';id;'",
            r"\\",
            "~",
            "plain/._-+:,@%=",
        ] {
            let script = format!("printf %s {}", shell_quote(word).expect("printable"));
            let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{script}");
        }
        assert_eq!(shell_quote("/home/alice/.claude").as_deref(), Some("/home/alice/.claude"));
        assert_eq!(shell_quote("a\nb"), None);
        assert_eq!(shell_quote("\u{1b}[31m"), None);
    }
}
