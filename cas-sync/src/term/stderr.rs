//! Messages of cas-sync on the standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::term::wrap;

/// Says what went wrong, and what to do.
pub(crate) fn exit_with_error(error: &anyhow::Error, code: u8) -> ExitCode {
    print_error(error);
    ExitCode::from(code)
}

/// Says what went wrong beside what was asked for.
pub(crate) fn print_error(error: &anyhow::Error) {
    print_stderr(&format!("{error:#}"));
}

/// A line of ours on the standard error.
pub(crate) fn print_stderr(text: &str) {
    // Nothing can be done about a terminal that is gone, or a log on a full disk.
    drop(writeln!(io::stderr(), "{}", wrap::wrap_for(&io::stderr(), &format!("cas-sync: {text}"))));
}
