//! Errors of user commands, with their exit codes.

use std::fmt;
use std::process::ExitCode;

use cas_core::config::ConfigError;
use cas_core::fs::owned_file::FileError;
use cas_core::state::directory::StateError;
use cas_core::state::env_file::EnvFileContent;
use cas_core::store::StoreError;
use cas_core::system::privileges::DropPrivilegesError;

use crate::os::deferred_signals::SignalBlock;
use crate::term::stderr::exit_with_error;

/// An error and its exit code: 1 failed, 2 usage, 69 `claude` missing or unusable, 75 try later, 77
/// refused by the store, 78 configuration, 79 the user must sign in.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl CommandError {
    /// Creates an error with this code and a message that has the remedy.
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{message}") }
    }

    /// Prints the error and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        exit_with_error(&self.error, self.code)
    }

    /// Returns the error with an addition to its message.
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

impl From<DropPrivilegesError> for CommandError {
    fn from(error: DropPrivilegesError) -> Self {
        Self { code: 1, error: error.into() }
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

/// Returns the exit code of a store error.
pub(crate) fn store_exit_code(failure: &StoreError) -> u8 {
    match failure {
        StoreError::Refused { .. } | StoreError::Deleted { .. } => 77,
        StoreError::Misconfigured { .. } => 78,
        StoreError::Conflict | StoreError::Busy { .. } | StoreError::Unreachable { .. } => 75,
    }
}

/// Blocks the termination signals during a user command.
///
/// # Errors
/// [`CommandError`] if they cannot be blocked: the command must not begin.
pub(crate) fn block_termination() -> Result<SignalBlock, CommandError> {
    SignalBlock::new().map_err(|errno| CommandError::new(1, format!("cannot block signals: {errno}")))
}

/// Returns the content of the env file if it can be used or replaced.
///
/// # Errors
/// [`CommandError`] for a file that the user does not own; it is not changed.
pub(crate) fn reject_unreadable(content: EnvFileContent) -> Result<EnvFileContent, CommandError> {
    match content {
        EnvFileContent::Unreadable(why) => Err(CommandError::new(1, why)),
        content => Ok(content),
    }
}
