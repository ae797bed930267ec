//! Commands that may never answer, and are not waited for then.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};

use cas_protocol::deadline::Deadline;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The longest answer that is listened to, in bytes.
const LONGEST: usize = 4 << 20;

/// What a command has said.
pub(crate) struct Output {
    /// All of its standard output.
    pub(crate) stdout: Vec<u8>,
    /// Whether it ended with success.
    pub(crate) success: bool,
}

/// What this command says until it closes its standard output; its standard input is empty. Late, it is killed.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when it says nothing more for too long; that it could not be started, or said too much.
pub(crate) fn run_bounded(command: &mut Command, deadline: &Deadline) -> io::Result<Output> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let said = match process.stdout.take() {
        Some(from) => listen(from, deadline),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let ended_well = end(&mut process);
    Ok(Output { stdout: said?, success: ended_well })
}

fn listen(mut from: ChildStdout, deadline: &Deadline) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
        if deadline.is_expired() || poll(&mut ready, left)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut piece = [0; 8192];
        let count = from.read(&mut piece)?;
        said.extend_from_slice(piece.get(..count).unwrap_or_default());
        if said.len() > LONGEST {
            return Err(io::Error::other("it says too much"));
        }
        if count == 0 {
            return Ok(said);
        }
    }
}

/// One that has said all is about to end; one that hangs is not waited for.
fn end(process: &mut Child) -> bool {
    for _ in 0..200 {
        if let Ok(Some(status)) = process.try_wait() {
            return status.success();
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _gone = process.kill();
    let _reaped = process.try_wait();
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(script: &str, patience: Duration) -> io::Result<Output> {
        run_bounded(Command::new("sh").args(["-c", script]), &Deadline::after(patience))
    }

    #[test]
    fn what_answers_is_heard_and_what_does_not_is_left() {
        let long = Duration::from_secs(60);
        let heard = told("echo yes; exit 3", long).expect("an answer");
        assert_eq!((heard.stdout.as_slice(), heard.success), (&b"yes\n"[..], false));
        assert!(told("true", long).expect("an answer").success);
        // It would wait for ever.
        let late = told("echo yes; exec tail -f /dev/null", Duration::from_millis(50)).err();
        assert_eq!(late.map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
        assert_eq!(told("cat /dev/zero", long).err().map(|error| error.kind()), Some(io::ErrorKind::Other));
    }
}
