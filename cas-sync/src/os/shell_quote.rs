//! Words of a command line that a person pastes into a shell.

/// The word as any shell of the Bourne family and fish reads it back; nothing for a word with a control character, which no
/// terminal shows as it is.
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

/// fish knows two escapes between single quotes, the Bourne family none: so both letters stand outside of them.
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
    fn a_shell_reads_back_what_was_quoted() {
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
            let said = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&said.stdout), word, "{script}");
        }
        assert_eq!(shell_quote("/home/alice/.claude").as_deref(), Some("/home/alice/.claude"));
        assert_eq!(shell_quote("a\nb"), None);
        assert_eq!(shell_quote("\u{1b}[31m"), None);
    }
}
