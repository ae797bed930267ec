//! Why a person's command ended without having done what it was asked for, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use cas_core::config::ConfigError;
use cas_core::fs::owned_file::Problem;
use cas_core::state::directory::StateError;
use cas_core::state::env_file::Content;
use cas_core::store::Failure;

use crate::term::stderr::fail;

/// An error and its exit code: 1 failed, 2 usage, 69 `claude` missing or unusable, 75 try later, 77 refused by the store, 78
/// configuration, 79 a person must sign in.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl Failed {
    /// With this code and these words, which say what to do.
    pub(crate) fn new(code: u8, words: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{words}") }
    }

    /// Says it.
    pub(crate) fn tell(&self) -> ExitCode {
        fail(&self.error, self.code)
    }

    /// The same, with something to be known beside it.
    #[must_use]
    pub(crate) fn and(self, more: &str) -> Self {
        Self { code: self.code, error: anyhow::anyhow!("{:#}; {more}", self.error) }
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self { code: 1, error }
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self { code: 78, error: error.into() }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { code: 1, error: problem.into() }
    }
}

impl From<StateError> for Failed {
    fn from(error: StateError) -> Self {
        Self { code: if matches!(error, StateError::Busy(_)) { 75 } else { 1 }, error: error.into() }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::new(code_of_the_store(&failure), format!("store {failure}"))
    }
}

/// The exit code of what failed because the store did.
pub(crate) fn code_of_the_store(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused { .. } | Failure::Gone { .. } => 77,
        Failure::Misconfigured { .. } => 78,
        Failure::Conflict | Failure::Busy { .. } | Failure::Unreachable { .. } => 75,
    }
}

/// What lies in the env file, if it can be used or replaced.
///
/// # Errors
/// [`Failed`] for a file that is not the person's own: it is neither used nor touched.
pub(crate) fn readable(content: Content) -> Result<Content, Failed> {
    match content {
        Content::Unreadable(why) => Err(Failed::new(1, why)),
        content => Ok(content),
    }
}
