//! Sanitizes texts that users can write.

use cas_core::outcome::Status;
use cas_core::text::is_displayable;

/// Parses a status; returns `None` for another word.
pub(super) fn status(word: &str) -> Option<Status> {
    [Status::Ok, Status::Recovered, Status::Warn, Status::Fail, Status::Skip]
        .into_iter()
        .find(|status| status.to_string() == word)
}

/// Returns the text as one line of at most `max` characters, with `?` for each character that
/// controls a terminal or changes the order of the others.
pub(super) fn plain(text: &str, max: usize) -> String {
    text.chars().take(max).map(|letter| if is_displayable(letter) { letter } else { '?' }).collect()
}
