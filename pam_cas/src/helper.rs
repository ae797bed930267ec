//! Runs `cas-session login`: starts it, reads one line, and waits for its end, all within one
//! deadline.
//!
//! A misbehaving process must not affect the login. A line counts only if it is complete, is one
//! well-formed reply, and the process that wrote it did not fail.

use std::ffi::{CStr, CString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::process::ExitStatus;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::reply::{self, Reply};
use cas_protocol::secret::Zeroizing;
use cas_protocol::setup_token::SetupToken;

use crate::system::{Child, ExitError, WaitEvent, spawn};
use crate::user_name::UserName;

/// The request to the helper.
pub(crate) struct HelperRequest<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) user: &'a UserName,
    pub(crate) minimum_uid: u32,
    pub(crate) debug: bool,
}

/// The whole environment of the helper, so that no variable of the caller of `su` or of an SSH
/// client reaches it.
const ENVIRONMENT: &[&CStr] = &[c"PATH=/usr/sbin:/usr/bin:/sbin:/bin", c"LC_ALL=C"];

/// The time limit for the exit of a helper that has closed its end of the pipe; then it is killed.
/// Exiting takes well under a millisecond, and the exit status is needed.
const EXIT_GRACE: Duration = Duration::from_millis(50);

/// The time after the deadline at which the supervisor ends the helper, in case the host has ended.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(1);

/// Requests the user's setup token. On return neither the helper nor its process group exists.
///
/// # Errors
/// [`HelperError`], for the log. The login continues without a token.
pub(crate) fn request_token(
    request: &HelperRequest<'_>,
    deadline: Deadline,
) -> Result<Option<SetupToken>, HelperError> {
    let arguments = request.arguments(deadline);
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let timeout = deadline.remaining().saturating_add(SUPERVISOR_GRACE);
    let (mut child, pipe) = spawn(request.program, &arguments, ENVIRONMENT, timeout)
        .map_err(|error| request.cannot_start(error))?;

    let received = listen(&child, pipe, deadline);
    let grace = if received.is_ok() { EXIT_GRACE.min(deadline.remaining()) } else { Duration::ZERO };
    let failure = child.end(grace).failure();
    if let Some(ExitError::NotStarted(error)) = failure {
        return Err(request.cannot_start(error));
    }
    let reply = received?;
    if let Some(ExitError::Status(status)) = failure {
        return Err(HelperError::Status(status));
    }
    Ok(Reply::parse(&reply).map_err(|_| HelperError::NotAReply)?.0)
}

impl HelperRequest<'_> {
    fn arguments(&self, deadline: Deadline) -> Vec<CString> {
        let mut arguments: Vec<Vec<u8>> = vec![
            b"cas-session".to_vec(),
            b"login".to_vec(),
            format!("--reply={}", reply::VERSION).into_bytes(),
            format!("--deadline-ms={}", deadline.remaining().as_millis()).into_bytes(),
            format!("--minimum-uid={}", self.minimum_uid).into_bytes(),
        ];
        if self.debug {
            arguments.push(b"--debug".to_vec());
        }
        arguments.push([b"--user=", self.user.as_bytes()].concat());
        // No argument contains NUL; a user name with NUL is rejected earlier.
        arguments.into_iter().filter_map(|argument| CString::new(argument).ok()).collect()
    }

    fn cannot_start(&self, error: io::Error) -> HelperError {
        HelperError::Start { program: self.program.to_string_lossy().into_owned(), error }
    }
}

/// Reads until the pipe is closed, the helper has exited and the pipe is empty (a descendant may
/// keep the pipe open), or more bytes have arrived than a reply has.
fn listen(child: &Child, mut pipe: File, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, HelperError> {
    // Allocated once: a vector that grows would leave parts of the token in freed memory.
    let mut buffer = Zeroizing::new(vec![0; reply::MAX_LEN.saturating_add(1)]);
    let mut length: usize = 0;
    let mut ended = false;
    loop {
        let timeout = if ended { Duration::ZERO } else { deadline.remaining() };
        match child.wait_event(&pipe, timeout).map_err(HelperError::Pipe)? {
            WaitEvent::PipeReady => {
                let free = buffer.get_mut(length..).unwrap_or_default();
                match pipe.read(free) {
                    Ok(0) => break,
                    Ok(count) => length = length.saturating_add(count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(HelperError::Pipe(error)),
                }
                if length > reply::MAX_LEN {
                    return Err(HelperError::NotAReply);
                }
            }
            WaitEvent::Timeout | WaitEvent::ChildExited if ended => break,
            WaitEvent::ChildExited => ended = true,
            WaitEvent::Timeout => {}
        }
        if !ended && deadline.is_expired() {
            return Err(HelperError::TimedOut);
        }
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Why there is no usable reply. Each variant names its remedy.
#[derive(Debug)]
pub(crate) enum HelperError {
    /// The helper cannot be started.
    Start {
        /// Its path.
        program: String,
        /// The system's error.
        error: io::Error,
    },
    /// Reading or waiting failed.
    Pipe(io::Error),
    /// The deadline expired.
    TimedOut,
    /// The helper exited with an error or was ended by a signal.
    Status(ExitStatus),
    /// The output is not one reply line.
    NotAReply,
}

impl fmt::Display for HelperError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const JOURNAL: &str = "see journalctl -t claude-auth-sync for the cause";
        match self {
            Self::Start { program, error } => {
                write!(
                    formatter,
                    "cannot start {program}: {error}; reinstall claude-auth-sync or correct helper="
                )
            }
            Self::Pipe(error) => {
                write!(
                    formatter,
                    "cannot read from cas-session: {error}; log in again, and report it if it persists"
                )
            }
            Self::TimedOut => write!(formatter, "cas-session did not finish within the deadline; {JOURNAL}"),
            Self::Status(status) => write!(formatter, "cas-session failed ({status}); {JOURNAL}"),
            Self::NotAReply => formatter.write_str(
                "the reply of cas-session has another format than requested; reinstall claude-auth-sync",
            ),
        }
    }
}
