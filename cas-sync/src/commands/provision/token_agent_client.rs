//! Root's side of [`super::token_agent`]. Each answer has a time limit, because a home can be on an
//! unreachable file server or on a file system that its owner mounted.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_vault::Token;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::token_agent::{AgentMessage, write_token};
use crate::systemd::commands_in_unit;

/// Exceeds the maximum length of a line.
const MAX_LINE_SIZE: usize = 8192;

/// The command that runs the token agent, before the user's name.
const COMMAND: [&str; 2] = ["internal", "token-agent"];

/// The unit whose runs can leave token agents behind.
const UNIT: &str = "claude-auth-provision.service";

/// Returns the users whose token agent of an earlier run still waits. It cannot be killed while a
/// home does not answer, and each more takes room in the unit.
pub(super) fn users_with_waiting_agent() -> HashSet<String> {
    commands_in_unit(UNIT).iter().filter_map(|command| user_of_agent(command)).collect()
}

fn user_of_agent(command: &[String]) -> Option<String> {
    let (user, words) = command.split_last()?;
    words.ends_with(&COMMAND.map(str::to_owned)).then(|| user.clone())
}

/// A connection to the token agent of one user.
pub(super) struct TokenAgentClient {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    timeout: Duration,
    has_timed_out: bool,
}

impl TokenAgentClient {
    /// Starts the token agent for this user with a time limit for each answer.
    pub(super) fn spawn(user: &str, timeout: Duration) -> io::Result<Self> {
        // `/proc/self/exe` starts the running version, even if an upgrade has replaced the file.
        let mut process = Command::new("/proc/self/exe")
            .arg0("cas-sync")
            .args(COMMAND)
            .arg(user)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self { process, stdin, stdout, timeout, has_timed_out: false })
    }

    /// Returns the first message, which describes the token file.
    pub(super) fn read(&mut self) -> AgentMessage {
        self.receive()
    }

    /// Returns true if an answer exceeded the time limit.
    pub(super) fn has_timed_out(&self) -> bool {
        self.has_timed_out
    }

    /// Reserves space for a token.
    ///
    /// # Errors
    /// Returns why no space can be reserved.
    pub(super) fn reserve(&mut self) -> Result<(), String> {
        match self.request(|stdin| AgentMessage::Reserve.write_to(stdin)) {
            AgentMessage::Reserve => Ok(()),
            other => Err(other.to_string()),
        }
    }

    /// Writes a token.
    ///
    /// # Errors
    /// Returns why the token cannot be written.
    pub(super) fn write(&mut self, token: &Token) -> Result<(), String> {
        match self.request(|stdin| write_token(token, stdin)) {
            AgentMessage::Written => Ok(()),
            other => Err(other.to_string()),
        }
    }

    fn request(&mut self, send: impl Fn(&mut ChildStdin) -> io::Result<()>) -> AgentMessage {
        match self.stdin.as_mut().map(send) {
            Some(Ok(())) => self.receive(),
            _ => AgentMessage::Unusable("the process that runs as the user has ended".into()),
        }
    }

    fn receive(&mut self) -> AgentMessage {
        match self.receive_line() {
            Ok(line) => AgentMessage::parse(&line).unwrap_or_else(|| {
                AgentMessage::Unusable("the process that runs as the user sent an invalid message".into())
            }),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.has_timed_out = true;
                AgentMessage::Unusable(format!("the home does not answer within {:?}", self.timeout))
            }
            Err(error) => {
                AgentMessage::Unusable(format!("cannot read from the process that runs as the user: {error}"))
            }
        }
    }

    fn receive_line(&mut self) -> io::Result<Zeroizing<String>> {
        let deadline = Deadline::after(self.timeout);
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE_SIZE));
        while bytes.last() != Some(&b'\n') && bytes.len() < MAX_LINE_SIZE {
            let mut ready = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
            if deadline.is_expired() || poll(&mut ready, left)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut chunk = Zeroizing::new([0; 512]);
            let count = self.stdout.read(chunk.as_mut())?;
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
        let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
        Ok(Zeroizing::new(text.strip_suffix('\n').unwrap_or(text).to_owned()))
    }
}

impl Drop for TokenAgentClient {
    /// Does not wait for a process that is blocked by a home.
    fn drop(&mut self) {
        drop(self.stdin.take());
        for _ in 0..200 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _gone = self.process.kill();
        let _reaped = self.process.try_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_of_a_waiting_agent_is_the_last_word() {
        let user =
            |words: &[&str]| user_of_agent(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(user(&["cas-sync", "internal", "token-agent", "alice"]).as_deref(), Some("alice"));
        assert_eq!(user(&["cas-sync", "provision"]), None);
        assert_eq!(user(&[]), None);
    }
}
