//! Sanitizes text from other programs and users for a terminal.

/// Returns the text in one line, with `?` in place of each character that is not
/// [displayable](is_displayable).
pub fn sanitize_line(text: &str) -> String {
    sanitize_line_bounded(text, usize::MAX)
}

/// Does the same as [`sanitize_line`] for the first `max` characters, and omits the others.
pub fn sanitize_line_bounded(text: &str, max: usize) -> String {
    text.chars().take(max).map(|letter| if is_displayable(letter) { letter } else { '?' }).collect()
}

/// Returns true if a terminal displays the character without side effects. Control characters are
/// excluded, and characters without a width of their own, because they reorder, hide or join their
/// neighbors.
pub fn is_displayable(letter: char) -> bool {
    let is_invisible = matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !letter.is_control() && !is_invisible && !is_combining(letter)
}

/// Returns true for the blocks of combining marks. Hundreds of them on one letter would cover the
/// lines around it.
fn is_combining(letter: char) -> bool {
    matches!(
        letter,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// Escapes the control characters that JSON permits and some terminals interpret (DEL and C1).
pub fn escape_c1_in_json(json: &str) -> String {
    let escaped = |letter: char| match letter {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.into(),
    };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_letters_are_kept() {
        assert_eq!(sanitize_line("Jörg 李 \u{1b}[2J\n\u{202e}\u{301}x"), "Jörg 李 ?[2J???x");
        assert_eq!(sanitize_line_bounded("Jörg\n李", 5), "Jörg?");
        assert_eq!(escape_c1_in_json("\"\u{9b}2J\u{7f}ä\""), "\"\\u009b2J\\u007fä\"");
    }
}
