//! Words of other people, made harmless.

use cas_core::outcome::Status;

/// The status of this word.
pub(super) fn status(word: &str) -> Option<Status> {
    [Status::Ok, Status::Recovered, Status::Warn, Status::Fail, Status::Skip]
        .into_iter()
        .find(|status| status.to_string() == word)
}

/// The text in one line of at most `longest` characters, without anything that a terminal would obey or that changes the
/// order of what is shown.
pub(super) fn plain(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|letter| if is_plain(letter) { letter } else { '?' }).collect()
}

/// Neither a control character, nor one without a width of its own: those turn, hide or join what stands beside them.
fn is_plain(letter: char) -> bool {
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
