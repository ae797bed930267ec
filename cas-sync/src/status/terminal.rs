//! What is known of whoever reads: how wide they see, whether in colour, and which letters.

use std::io::{self, IsTerminal};

use cas_core::outcome::Status;

use crate::folding::{self, width};

/// How to write for whoever reads the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// How many columns there are; nothing where lines may be as long as they are.
    pub(crate) columns: Option<usize>,
    /// Whether colours are wanted.
    pub(crate) has_colour: bool,
    /// Whether more than ASCII can be shown.
    pub(crate) is_unicode: bool,
}

impl Terminal {
    /// Whoever reads the standard output of a process with this environment.
    pub(crate) fn of_the_standard_output(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let is_dumb = set("TERM").is_none_or(|terminal| terminal == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            columns: folding::columns(&out),
            has_colour: is_terminal && !is_dumb && set("NO_COLOR").is_none(),
            is_unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// The text in letters that can be shown.
    pub(crate) fn letters(self, text: &str) -> String {
        let shown = |letter: char| if self.is_unicode || letter.is_ascii() { letter } else { '?' };
        text.chars().map(shown).collect()
    }

    /// The text in at most so many columns; what is left out at its end is marked.
    pub(crate) fn cut(self, text: &str, columns: usize) -> String {
        let text = self.letters(text);
        if width(&text) <= columns {
            return text;
        }
        let mark = if self.is_unicode { "…" } else { "..." };
        let mut kept = text;
        while width(&kept) + mark.chars().count() > columns && kept.pop().is_some() {}
        kept.chars().chain(mark.chars()).take(columns.max(kept.chars().count())).collect()
    }

    /// The text in lines of at most so many columns.
    pub(crate) fn wrap(self, text: &str, columns: Option<usize>) -> Vec<String> {
        let text = self.letters(text);
        let Some(columns) = columns else { return vec![text] };
        folding::folded(&text, columns, "")
    }

    /// The text in the colour of a status.
    pub(crate) fn coloured(self, status: Status, text: &str) -> String {
        // Green, yellow and cyan cannot be read on white; of all colours red and magenta alone can on any background.
        let colour = match status {
            Status::Ok | Status::Recovered => "1",
            Status::Warn | Status::Skip => "1;35",
            Status::Fail => "1;31",
        };
        if self.has_colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { columns: Some(80), has_colour: false, is_unicode: false };
    const RICH: Terminal = Terminal { columns: Some(80), has_colour: true, is_unicode: true };

    #[test]
    fn what_does_not_fit_is_cut_and_marked() {
        for (terminal, columns, expected) in [
            (PLAIN, 8, "J?rg is "),
            (PLAIN, 7, "J?rg..."),
            (RICH, 7, "Jörg i…"),
            (RICH, 80, "Jörg is "),
            (PLAIN, 2, ".."),
        ] {
            assert_eq!(terminal.cut("Jörg is ", columns), expected);
        }
    }

    #[test]
    fn what_is_wider_than_a_letter_counts_as_wide() {
        assert_eq!(RICH.cut("\u{674e}\u{674e}\u{674e}", 6), "\u{674e}\u{674e}\u{674e}");
        assert_eq!(RICH.cut("\u{674e}\u{674e}\u{674e}", 5), "\u{674e}\u{674e}…");
        assert_eq!(RICH.cut("\u{674e}\u{674e}\u{674e}", 4), "\u{674e}…");
    }

    #[test]
    fn lines_fit_where_there_is_a_width() {
        assert_eq!(PLAIN.wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(PLAIN.wrap("one two three", None), ["one two three"]);
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        assert_eq!(PLAIN.coloured(Status::Fail, "FAIL"), "FAIL");
        assert_eq!(RICH.coloured(Status::Fail, "FAIL"), "\x1b[1;31mFAIL\x1b[0m");
    }
}
