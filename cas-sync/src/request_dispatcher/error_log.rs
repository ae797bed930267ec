//! Prints an error of a check that runs up to 50 times a second once, not at each check.

use crate::term::stderr::print_error;

/// The last error of one check.
#[derive(Debug, Default)]
pub(super) struct ErrorLog(Option<String>);

impl ErrorLog {
    /// Prints the error if it differs from that of the previous check.
    pub(super) fn print_change(&mut self, error: Option<anyhow::Error>) {
        if let Some(error) = self.record(error) {
            print_error(&error);
        }
    }

    /// Records the result of a check. Returns the error if the previous check had another result.
    fn record(&mut self, error: Option<anyhow::Error>) -> Option<anyhow::Error> {
        let text = error.as_ref().map(|error| format!("{error:#}"));
        let is_change = text != self.0;
        self.0 = text;
        error.filter(|_| is_change)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn repeated_error_is_printed_once() {
        let mut log = ErrorLog::default();
        let mut is_printed = |text: Option<&'static str>| {
            log.record(text.map(|text| anyhow!(text).context("cannot write"))).is_some()
        };
        assert!(is_printed(Some("full")) && !is_printed(Some("full")));
        assert!(is_printed(Some("denied")), "another error");
        assert!(!is_printed(None) && is_printed(Some("denied")), "it had succeeded meanwhile");
    }
}
