//! Runs commands with a time limit.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use cas_protocol::deadline::Deadline;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The maximum output, in bytes: more than any systemctl or child prints.
const MAX_OUTPUT: usize = 4 << 20;

/// The output of a command.
pub(crate) struct Output {
    /// The whole standard output.
    pub(crate) stdout: Vec<u8>,
    /// True if the command succeeded.
    pub(crate) success: bool,
}

/// Runs the command with an empty standard input, and returns what it writes to its standard output
/// until it closes it. Kills the command at the deadline.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] at the deadline; an error if it cannot be started or writes too
/// much.
pub(crate) fn run_bounded(command: &mut Command, deadline: &Deadline) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn()?;
    let stdout = match process.stdout.take() {
        Some(from) => read_output(from, deadline),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let success = reap(&mut process);
    Ok(Output { stdout: stdout?, success })
}

fn read_output(mut from: ChildStdout, deadline: &Deadline) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    loop {
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
        if deadline.is_expired() || poll(&mut ready, left)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut piece = [0; 8192];
        let count = from.read(&mut piece)?;
        output.extend_from_slice(piece.get(..count).unwrap_or_default());
        if output.len() > MAX_OUTPUT {
            return Err(io::Error::other("its output is too large"));
        }
        if count == 0 {
            return Ok(output);
        }
    }
}

/// Waits briefly for the end of a process that has closed its output, then kills it and waits
/// briefly again: a process that is not waited for counts for the task limit of a unit.
fn reap(process: &mut Child) -> bool {
    let status = wait_briefly(process).or_else(|| {
        let _ = process.kill();
        wait_briefly(process)
    });
    status.is_some_and(|status| status.success())
}

fn wait_briefly(process: &mut Child) -> Option<ExitStatus> {
    for _ in 0..200 {
        if let Ok(Some(status)) = process.try_wait() {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(script: &str, timeout: Duration) -> io::Result<Output> {
        run_bounded(Command::new("sh").args(["-c", script]), &Deadline::after(timeout))
    }

    #[test]
    fn command_output_is_bounded_in_time_and_size() {
        let long = Duration::from_secs(60);
        let output = run("echo yes; exit 3", long).expect("an output");
        assert_eq!((output.stdout.as_slice(), output.success), (&b"yes\n"[..], false));
        assert!(run("true", long).expect("an output").success);
        // It never ends.
        let late = run("echo yes; exec tail -f /dev/null", Duration::from_millis(50)).err();
        assert_eq!(late.map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
        assert_eq!(run("cat /dev/zero", long).err().map(|error| error.kind()), Some(io::ErrorKind::Other));
    }
}
