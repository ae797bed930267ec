//! Texts in lines that fit whoever reads them. A line that a terminal breaks by itself is broken within a word; and a command that
//! is broken at all cannot be pasted.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use unicode_width::UnicodeWidthStr;

/// The narrowest that anything is fitted to, in columns.
pub(crate) const MIN_WIDTH: usize = 40;

/// Where a text goes on, below the line it began on.
const CONTINUATION_INDENT: &str = "  ";

/// The columns that a terminal gives to this text.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text with blanks after it, up to so many columns.
pub(crate) fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// How many columns the terminal behind `output` has; nothing where it is none, or does not say.
pub(crate) fn terminal_width(output: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let size = output.is_terminal().then(|| rustix::termios::tcgetwinsize(output).ok()).flatten();
    size.map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .map(|columns| columns.max(MIN_WIDTH))
}

/// The text as it is written to `output`: at a terminal, lines that do not fit go on below, a little further in.
pub(crate) fn wrap_for(output: &(impl AsFd + IsTerminal), text: &str) -> String {
    match terminal_width(output) {
        Some(columns) => text
            .split('\n')
            .map(|line| wrap(line, columns, CONTINUATION_INDENT).join("\n"))
            .collect::<Vec<_>>()
            .join("\n"),
        None => text.to_owned(),
    }
}

/// The text in lines of at most so many columns, of which all but the first begin with `indent`. They are broken at blanks, but not
/// between backquotes: there a command stands, which is pasted whole. What is wider than a line is one that is too wide.
pub(crate) fn wrap(text: &str, columns: usize, indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words(text) {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What stands between blanks. The blanks before the first word belong to it.
fn words(text: &str) -> Vec<&str> {
    let begins = text.len() - text.trim_start_matches(' ').len();
    let has_pairs = text.matches('`').count().is_multiple_of(2);
    let (mut words, mut start, mut is_command) = (Vec::new(), 0, false);
    for (place, letter) in text.char_indices().skip_while(|(place, _)| *place < begins) {
        match letter {
            '`' => is_command = has_pairs && !is_command,
            ' ' if !is_command => {
                words.extend(text.get(start..place));
                start = place + 1;
            }
            _ => (),
        }
    }
    words.extend(text.get(start..));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_never_within_a_command() {
        for (text, columns, expected) in [
            ("one two three", 7, &["one two", "  three"][..]),
            ("unbreakable words", 4, &["unbreakable", "  words"]),
            ("run `a b c`, then go", 10, &["run", "  `a b c`,", "  then go"]),
            ("half a `quotation goes on", 16, &["half a", "  `quotation", "  goes on"]),
            ("  in front", 5, &["  in", "  front"]),
            ("", 5, &[""]),
        ] {
            assert_eq!(wrap(text, columns, CONTINUATION_INDENT), expected);
        }
    }

    #[test]
    fn letters_take_the_columns_that_a_terminal_gives_them() {
        assert_eq!((width("Jos\u{e9}"), width("Jose\u{301}"), width("\u{674e}")), (4, 4, 2));
        assert_eq!(pad_right("\u{674e}", 4), "\u{674e}  ");
        assert_eq!(pad_right("Jose\u{301}", 5), "Jose\u{301} ");
        assert_eq!(wrap("\u{674e}\u{674e} \u{674e}", 5, ""), ["\u{674e}\u{674e}", "\u{674e}"]);
    }
}
