//! A client for several questions in one process, as in a session that lasts through a change of
//! its login.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use serde_json::{Value, json};

use super::invocation::{kill, wait};
use super::{ClientError, ClientOutput};

/// A conversation; dropping it kills the client.
pub struct Conversation {
    child: Child,
    questions: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Conversation {
    pub(crate) fn new(mut child: Child) -> Self {
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || forward_lines(stdout, &sender));
        }
        Self { questions: child.stdin.take(), child, lines }
    }

    /// Sends one question and waits for its result. There is no exit code, because the client
    /// continues to run.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] if there is no result after `limit`, or the client has ended.
    pub fn ask(&mut self, question: &str, limit: Duration) -> Result<ClientOutput, ClientError> {
        let message = json!({"type": "user", "message": {"role": "user", "content": question}});
        let questions = self.questions.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        writeln!(questions, "{message}")?;
        let deadline = Deadline::after(limit);
        let mut stdout = String::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.remaining()) {
            stdout = stdout + &line + "\n";
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["type"] == "result" {
                return Ok(ClientOutput::new(None, stdout, String::new()));
            }
        }
        Err(ClientError::TimedOut { limit, stdout, stderr: String::new() })
    }

    /// Closes the conversation and waits for the exit code. Returns `None` if the client had to be
    /// killed after `limit`.
    ///
    /// # Errors
    /// Errors of waitpid(2).
    pub fn leave(mut self, limit: Duration) -> io::Result<Option<i32>> {
        drop(self.questions.take());
        Ok(wait(&mut self.child, &Deadline::after(limit))?.and_then(|status| status.code()))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

fn forward_lines(stdout: ChildStdout, lines: &Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if lines.send(line).is_err() {
            return;
        }
    }
}
