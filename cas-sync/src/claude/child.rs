//! A run of `claude` from its start to its end.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use cas_core::credential::verification::Verification;
use cas_protocol::deadline::Deadline;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::scratch::Scratch;

/// The poll interval: a probe takes about half a second.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The result and the output of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChildOutput {
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// Killed by a signal that cas-sync did not send.
    Killed,
    /// Stopped: its timeout expired.
    TimedOut,
    /// Stopped: its output is larger than any answer.
    OutputTooLarge,
}

impl ChildOutput {
    pub(super) fn new(end: End, scratch: &Scratch) -> Self {
        Self { end, stdout: scratch.stdout(), stderr: scratch.stderr() }
    }
}

impl End {
    fn from_status(status: ExitStatus) -> Self {
        status.code().map_or(Self::Killed, Self::Exited)
    }
}

/// Starts the client.
pub(super) fn spawn(command: &mut Command) -> Result<Child, RunClientError> {
    use io::ErrorKind::{ArgumentListTooLong, ExecutableFileBusy, OutOfMemory, ResourceBusy, WouldBlock};
    command.spawn().map_err(|error| match error.kind() {
        WouldBlock | OutOfMemory | ResourceBusy | ArgumentListTooLong => {
            RunClientError::Unknown("cannot start claude: out of resources")
        }
        ExecutableFileBusy => {
            RunClientError::Unknown("cannot start claude: its file is being written, such as by an update")
        }
        _ => RunClientError::Unusable("cannot start claude; install it again, or correct claude.program"),
    })
}

/// Waits for the end. Returns `None` at the deadline or once `is_given_up` returns true.
pub(super) fn wait(
    child: &mut Child,
    deadline: &Deadline,
    is_given_up: impl Fn() -> bool,
) -> Result<Option<End>, RunClientError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(End::from_status(status))),
            Ok(None) if deadline.is_expired() || is_given_up() => return Ok(None),
            Ok(None) => thread::sleep(POLL_INTERVAL.min(deadline.remaining())),
            Err(_) => return Err(RunClientError::Unknown("claude could not be waited for")),
        }
    }
}

/// Kills the child and its process group. The child has not been waited for, so the group id is
/// still its own.
pub(super) fn kill(mut child: Child) {
    if let Ok(leader) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
    drop(child.wait());
}

/// The reason why a run has no result. The texts are constants, because they are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunClientError {
    /// It needs an action, which the text names.
    Unusable(&'static str),
    /// It may be temporary.
    Unknown(&'static str),
}

impl From<RunClientError> for Verification {
    fn from(problem: RunClientError) -> Self {
        match problem {
            RunClientError::Unusable(why) => Self::ClientUnusable(why.to_owned()),
            RunClientError::Unknown(why) => Self::Inconclusive(why.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn missing_client_is_unusable_busy_one_is_inconclusive() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let program = scratch.path().join("claude");
        let started = || spawn(&mut Command::new(&program)).map(drop);
        assert!(
            matches!(started(), Err(RunClientError::Unusable(text)) if text.contains("install it again"))
        );
        fs::copy("/bin/true", &program).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let writer = File::options().append(true).open(&program).expect("a writer");
        assert!(matches!(started(), Err(RunClientError::Unknown(text)) if text.contains("being written")));
        drop(writer);
        assert_eq!(started(), Ok(()));
    }
}
