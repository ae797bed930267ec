//! A probe verifies a token with a temporary home; the token is passed on a file descriptor. A
//! probe never refreshes, so it can be killed.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::pipe2;

use super::child::{self, ChildOutput, End, RunClientError};
use super::invocation::Invocation;
use super::scratch::Scratch;
use crate::precedence::managed_settings::{self, RemoteSettings};

/// Longer than the client's own limits (a silent server 31 s, an untrusted certificate 18 s).
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// The result of a probe.
pub(super) struct Probed {
    pub(super) ended: ChildOutput,
    /// The remote settings that the client received and stored.
    pub(super) served: Option<RemoteSettings>,
}

/// Asks the question with this token; kills the client after `timeout`, or once `is_given_up`
/// returns true.
pub(super) fn run(
    invocation: &Invocation,
    token: &Secret<String>,
    timeout: Duration,
    is_given_up: &dyn Fn() -> bool,
) -> Result<Probed, RunClientError> {
    let no_room = |_| RunClientError::Unknown("there is no space in /tmp to run claude");
    let scratch = Scratch::new().map_err(no_room)?;
    let mut command = invocation.question(&scratch, scratch.path()).map_err(no_room)?;
    let config_directory = scratch.config_directory();
    command.env("CLAUDE_CONFIG_DIR", &config_directory);
    let token = pipe_with(token)?;
    command.env("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", token.as_raw_fd().to_string());
    let mut child = {
        let token = inheritable(token)?;
        let child = child::spawn(&mut command);
        drop(token);
        child?
    };
    let is_enough = || scratch.is_oversized() || is_given_up();
    let end = child::wait(&mut child, &Deadline::after(timeout), is_enough)?;
    let end = end.unwrap_or_else(|| {
        child::kill(child);
        if scratch.is_oversized() { End::OutputTooLarge } else { End::TimedOut }
    });
    let served = managed_settings::remote_settings(&config_directory);
    Ok(Probed { ended: ChildOutput::new(end, &scratch), served })
}

/// Returns the read end of a pipe that contains the token.
fn pipe_with(token: &Secret<String>) -> Result<OwnedFd, RunClientError> {
    let no_pipe = RunClientError::Unknown("cannot create a pipe for the token");
    // A token longer than the pipe must not block.
    let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|_| no_pipe)?;
    let mut write = std::fs::File::from(write);
    write.write_all(token.expose().as_bytes()).map_err(|_| no_pipe)?;
    // The client reads the token, then the end of file, without O_NONBLOCK.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::empty())).map_err(|_| no_pipe)?;
    Ok(read)
}

/// Makes the descriptor inheritable; the standard library closes others at exec. Nothing else is
/// started while it is open, because a run starts one process at a time.
fn inheritable(descriptor: OwnedFd) -> Result<OwnedFd, RunClientError> {
    let no_flag = |_| RunClientError::Unknown("cannot pass the token to claude");
    fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::empty())).map_err(no_flag)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ask(script: &str, timeout: Duration) -> ChildOutput {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let program = scratch.path().join("claude");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let invocation = Invocation::new(program, BTreeMap::new());
        run(&invocation, &Secret::new("sk-ant-oat01-x".into()), timeout, &|| false).expect("an end").ended
    }

    #[test]
    fn probe_that_hangs_is_killed_with_its_group() {
        let ended = ask("sleep 1000 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(ended.end, End::TimedOut);
        let started = String::from_utf8(ended.stdout).expect("a number");
        let command = format!("/proc/{}/cmdline", started.trim());
        // A zombie that is not reaped yet has no command line.
        let deadline = Deadline::after(Duration::from_secs(30));
        while fs::read(&command).is_ok_and(|line| line.starts_with(b"sleep")) {
            assert!(!deadline.is_expired(), "process {started} is still there");
        }
    }

    #[test]
    fn probe_with_endless_output_is_killed() {
        let ended = ask("exec yes", TIMEOUT);
        assert_eq!(
            (ended.end, ended.stdout.len() as u64),
            (End::OutputTooLarge, super::super::scratch::LIMIT)
        );
    }

    #[test]
    fn probe_passes_token_on_descriptor_only() {
        let script = "eval \"cat <&$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR\"; env; cat";
        let ended = ask(script, TIMEOUT);
        let said = String::from_utf8(ended.stdout).expect("text");
        assert!(said.starts_with("sk-ant-oat01-x"), "{said}");
        assert_eq!(said.matches("sk-ant").count(), 1, "{said}");
    }

    #[test]
    fn pipe_contains_token_and_end_of_file() {
        let pipe = pipe_with(&Secret::new("sk-ant-oat01-x".into())).expect("a pipe");
        let flags = |pipe: &OwnedFd| fcntl(pipe, FcntlArg::F_GETFD).expect("flags");
        assert_eq!(flags(&pipe), FdFlag::FD_CLOEXEC.bits());
        let pipe = inheritable(pipe).expect("a flag");
        assert_eq!(flags(&pipe), 0);
        let mut held = String::new();
        std::fs::File::from(pipe).read_to_string(&mut held).expect("read");
        assert_eq!(held, "sk-ant-oat01-x");
    }

    #[test]
    fn token_larger_than_pipe_does_not_block() {
        assert!(pipe_with(&Secret::new("x".repeat(1 << 21))).is_err());
    }
}
