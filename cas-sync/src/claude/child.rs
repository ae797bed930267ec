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

/// How often it is asked whether it has ended: a probe takes about half a second.
const LOOK_UP: Duration = Duration::from_millis(10);

/// How a run ended, and what it said.
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
    /// By a signal of somebody else's.
    Killed,
    /// It was given up: it took too long.
    TimedOut,
    /// It was given up: it said more than any answer is long.
    OutputTooLarge,
}

impl ChildOutput {
    pub(super) fn new(end: End, scratch: &Scratch) -> Self {
        Self { end, stdout: scratch.stdout(), stderr: scratch.stderr() }
    }
}

impl End {
    fn of(status: ExitStatus) -> Self {
        status.code().map_or(Self::Killed, Self::Exited)
    }
}

/// Starts it.
pub(super) fn spawn(command: &mut Command) -> Result<Child, RunClientError> {
    use io::ErrorKind::{ArgumentListTooLong, ExecutableFileBusy, OutOfMemory, ResourceBusy, WouldBlock};
    command.spawn().map_err(|error| match error.kind() {
        WouldBlock | OutOfMemory | ResourceBusy | ArgumentListTooLong => {
            RunClientError::Unknown("there was no room to start claude")
        }
        ExecutableFileBusy => RunClientError::Unknown("claude is being written just now, as by an update"),
        _ => RunClientError::Unusable(
            "claude could not be started; install it again, or correct claude.program",
        ),
    })
}

/// Waits for the end; `None` when it is still running at the deadline, or once `is_given_up` says so.
pub(super) fn wait(
    child: &mut Child,
    deadline: &Deadline,
    is_given_up: impl Fn() -> bool,
) -> Result<Option<End>, RunClientError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(End::of(status))),
            Ok(None) if deadline.is_expired() || is_given_up() => return Ok(None),
            Ok(None) => thread::sleep(LOOK_UP.min(deadline.remaining())),
            Err(_) => return Err(RunClientError::Unknown("claude could not be waited for")),
        }
    }
}

/// Kills it with all it has started. It has not been waited for, so the group is still its own.
pub(super) fn kill(mut child: Child) {
    if let Ok(leader) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
    drop(child.wait());
}

/// Why there was no run to judge. The texts are fixed: they name a state, and are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunClientError {
    /// Somebody has to mend it; the text says how.
    Unusable(&'static str),
    /// It may pass.
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
    fn what_is_missing_has_to_be_installed_and_what_is_being_written_will_be_there() {
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
