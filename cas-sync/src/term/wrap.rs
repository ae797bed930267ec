//! Wraps text to the width of the terminal. A terminal itself would break lines within words, and a
//! broken command cannot be pasted.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use unicode_width::UnicodeWidthStr;

/// The minimum width, in columns.
pub(crate) const MIN_WIDTH: usize = 40;

/// The indent of continuation lines.
const CONTINUATION_INDENT: &str = "  ";

/// Returns the width of this text on a terminal, in columns.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Pads the text with blanks to so many columns.
pub(crate) fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Returns the width of the terminal `output`; `None` if it is not a terminal or does not report
/// it.
pub(crate) fn terminal_width(output: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let size = output.is_terminal().then(|| rustix::termios::tcgetwinsize(output).ok()).flatten();
    size.map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .map(|columns| columns.max(MIN_WIDTH))
}

/// Returns the text for `output`: at a terminal, long lines are wrapped with an indent.
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

/// Wraps the text to so many columns; all lines but the first begin with `indent`. Lines are broken
/// at blanks, but not within backquotes, which contain a command to paste. A longer word gets a
/// line that is too long.
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

/// Splits the text at blanks. Leading blanks belong to the first word.
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
    fn text_is_wrapped_but_not_within_commands() {
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
    fn width_counts_terminal_columns() {
        assert_eq!((width("Jos\u{e9}"), width("Jose\u{301}"), width("\u{674e}")), (4, 4, 2));
        assert_eq!(pad_right("\u{674e}", 4), "\u{674e}  ");
        assert_eq!(pad_right("Jose\u{301}", 5), "Jose\u{301} ");
        assert_eq!(wrap("\u{674e}\u{674e} \u{674e}", 5, ""), ["\u{674e}\u{674e}", "\u{674e}"]);
    }
}
