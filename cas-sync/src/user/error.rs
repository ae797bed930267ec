//! Why a person's command ended without having done what it was asked for, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use cas_core::config::ConfigError;
use cas_core::fs::owned_file::FileError;
use cas_core::state::directory::StateError;
use cas_core::state::env_file::EnvFileContent;
use cas_core::store::StoreError;

use crate::os::deferred_signals::SignalBlock;
use crate::term::stderr::exit_with_error;

/// An error and its exit code: 1 failed, 2 usage, 69 `claude` missing or unusable, 75 try later, 77 refused by the store, 78
/// configuration, 79 a person must sign in.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl CommandError {
    /// With this code and these words, which say what to do.
    pub(crate) fn new(code: u8, words: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{words}") }
    }

    /// Says it.
    pub(crate) fn report(&self) -> ExitCode {
        exit_with_error(&self.error, self.code)
    }

    /// The same, with something to be known beside it.
    #[must_use]
    pub(crate) fn with_note(self, more: &str) -> Self {
        Self { code: self.code, error: anyhow::anyhow!("{:#}; {more}", self.error) }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self { code: 1, error }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self { code: 78, error: error.into() }
    }
}

impl From<FileError> for CommandError {
    fn from(problem: FileError) -> Self {
        Self { code: 1, error: problem.into() }
    }
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        Self { code: if matches!(error, StateError::Busy(_)) { 75 } else { 1 }, error: error.into() }
    }
}

impl From<StoreError> for CommandError {
    fn from(failure: StoreError) -> Self {
        Self::new(store_exit_code(&failure), format!("store {failure}"))
    }
}

/// The exit code of what failed because the store did.
pub(crate) fn store_exit_code(failure: &StoreError) -> u8 {
    match failure {
        StoreError::Refused { .. } | StoreError::Deleted { .. } => 77,
        StoreError::Misconfigured { .. } => 78,
        StoreError::Conflict | StoreError::Busy { .. } | StoreError::Unreachable { .. } => 75,
    }
}

/// Blocks the termination signals for a command of the user's.
///
/// # Errors
/// [`CommandError`] when they cannot be blocked: the command must not begin.
pub(crate) fn block_termination() -> Result<SignalBlock, CommandError> {
    SignalBlock::new().map_err(|errno| CommandError::new(1, format!("cannot block signals: {errno}")))
}

/// What lies in the env file, if it can be used or replaced.
///
/// # Errors
/// [`CommandError`] for a file that is not the person's own: it is neither used nor touched.
pub(crate) fn reject_unreadable(content: EnvFileContent) -> Result<EnvFileContent, CommandError> {
    match content {
        EnvFileContent::Unreadable(why) => Err(CommandError::new(1, why)),
        content => Ok(content),
    }
}
