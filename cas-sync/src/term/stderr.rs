//! Messages of cas-sync on the standard error.

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
    eprintln!("{}", wrap::wrap_for(&std::io::stderr(), &format!("cas-sync: {text}")));
}
