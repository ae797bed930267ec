//! Root's side of [`super::token_agent`]: a process that has become somebody, asked with a time limit, since a home can be
//! on a server that is gone, or on whatever its owner mounted there.

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

use super::token_agent::{Message, say_token};

/// Longer than any line.
const LONGEST: usize = 8192;

/// Somebody's token file, in the hands of a process of theirs.
pub(super) struct TokenAgentClient {
    process: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
    patience: Duration,
    was_slow: bool,
}

impl TokenAgentClient {
    /// Starts it for this user; each answer may take as long as `patience`.
    pub(super) fn spawn(user: &str, patience: Duration) -> io::Result<Self> {
        // This very program, also when an upgrade has put another in its place meanwhile.
        let mut process = Command::new("/proc/self/exe")
            .arg0("cas-sync")
            .args(["internal", "token-agent", user])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let to = process.stdin.take();
        let from = process.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self { process, to, from, patience, was_slow: false })
    }

    /// What it says first: what lies there.
    pub(super) fn read(&mut self) -> Message {
        self.hear()
    }

    /// Whether an answer took too long.
    pub(super) fn was_slow(&self) -> bool {
        self.was_slow
    }

    /// Makes room for a token.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn reserve(&mut self) -> Result<(), String> {
        match self.ask(|to| Message::Reserve.say(to)) {
            Message::Reserve => Ok(()),
            other => Err(other.to_string()),
        }
    }

    /// Keeps a token.
    ///
    /// # Errors
    /// Why it could not be kept.
    pub(super) fn write(&mut self, token: &Token) -> Result<(), String> {
        match self.ask(|to| say_token(token, to)) {
            Message::Written => Ok(()),
            other => Err(other.to_string()),
        }
    }

    fn ask(&mut self, say: impl Fn(&mut ChildStdin) -> io::Result<()>) -> Message {
        match self.to.as_mut().map(say) {
            Some(Ok(())) => self.hear(),
            _ => Message::Unfit("the process that writes as them has ended".into()),
        }
    }

    fn hear(&mut self) -> Message {
        match self.line() {
            Ok(line) => Message::parse(&line).unwrap_or_else(|| {
                Message::Unfit("the process that looks as them said nothing of use".into())
            }),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.was_slow = true;
                Message::Unfit(format!("the home does not answer within {:?}", self.patience))
            }
            Err(error) => Message::Unfit(format!("the process that looks as them cannot be heard: {error}")),
        }
    }

    fn line(&mut self) -> io::Result<Zeroizing<String>> {
        let deadline = Deadline::after(self.patience);
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
        while bytes.last() != Some(&b'\n') && bytes.len() < LONGEST {
            let mut ready = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
            if deadline.is_expired() || poll(&mut ready, left)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut piece = Zeroizing::new([0; 512]);
            let count = self.from.read(piece.as_mut())?;
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
        let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
        Ok(Zeroizing::new(text.strip_suffix('\n').unwrap_or(text).to_owned()))
    }
}

impl Drop for TokenAgentClient {
    /// A process that hangs in a home is not waited for.
    fn drop(&mut self) {
        drop(self.to.take());
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
