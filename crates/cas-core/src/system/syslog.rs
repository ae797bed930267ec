//! Writes journal lines: identifier `claude-auth-sync`, text `user=<name> <STATUS> <text>`. Alerts
//! parse them.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use crate::outcome::{Outcome, Status};
use crate::text::sanitize_line;

/// The identifier of every line.
pub const SYSLOG_IDENTIFIER: &str = "claude-auth-sync";

/// The longest line in bytes. Errors of other programs must not fill the disk.
const MAX_LINE: usize = 900;

/// The time limit of a write to a busy log.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket of the system log.
const SOCKET: &str = "/dev/log";

/// Logs the outcome of a run. A failure is ignored, and a busy log is not waited for, because a
/// user may be waiting for the prompt.
pub fn log_outcome(user: &str, outcome: &Outcome) {
    drop(nonblocking_socket().map(|socket| send(socket, user, outcome.status, &outcome.to_string())));
}

/// Logs a message outside of a run. A busy log is waited for up to [`SEND_TIMEOUT`].
pub fn log_message(user: &str, status: Status, text: &str) {
    drop(blocking_socket().map(|socket| send(socket, user, status, text)));
}

fn send(socket: UnixDatagram, user: &str, status: Status, text: &str) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: SYSLOG_IDENTIFIER.into(),
        pid: std::process::id(),
    };
    let mut logger = Logger::new(LoggerBackend::Unix(socket), formatter);
    let line = line(user, status, text);
    drop(match status {
        Status::Ok | Status::Recovered | Status::Skip => logger.info(line),
        Status::Warn => logger.warning(line),
        Status::Fail => logger.err(line),
    });
}

fn nonblocking_socket() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(SOCKET)?;
    Ok(socket)
}

fn blocking_socket() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.connect(SOCKET)?;
    Ok(socket)
}

/// Returns the text of the line, without control characters and truncated to its limit.
fn line(user: &str, status: Status, text: &str) -> String {
    let line = sanitize_line(&format!("user={user} {status} {text}"));
    match line.char_indices().find(|(index, _)| *index >= MAX_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Finding;

    #[test]
    fn log_line_is_one_bounded_line() {
        let why = format!("first\nuser=root FAIL second\u{1b}[31m{}", "ä".repeat(5000));
        let outcome = Outcome::new(Status::Warn, Finding::Skipped(why));
        let line = line("alice", outcome.status, &outcome.to_string());
        assert!(line.starts_with("user=alice WARN login file not changed: first?user=root"));
        assert!(line.len() < MAX_LINE + 10 && !line.contains(char::is_control));
    }
}
