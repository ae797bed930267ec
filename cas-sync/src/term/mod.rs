//! The properties of the terminal: its width, colors and character set.

pub(crate) mod json;
pub(crate) mod secret_input;
pub(crate) mod stderr;
pub(crate) mod wrap;

use std::io::{self, IsTerminal, Write};

use cas_core::outcome::Status;
use cas_core::text::is_displayable;
use unicode_width::UnicodeWidthChar;

use crate::os::environment::env_var;
use crate::term::wrap::{width, wrap};

/// The properties of the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// The width in columns; `None` if lines are not wrapped.
    pub(crate) columns: Option<usize>,
    /// True if colors are used.
    pub(crate) has_color: bool,
    /// True if characters other than ASCII can be shown.
    pub(crate) is_unicode: bool,
}

/// Prints this text and a line break. A reader such as head(1) may close the pipe early, which is
/// no error.
pub(crate) fn print_line(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

impl Terminal {
    /// Returns the properties of the standard output of this process.
    pub(crate) fn for_stdout() -> Self {
        let out = io::stdout();
        Self { columns: wrap::terminal_width(&out), ..Self::detect(out.is_terminal(), env_var) }
    }

    /// Detects colors (a terminal that supports them, without NO_COLOR, see no-color.org) and the
    /// character set (that of the locale: the first of its variables that is not empty, see
    /// locale(7)).
    fn detect(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").is_none_or(|terminal| terminal == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        Self {
            columns: None,
            has_color: is_terminal && !is_dumb && set("NO_COLOR").is_none(),
            is_unicode: locale.to_ascii_lowercase().replace('-', "").contains("utf8"),
        }
    }

    /// Returns the text on one line, with `?` for characters that cannot be shown or control the
    /// terminal.
    pub(crate) fn sanitize(self, text: &str) -> String {
        let is_shown = |letter: char| is_displayable(letter) && (self.is_unicode || letter.is_ascii());
        text.chars().map(|letter| if is_shown(letter) { letter } else { '?' }).collect()
    }

    /// Returns the text in at most so many columns, with a mark if the end is cut off.
    pub(crate) fn truncate(self, text: &str, columns: usize) -> String {
        let text = self.sanitize(text);
        if width(&text) <= columns {
            return text;
        }
        let mark = if self.is_unicode { "…" } else { "..." };
        let mut left = columns.saturating_sub(width(mark));
        let fits = |letter: &char| {
            let rest = left.checked_sub(letter.width().unwrap_or_default());
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        text.chars().take_while(fits).chain(mark.chars().take(columns)).collect()
    }

    /// Returns the text in lines of at most so many columns.
    pub(crate) fn wrap(self, text: &str, columns: Option<usize>) -> Vec<String> {
        let text = self.sanitize(text);
        let Some(columns) = columns else { return vec![text] };
        wrap(&text, columns, "")
    }

    /// Returns the text in the color of a status.
    pub(crate) fn colorize(self, status: Status, text: &str) -> String {
        // Green, yellow and cyan are unreadable on white; only red and magenta are readable on any
        // background.
        let color = match status {
            Status::Ok | Status::Recovered => "1",
            Status::Warn | Status::Skip => "1;35",
            Status::Fail => "1;31",
        };
        if self.has_color { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { columns: Some(80), has_color: false, is_unicode: false };
    const RICH: Terminal = Terminal { columns: Some(80), has_color: true, is_unicode: true };

    #[test]
    fn long_text_is_truncated_with_mark() {
        for (terminal, columns, expected) in [
            (PLAIN, 8, "J?rg is "),
            (PLAIN, 7, "J?rg..."),
            (RICH, 7, "Jörg i…"),
            (RICH, 80, "Jörg is "),
            (PLAIN, 2, ".."),
        ] {
            assert_eq!(terminal.truncate("Jörg is ", columns), expected);
        }
        for (columns, expected) in [(6, "李小龍"), (5, "李小…"), (4, "李…"), (3, "李…"), (2, "…"), (0, "")]
        {
            assert_eq!(RICH.truncate("李小龍", columns), expected, "{columns}");
        }
    }

    #[test]
    fn text_is_wrapped_at_blanks() {
        assert_eq!(PLAIN.wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(PLAIN.wrap("one two three", None), ["one two three"]);
        assert_eq!(RICH.wrap("李 小 龍", Some(5)), ["李 小", "龍"]);
    }

    #[test]
    fn environment_selects_colors_and_charset() {
        for (is_terminal, environment, has_color, is_unicode) in [
            (true, &[("TERM", "xterm"), ("LANG", "C.UTF-8")][..], true, true),
            (false, &[("TERM", "xterm"), ("LC_CTYPE", "de_DE.utf8")], false, true),
            (true, &[("TERM", "xterm"), ("NO_COLOR", "1")], false, false),
            (true, &[("TERM", "xterm"), ("NO_COLOR", "")], true, false),
            (true, &[("TERM", "dumb"), ("LANG", "C.UTF-8"), ("LC_ALL", "C")], false, false),
            (true, &[("LC_ALL", ""), ("LANG", "en_US.UTF-8")], false, true),
        ] {
            let variable = |wanted: &str| {
                environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            };
            let expected = Terminal { columns: None, has_color, is_unicode };
            assert_eq!(Terminal::detect(is_terminal, variable), expected, "{environment:?}");
        }
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(RICH.sanitize("Jörg\u{1b}[2J\n\u{202e}"), "Jörg?[2J??");
        assert_eq!(PLAIN.sanitize("Jörg\u{7}"), "J?rg?");
    }

    #[test]
    fn status_has_color_only_if_enabled() {
        assert_eq!(PLAIN.colorize(Status::Fail, "FAIL"), "FAIL");
        assert_eq!(RICH.colorize(Status::Fail, "FAIL"), "\x1b[1;31mFAIL\x1b[0m");
    }
}
