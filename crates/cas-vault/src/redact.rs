//! Words of others in our log: on one line, of bounded length, and without anything that could be a secret, since a server
//! or a proxy may repeat what it was sent.

/// So many letters and digits in a row, of both kinds, are no word.
const NO_WORD: usize = 12;

/// So many letters in a row are none either.
const NO_LONG_WORD: usize = 24;

/// Text of somebody else's, fit for one line of a log.
pub(super) fn single_line(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// As [`printable`], with `…` in the place of whatever looks like a credential.
pub(super) fn redact_server_text(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part_of_a_name) {
        let (before, from_here) = rest.split_at(start);
        let end = from_here.find(|letter| !is_part_of_a_name(letter)).unwrap_or(from_here.len());
        let (name, after) = from_here.split_at(end);
        left.push_str(before);
        left.push_str(if looks_like_a_credential(name) { "…" } else { name });
        rest = after;
    }
    left.push_str(rest);
    single_line(&left)
}

fn is_part_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// Names of people, paths and policies are made of words; tokens are not.
fn looks_like_a_credential(name: &str) -> bool {
    name.split(['-', '_']).any(|part| {
        let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        part.len() >= if is_mixed { NO_WORD } else { NO_LONG_WORD }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_left_out_of_a_servers_words() {
        for (said, shown) in [
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
            assert_eq!(redact_server_text(said), shown);
        }
    }

    #[test]
    fn words_of_others_stay_on_one_line_and_short() {
        assert_eq!(single_line("a\n\tb\u{1b}[31m"), "a b [31m");
        assert!(single_line(&"ä".repeat(5000)).chars().count() <= 301);
    }
}
