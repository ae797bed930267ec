//! Words of other people, made harmless for whoever reads them on a terminal.

/// The text in one line, without anything that a terminal would obey or that changes the order of what is shown.
pub fn sanitize_line(text: &str) -> String {
    text.chars().map(|letter| if is_displayable(letter) { letter } else { '?' }).collect()
}

/// Whether a terminal shows it and does nothing else: it is neither a control character, nor one without a width of its own;
/// those turn, hide or join what stands beside them.
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

/// The blocks of marks that are put onto the letter before: hundreds of them on one cover the lines around it.
fn is_combining(letter: char) -> bool {
    matches!(
        letter,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// JSON with escapes in the place of the control characters that JSON itself lets through, and some terminals obey.
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
    fn what_a_terminal_would_act_on_is_replaced_and_letters_stay() {
        assert_eq!(sanitize_line("Jörg 李 \u{1b}[2J\n\u{202e}\u{301}x"), "Jörg 李 ?[2J???x");
        assert_eq!(escape_c1_in_json("\"\u{9b}2J\u{7f}ä\""), "\"\\u009b2J\\u007fä\"");
    }
}
