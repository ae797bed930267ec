//! Messages of cas-sync on the standard error.

use std::process::ExitCode;

use crate::term::wrap;

/// Says what went wrong, and what to do.
pub(crate) fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

/// Says what went wrong beside what was asked for.
pub(crate) fn complain(error: &anyhow::Error) {
    say_aside(&format!("{error:#}"));
}

/// A line of ours on the standard error.
pub(crate) fn say_aside(text: &str) {
    eprintln!("{}", wrap::fitted(&std::io::stderr(), &format!("cas-sync: {text}")));
}
