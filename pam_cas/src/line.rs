//! The one line a login may leave in the log: bounded, and free of anything a terminal or a log reader could act on
//! (names and paths come from people, CVE-2023-28486).

use std::fmt::{self, Display, Write};

/// Notes of one login, joined by `; ` into one line of at most [`LogLine::MAX_LEN`] bytes of printable ASCII.
#[derive(Default)]
pub(crate) struct LogLine(String);

impl LogLine {
    /// The longest line in bytes.
    pub(crate) const MAX_LEN: usize = 480;

    /// Closes a line that had to be cut.
    const CUT: &str = "...";

    /// A line with one note.
    pub(crate) fn of(note: impl Display) -> Self {
        let mut line = Self::default();
        line.add(&note);
        line
    }

    /// Adds a note; what no longer fits is cut off.
    pub(crate) fn add(&mut self, note: &dyn Display) {
        let separator = if self.is_empty() { "" } else { "; " };
        // Writing to a bounded string fails exactly when it is full: then the rest is not wanted.
        let _ = write!(Escaped(&mut self.0), "{separator}{note}");
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line as it goes to the log.
    pub(crate) fn render(mut self) -> String {
        if self.0.len() > Self::MAX_LEN {
            // Everything written is ASCII, so every place is a character boundary.
            self.0.truncate(Self::MAX_LEN.saturating_sub(Self::CUT.len()));
            self.0.push_str(Self::CUT);
        }
        self.0
    }
}

/// Writes bytes outside printable ASCII, the backslash and `%` as `\xNN`, and stops a little after the line is full.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.0.len() > LogLine::MAX_LEN {
                return Err(fmt::Error);
            }
            match byte {
                b'%' | b'\\' => write!(self.0, "\\x{byte:02x}")?,
                b' '..=b'~' => self.0.push(char::from(byte)),
                _ => write!(self.0, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_printable_text_reaches_the_log() {
        let line = LogLine::of("a\nb\x1b[2J 100% \\ \u{9b}é\x7f");
        assert_eq!(line.render(), r"a\x0ab\x1b[2J 100\x25 \x5c \xc2\x9b\xc3\xa9\x7f");
    }

    #[test]
    fn a_line_never_exceeds_its_bound() {
        let mut line = LogLine::default();
        for _ in 0..1000 {
            line.add(&"\n".repeat(300));
        }
        let text = line.render();
        assert_eq!(text.len(), LogLine::MAX_LEN);
        assert!(text.ends_with("..."));
    }

    #[test]
    fn several_notes_make_one_line() {
        let mut line = LogLine::of("one");
        line.add(&"two");
        assert_eq!(line.render(), "one; two");
    }
}
