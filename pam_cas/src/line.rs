//! Formats the one log line of a login: bounded, and without characters that a terminal or a log
//! reader interprets (names and paths are untrusted, CVE-2023-28486).

use std::fmt::{self, Display, Write};

/// Messages of one login, joined by `; ` into one line of at most [`LogLine::MAX_LEN`] bytes of
/// printable ASCII.
#[derive(Default)]
pub(crate) struct LogLine(String);

impl LogLine {
    /// The longest line in bytes.
    pub(crate) const MAX_LEN: usize = 480;

    /// Marks a truncated line.
    const TRUNCATION_MARK: &str = "...";

    /// Creates a line with one message.
    pub(crate) fn new(message: impl Display) -> Self {
        let mut line = Self::default();
        line.add(&message);
        line
    }

    /// Adds a message, and truncates what does not fit.
    pub(crate) fn add(&mut self, message: &dyn Display) {
        let separator = if self.is_empty() { "" } else { "; " };
        // Writing fails only when the line is full; the rest is dropped.
        let _ = write!(Escaped(&mut self.0), "{separator}{message}");
    }

    /// Returns true if there is no message.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the line for the log.
    pub(crate) fn render(mut self) -> String {
        if self.0.len() > Self::MAX_LEN {
            // The text is ASCII, so every index is a character boundary.
            self.0.truncate(Self::MAX_LEN.saturating_sub(Self::TRUNCATION_MARK.len()));
            self.0.push_str(Self::TRUNCATION_MARK);
        }
        self.0
    }
}

/// Writes bytes outside printable ASCII, the backslash and `%` as `\xNN`, and stops when the line
/// is full.
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
    fn log_line_escapes_unprintable_bytes() {
        let line = LogLine::new("a\nb\x1b[2J 100% \\ \u{9b}é\x7f");
        assert_eq!(line.render(), r"a\x0ab\x1b[2J 100\x25 \x5c \xc2\x9b\xc3\xa9\x7f");
    }

    #[test]
    fn log_line_is_truncated_at_its_limit() {
        let mut line = LogLine::default();
        for _ in 0..1000 {
            line.add(&"\n".repeat(300));
        }
        let text = line.render();
        assert_eq!(text.len(), LogLine::MAX_LEN);
        assert!(text.ends_with("..."));
    }

    #[test]
    fn log_line_joins_several_messages() {
        let mut line = LogLine::new("one");
        line.add(&"two");
        assert_eq!(line.render(), "one; two");
    }
}
