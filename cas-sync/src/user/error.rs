//! Errors of user commands, with their exit codes.

use std::fmt;
use std::process::ExitCode;

use cas_core::claude_files::credentials_file::WriteError;
use cas_core::config::ConfigError;
use cas_core::fs::owned_file::FileError;
use cas_core::outcome::ExitStatus;
use cas_core::state::directory::StateError;
use cas_core::state::env_file::EnvFileContent;
use cas_core::state::restore_lock::RestoreError;
use cas_core::store::StoreError;
use cas_core::system::privileges::DropPrivilegesError;

use crate::os::deferred_signals::SignalBlock;
use crate::term::stderr::exit_with_error;

/// An error and its exit status.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) status: ExitStatus,
    pub(crate) error: anyhow::Error,
}

impl CommandError {
    /// Creates an error with this status and a message that has the remedy.
    pub(crate) fn new(status: ExitStatus, message: impl fmt::Display) -> Self {
        Self { status, error: anyhow::anyhow!("{message}") }
    }

    /// Prints the error and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        exit_with_error(&self.error, self.status)
    }

    /// Returns the error with an addition to its message.
    #[must_use]
    pub(crate) fn with_note(self, more: &str) -> Self {
        Self { status: self.status, error: anyhow::anyhow!("{:#}; {more}", self.error) }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self { status: ExitStatus::Failure, error }
    }
}

impl From<DropPrivilegesError> for CommandError {
    fn from(error: DropPrivilegesError) -> Self {
        Self { status: ExitStatus::Failure, error: error.into() }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self { status: ExitStatus::Misconfigured, error: error.into() }
    }
}

impl From<FileError> for CommandError {
    fn from(problem: FileError) -> Self {
        Self { status: ExitStatus::Failure, error: problem.into() }
    }
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        let is_busy = matches!(error, StateError::Busy(_));
        let status = if is_busy { ExitStatus::TryLater } else { ExitStatus::Failure };
        Self { status, error: error.into() }
    }
}

impl From<StoreError> for CommandError {
    fn from(failure: StoreError) -> Self {
        Self::new((&failure).into(), format!("store {failure}"))
    }
}

/// Blocks the termination signals during a user command.
///
/// # Errors
/// [`CommandError`] if they cannot be blocked: the command must not begin.
pub(crate) fn block_termination() -> Result<SignalBlock, CommandError> {
    SignalBlock::new()
        .map_err(|errno| CommandError::new(ExitStatus::Failure, format!("cannot block signals: {errno}")))
}

/// Returns the exit status if a write under the lock of restores failed: another process may be
/// busy for a moment, unless the file itself cannot be written.
pub(crate) fn restore_exit_status(error: &RestoreError) -> ExitStatus {
    match error {
        RestoreError::Write(WriteError::File(_)) => ExitStatus::Failure,
        _ => ExitStatus::TryLater,
    }
}

/// Returns the content of the env file if it can be used or replaced.
///
/// # Errors
/// [`CommandError`] for a file that the user does not own; it is not changed.
pub(crate) fn reject_unreadable(content: EnvFileContent) -> Result<EnvFileContent, CommandError> {
    match content {
        EnvFileContent::Unreadable(why) => Err(CommandError::new(ExitStatus::Failure, why)),
        content => Ok(content),
    }
}
