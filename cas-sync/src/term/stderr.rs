//! Messages of cas-sync on the standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use cas_core::outcome::ExitStatus;
use cas_core::text::sanitize_line;

use crate::term::wrap;

/// Prints an error and returns the exit code.
pub(crate) fn exit_with_error(error: &anyhow::Error, status: ExitStatus) -> ExitCode {
    print_error(error);
    status.into()
}

/// Prints an error.
pub(crate) fn print_error(error: &anyhow::Error) {
    print_stderr(&format!("{error:#}"));
}

/// Prints a line with the prefix `cas-sync: ` on the standard error.
pub(crate) fn print_stderr(text: &str) {
    // A closed terminal or a full disk has no remedy here.
    drop(writeln!(io::stderr(), "{}", wrap::wrap_for(&io::stderr(), &stderr_line(text))));
}

/// Returns the line for this text. A message can quote a path or a value that another program or a
/// server chose, so what would steer the terminal or begin another line is replaced.
fn stderr_line(text: &str) -> String {
    format!("cas-sync: {}", sanitize_line(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_one_line_without_control_characters() {
        let error = anyhow::anyhow!("/srv/\u{1b}[2Jx\ncas-sync: OK\r\u{9b}1m\u{202e}")
            .context("cannot read Jörg's file");
        assert_eq!(
            stderr_line(&format!("{error:#}")),
            "cas-sync: cannot read Jörg's file: /srv/?[2Jx?cas-sync: OK??1m?"
        );
    }
}
