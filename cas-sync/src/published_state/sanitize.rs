//! Words of other people, made harmless.

use cas_core::outcome::Status;
use cas_core::text::is_displayable;

/// The status of this word.
pub(super) fn status(word: &str) -> Option<Status> {
    [Status::Ok, Status::Recovered, Status::Warn, Status::Fail, Status::Skip]
        .into_iter()
        .find(|status| status.to_string() == word)
}

/// The text in one line of at most `longest` characters, without anything that a terminal would obey or that changes the
/// order of what is shown.
pub(super) fn plain(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|letter| if is_displayable(letter) { letter } else { '?' }).collect()
}
