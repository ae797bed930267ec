//! Sanitizes a server's text for the log: one line, bounded, and without anything that may be a
//! secret, because a server or a proxy can repeat what was sent to it.

/// A part with letters and digits of at least this length may be a credential.
const MIN_MIXED_SECRET_LEN: usize = 12;

/// A part with letters only of at least this length may be a credential.
const MIN_SECRET_LEN: usize = 24;

/// Returns the text in one line of bounded length, without control characters.
pub(super) fn single_line(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Does the same as [`single_line`], with `…` instead of each part that may be a credential.
pub(super) fn redact_server_text(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_name_character) {
        let (before, from_here) = rest.split_at(start);
        let end = from_here.find(|letter| !is_name_character(letter)).unwrap_or(from_here.len());
        let (name, after) = from_here.split_at(end);
        left.push_str(before);
        left.push_str(if may_be_credential(name) { "…" } else { name });
        rest = after;
    }
    left.push_str(rest);
    single_line(&left)
}

fn is_name_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// Returns true for a name that is not made of words. Names of users, paths and policies are;
/// tokens are not.
fn may_be_credential(name: &str) -> bool {
    name.split(['-', '_']).any(|part| {
        let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        part.len() >= if is_mixed { MIN_MIXED_SECRET_LEN } else { MIN_SECRET_LEN }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_in_server_text_is_redacted() {
        for (text, shown) in [
            ("permission denied", "permission denied"),
            ("no handler for route \"secret2/data/x\"", "no handler for route \"secret2/data/x\""),
            (
                "policy workstation-claude-alice17 does not exist",
                "policy workstation-claude-alice17 does not exist",
            ),
            ("deleted 2026-11-21T08:03:50.123456Z", "deleted 2026-11-21T08:03:50.123456Z"),
            (
                "moved to https://vault-01.example.org:8200/v1/x",
                "moved to https://vault-01.example.org:8200/v1/x",
            ),
            ("bad token hvs.CAESIJ2Kx0t9WqZ", "bad token hvs.…"),
            ("bad token s.h1TLiMpJPxblJx0337vfNzdG!", "bad token s.…!"),
            ("\"accessToken\":\"sk-ant-oat01-Ab3_x-Ab3dEf6hIj9kLm2\"", "\"accessToken\":\"…\""),
            ("ABCDEFGHIJKLmnopqrstuvwx, or so", "…, or so"),
        ] {
            assert_eq!(redact_server_text(text), shown);
        }
    }

    #[test]
    fn server_text_becomes_one_short_line() {
        assert_eq!(single_line("a\n\tb\u{1b}[31m"), "a b [31m");
        assert!(single_line(&"ä".repeat(5000)).chars().count() <= 301);
    }
}
