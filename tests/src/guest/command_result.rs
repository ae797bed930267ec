//! A command that has ended, and how.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::COMMAND_LIMIT;
use crate::slowdown;

/// The output of a command, its exit code, and its duration.
#[derive(Debug)]
pub struct CommandResult {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
    /// The duration, including its start.
    pub took: Duration,
}

impl CommandResult {
    /// Runs a command to its end, at most [`COMMAND_LIMIT`], with these bytes as its standard
    /// input.
    pub(super) fn run(mut command: Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        let mut pipe = child.stdin.take();
        let (end, is_over) = mpsc::channel();
        let (ended, code_at_limit) = thread::scope(|scope| {
            // A command need not read all of its input; the pipe ends either way.
            scope.spawn(move || pipe.as_mut().map(|pipe| pipe.write_all(input)));
            let limit = scope.spawn(move || end_at_limit(group, &is_over));
            let ended = child.wait_with_output();
            drop(end);
            (ended, limit.join().expect("the limit"))
        });
        let output = ended.unwrap_or_else(|error| panic!("waiting for {command:?}: {error}"));
        Self {
            code: code_at_limit.or(output.status.code()),
            stdout: output.stdout,
            stderr: output.stderr,
            took: started.elapsed(),
        }
    }

    /// Returns the result of a command that must end within this time on an idle machine; on a busy
    /// one the time is longer by [`slowdown`]. It is tried up to three times: another load rarely
    /// delays three runs, and a command that hangs does so every time.
    ///
    /// # Panics
    /// If three runs take longer, or one is ended by a signal, a panic or [`COMMAND_LIMIT`].
    #[track_caller]
    pub fn run_within(limit: Duration, doing: &str, attempt: impl Fn() -> Self) -> Self {
        Self::within_limit_attempts(limit, doing, attempt).0
    }

    /// As [`CommandResult::run_within`]. Also returns the number of attempts.
    #[track_caller]
    pub(super) fn within_limit_attempts(
        limit: Duration,
        doing: &str,
        attempt: impl Fn() -> Self,
    ) -> (Self, usize) {
        let mut late = Vec::new();
        while late.len() < 3 {
            let finished = attempt();
            let errors = String::from_utf8_lossy(&finished.stderr);
            assert!(finished.code.is_some_and(|code| code < 100), "{doing}: {:?} {errors}", finished.code);
            if finished.took < limit {
                return (finished, late.len() + 1);
            }
            let limit = limit.mul_f64(slowdown());
            if finished.took < limit {
                return (finished, late.len() + 1);
            }
            late.push((finished.took, limit));
        }
        panic!(
            "{doing}: not over within {limit:?}; times, and limits for a machine as busy as this: {late:?}"
        );
    }

    /// Returns true if the exit code is zero.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns the standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the result after a check that the exit code is zero.
    ///
    /// # Panics
    /// If it is not; the message contains all output.
    #[track_caller]
    pub fn expect_success(self, doing: &str) -> Self {
        assert!(
            self.succeeded(),
            "{doing}: exit code {:?} after {:?}\n--- output\n{}--- errors\n{}---",
            self.code,
            self.took,
            self.text(),
            String::from_utf8_lossy(&self.stderr),
        );
        self
    }
}

/// Ends a process group at [`COMMAND_LIMIT`], as timeout(1) does, unless it is over before. Returns
/// the exit code of a command that was ended.
fn end_at_limit(group: Pid, is_over: &Receiver<()>) -> Option<i32> {
    let reached = |limit| is_over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
    if !reached(COMMAND_LIMIT) {
        return None;
    }
    // Without an effect where the command has just ended.
    let _ = killpg(group, Signal::SIGTERM);
    if !reached(Duration::from_secs(5)) {
        return Some(124);
    }
    let _ = killpg(group, Signal::SIGKILL);
    Some(137)
}
