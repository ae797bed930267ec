//! The line in the journal: identifier `claude-auth-sync`, text `user=<name> <STATUS> <text>`. Alerts parse it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use crate::outcome::{Outcome, Status};
use crate::text::sanitize_line;

/// What every line of ours is found by.
pub const SYSLOG_IDENTIFIER: &str = "claude-auth-sync";

/// The longest text in bytes: a journal line should fit on a screen, and a hostile error text must not fill a disk.
const LIMIT: usize = 900;

/// How long a log is waited for that is busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the system's log listens.
const SOCKET: &str = "/dev/log";

/// Writes one line. Nothing can be done about a system without a log, so a failure is not reported; and a log that is too
/// busy to listen is not waited for, because somebody may be waiting for a prompt.
pub fn log_outcome(user: &str, outcome: &Outcome) {
    drop(nonblocking_socket().map(|socket| send(socket, user, outcome.status, &outcome.to_string())));
}

/// As [`write`], for what is no outcome of a run; and as nobody waits for a prompt, a busy log is waited for, a little.
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
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(SOCKET)?;
    Ok(socket)
}

/// The text of the line: without control characters, and cut where it grows too long.
fn line(user: &str, status: Status, text: &str) -> String {
    let line = sanitize_line(&format!("user={user} {status} {text}"));
    match line.char_indices().find(|(index, _)| *index >= LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Finding;

    #[test]
    fn a_line_is_one_line_of_bounded_length_that_alerts_can_parse() {
        let why = format!("first\nuser=root FAIL second\u{1b}[31m{}", "ä".repeat(5000));
        let outcome = Outcome::new(Status::Warn, Finding::Skipped(why));
        let line = line("alice", outcome.status, &outcome.to_string());
        assert!(line.starts_with("user=alice WARN login file left alone: first?user=root"));
        assert!(line.len() < LIMIT + 10 && !line.contains(char::is_control));
    }
}
