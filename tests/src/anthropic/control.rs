//! Controls a simulation in another process or namespace: one JSON object per line over a Unix
//! socket, one line back. `{"do": "requests"}` is answered by `{"ok": …}`, an invalid command by
//! `{"error": "…"}`.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FakeAnthropic, MessageAnswer, RefreshAnswer, Reuse};

/// The commands for a simulation. The methods of [`FakeAnthropic`] describe each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// [`FakeAnthropic::sign_in`]; answered by a [`super::Login`].
    SignIn {
        /// A name of `[A-Za-z0-9_-]`.
        user: String,
        /// Seconds for which an access token is accepted.
        lifetime: u64,
    },
    /// [`FakeAnthropic::accept_setup_token`].
    AcceptSetupToken {
        /// The token's text.
        token: String,
    },
    /// [`FakeAnthropic::expire`]; answered by whether there is such a family.
    Expire {
        /// As named by [`super::Login::family`].
        family: String,
    },
    /// [`FakeAnthropic::revoke`]; answered by whether there is such a family.
    Revoke {
        /// As named by [`super::Login::family`].
        family: String,
    },
    /// [`FakeAnthropic::answer_messages`].
    AnswerMessages {
        /// The token's text.
        token: String,
        /// Null: the default for the token.
        answer: Option<MessageAnswer>,
    },
    /// [`FakeAnthropic::answer_refreshes`].
    AnswerRefreshes {
        /// From now on.
        answer: RefreshAnswer,
    },
    /// [`FakeAnthropic::on_reuse`].
    OnReuse {
        /// From now on.
        reuse: Reuse,
    },
    /// [`FakeAnthropic::hold_refreshes`].
    HoldRefreshes {
        /// False releases the held answers.
        held: bool,
    },
    /// [`FakeAnthropic::requests`]; answered by a list of [`super::LoggedRequest`].
    Requests,
    /// [`FakeAnthropic::forget_requests`].
    ForgetRequests,
}

/// Sends one command to the simulation behind `socket` and returns what follows "ok" in its answer.
///
/// # Errors
/// The error of the connection, or [`io::ErrorKind::InvalidInput`] with the text of the simulation.
pub fn send_command(socket: &Path, command: &Command) -> io::Result<Value> {
    send_line(socket, &serde_json::to_string(command)?)
}

/// As [`send_command`], for a command that is already text.
///
/// # Errors
/// As [`send_command`].
pub fn send_line(socket: &Path, line: &str) -> io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(stream, "{}", line.trim())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let mut answer: Value = serde_json::from_str(&answer)?;
    match answer["error"].as_str() {
        Some(text) => Err(io::Error::new(io::ErrorKind::InvalidInput, text)),
        None => Ok(answer["ok"].take()),
    }
}

/// Executes the commands of each client, one client after the other.
///
/// # Errors
/// Only when the listener itself fails.
pub fn execute(listener: &UnixListener, anthropic: &FakeAnthropic) -> io::Result<()> {
    for stream in listener.incoming() {
        let stream = stream?;
        // A silent client cannot block the others or end the service.
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        drop(execute_line(stream, anthropic));
    }
    Ok(())
}

fn execute_line(mut stream: UnixStream, anthropic: &FakeAnthropic) -> io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    for line in lines {
        let answer = match serde_json::from_str(&line?) {
            Ok(command) => json!({"ok": perform(command, anthropic)}),
            Err(error) => json!({"error": error.to_string()}),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

fn perform(command: Command, anthropic: &FakeAnthropic) -> Value {
    match command {
        Command::SignIn { user, lifetime } => {
            json!(anthropic.sign_in(&user, Duration::from_secs(lifetime)))
        }
        Command::AcceptSetupToken { token } => json!(anthropic.accept_setup_token(&token)),
        Command::Expire { family } => json!(anthropic.expire(&family)),
        Command::Revoke { family } => json!(anthropic.revoke(&family)),
        Command::AnswerMessages { token, answer } => json!(anthropic.answer_messages(&token, answer)),
        Command::AnswerRefreshes { answer } => json!(anthropic.answer_refreshes(answer)),
        Command::OnReuse { reuse } => json!(anthropic.on_reuse(reuse)),
        Command::HoldRefreshes { held } => json!(anthropic.hold_refreshes(held)),
        Command::Requests => json!(anthropic.requests()),
        Command::ForgetRequests => json!(anthropic.forget_requests()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::thread;

    #[test]
    fn remote_control_executes_valid_and_rejects_invalid_commands() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let socket = directory.path().join("control");
        let listener = UnixListener::bind(&socket).expect("a socket");
        thread::spawn(move || {
            let authority = crate::tls_authority::TlsAuthority::new("test");
            execute(&listener, &FakeAnthropic::start(Vec::new(), &authority))
        });
        let sign_in = Command::SignIn { user: "alice".to_owned(), lifetime: 60 };
        let login = send_command(&socket, &sign_in).expect("a login");
        assert_eq!(login["family"], "alice-1");
        assert_eq!(
            send_command(&socket, &Command::Revoke { family: "alice-1".into() }).expect("revoked"),
            true
        );
        assert_eq!(
            send_command(&socket, &Command::Revoke { family: "bob-1".into() }).expect("nobody"),
            false
        );
        let answer =
            r#"{"do": "answer_messages", "token": "t", "answer": {"rate_limited": {"retry_after": 2}}}"#;
        assert_eq!(send_line(&socket, answer).expect("obeyed"), Value::Null);
        assert_eq!(send_command(&socket, &Command::Requests).expect("the log"), json!([]));
        for line in ["", "{}", r#"{"do": "dance"}"#, r#"{"do": "expire", "family": "bob-1", "of": "bob"}"#] {
            assert_eq!(send_line(&socket, line).expect_err(line).kind(), io::ErrorKind::InvalidInput);
        }
    }
}
