//! Messages of cas-sync on the standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use cas_core::outcome::ExitStatus;

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
    drop(writeln!(io::stderr(), "{}", wrap::wrap_for(&io::stderr(), &format!("cas-sync: {text}"))));
}
