//! A probe: a token by its value, in a scratch home, on a file descriptor. It never refreshes, so it may be killed.

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

/// Longer than its own switches let it take (a silent server 31 s, an untrusted certificate 18 s).
pub(super) const LAST_BOUND: Duration = Duration::from_secs(120);

/// How a probe ended.
pub(super) struct Probed {
    pub(super) ended: ChildOutput,
    /// The settings that were served to the client meanwhile, where it kept them.
    pub(super) served: Option<RemoteSettings>,
}

/// Asks with this token; what has not ended within `bound`, or is given up meanwhile, is killed.
pub(super) fn run(
    invocation: &Invocation,
    token: &Secret<String>,
    bound: Duration,
    is_given_up: &dyn Fn() -> bool,
) -> Result<Probed, RunClientError> {
    let no_room = |_| RunClientError::Unknown("there is no room in /tmp to run claude in");
    let scratch = Scratch::new().map_err(no_room)?;
    let mut command = invocation.question(&scratch, scratch.path()).map_err(no_room)?;
    let config_directory = scratch.config_directory();
    command.env("CLAUDE_CONFIG_DIR", &config_directory);
    let token = on_a_pipe(token)?;
    command.env("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", token.as_raw_fd().to_string());
    let mut child = {
        let token = inheritable(token)?;
        let child = child::spawn(&mut command);
        drop(token);
        child?
    };
    let is_enough = || scratch.is_oversized() || is_given_up();
    let end = child::wait(&mut child, &Deadline::after(bound), is_enough)?;
    let end = end.unwrap_or_else(|| {
        child::kill(child);
        if scratch.is_oversized() { End::OutputTooLarge } else { End::TimedOut }
    });
    let served = managed_settings::remote_settings(&config_directory);
    Ok(Probed { ended: ChildOutput::new(end, &scratch), served })
}

/// The end to read from of a pipe that holds the token and will hold nothing else.
fn on_a_pipe(token: &Secret<String>) -> Result<OwnedFd, RunClientError> {
    let no_pipe = RunClientError::Unknown("there was no room to hand a token to claude");
    // A token longer than a pipe holds must not block.
    let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|_| no_pipe)?;
    let mut write = std::fs::File::from(write);
    write.write_all(token.expose().as_bytes()).map_err(|_| no_pipe)?;
    // The client's reading end is an ordinary one: it finds the token, then the end.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::empty())).map_err(|_| no_pipe)?;
    Ok(read)
}

/// The standard library closes at exec whatever is not meant to stay. Nothing else is started while this is open: a run
/// does one thing at a time.
fn inheritable(descriptor: OwnedFd) -> Result<OwnedFd, RunClientError> {
    let no_flag = |_| RunClientError::Unknown("a token could not be handed to claude");
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

    fn ask(script: &str, bound: Duration) -> ChildOutput {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let program = scratch.path().join("claude");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let invocation = Invocation::new(program, BTreeMap::new());
        run(&invocation, &Secret::new("sk-ant-oat01-x".into()), bound, &|| false).expect("an end").ended
    }

    #[test]
    fn what_hangs_is_killed_with_all_it_has_started() {
        let ended = ask("sleep 1000 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(ended.end, End::TimedOut);
        let started = String::from_utf8(ended.stdout).expect("a number");
        let command = format!("/proc/{}/cmdline", started.trim());
        // A zombie that nobody has reaped yet has no command line.
        let deadline = Deadline::after(Duration::from_secs(30));
        while fs::read(&command).is_ok_and(|line| line.starts_with(b"sleep")) {
            assert!(!deadline.is_expired(), "process {started} is still there");
        }
    }

    #[test]
    fn what_never_stops_talking_is_killed() {
        let ended = ask("exec yes", LAST_BOUND);
        assert_eq!(
            (ended.end, ended.stdout.len() as u64),
            (End::OutputTooLarge, super::super::scratch::LIMIT)
        );
    }

    #[test]
    fn the_token_comes_on_the_descriptor_that_is_named_and_on_no_other_way() {
        let script = "eval \"cat <&$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR\"; env; cat";
        let ended = ask(script, LAST_BOUND);
        let said = String::from_utf8(ended.stdout).expect("text");
        assert!(said.starts_with("sk-ant-oat01-x"), "{said}");
        assert_eq!(said.matches("sk-ant").count(), 1, "{said}");
    }

    #[test]
    fn the_pipe_holds_the_token_and_then_its_end() {
        let pipe = on_a_pipe(&Secret::new("sk-ant-oat01-x".into())).expect("a pipe");
        let flags = |pipe: &OwnedFd| fcntl(pipe, FcntlArg::F_GETFD).expect("flags");
        assert_eq!(flags(&pipe), FdFlag::FD_CLOEXEC.bits());
        let pipe = inheritable(pipe).expect("a flag");
        assert_eq!(flags(&pipe), 0);
        let mut held = String::new();
        std::fs::File::from(pipe).read_to_string(&mut held).expect("read");
        assert_eq!(held, "sk-ant-oat01-x");
    }

    #[test]
    fn a_token_that_no_pipe_holds_does_not_block() {
        assert!(on_a_pipe(&Secret::new("x".repeat(1 << 21))).is_err());
    }
}
