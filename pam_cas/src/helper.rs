//! The conversation with `cas-session login`: start it, hear one line, see it end, all within one deadline.
//!
//! What the process does, and how badly, must not matter to the login: a line counts only when it is complete, is one
//! well-formed reply, and nothing speaks against the process that wrote it.

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

use crate::system::{Child, EndingError, Heard, spawn};
use crate::user_name::UserName;

/// What the program is asked.
pub(crate) struct HelperRequest<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) user: &'a UserName,
    pub(crate) minimum_uid: u32,
    pub(crate) debug: bool,
}

/// The whole environment of the program, so that nothing the caller of `su` or a client of sshd set can reach it.
const ENVIRONMENT: &[&CStr] = &[c"PATH=/usr/sbin:/usr/bin:/sbin:/bin", c"LC_ALL=C"];

/// How long a program that has closed its end of the pipe may take to end by itself before it is killed: exiting takes
/// well under a millisecond, and its exit status is worth that much.
const EXIT_GRACE: Duration = Duration::from_millis(50);

/// How much later than the deadline the supervisor acts by itself: only for a host that has ended meanwhile.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(1);

/// Asks for the user's setup-token. When this returns, neither the program nor anything in its process group is left.
///
/// # Errors
/// [`HelperError`], for the log; the login goes on without a token.
pub(crate) fn request_token(
    question: &HelperRequest<'_>,
    deadline: Deadline,
) -> Result<Option<SetupToken>, HelperError> {
    let arguments = question.arguments(deadline);
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let timeout = deadline.remaining().saturating_add(SUPERVISOR_GRACE);
    let (mut child, pipe) = spawn(question.program, &arguments, ENVIRONMENT, timeout)
        .map_err(|error| question.cannot_start(error))?;

    let heard = listen(&child, pipe, deadline);
    let linger = if heard.is_ok() { EXIT_GRACE.min(deadline.remaining()) } else { Duration::ZERO };
    let failure = child.end(linger).failure();
    if let Some(EndingError::NotStarted(error)) = failure {
        return Err(question.cannot_start(error));
    }
    let answer = heard?;
    if let Some(EndingError::Status(status)) = failure {
        return Err(HelperError::Status(status));
    }
    Ok(Reply::parse(&answer).map_err(|_| HelperError::NotAReply)?.0)
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
        // None of these can contain NUL, a user name least of all.
        arguments.into_iter().filter_map(|argument| CString::new(argument).ok()).collect()
    }

    fn cannot_start(&self, error: io::Error) -> HelperError {
        HelperError::Start { program: self.program.to_string_lossy().into_owned(), error }
    }
}

/// Reads until the pipe is closed, or the program has ended and the pipe is empty (something it left behind may hold the
/// pipe open for ever), or more has come than any reply has.
fn listen(child: &Child, mut pipe: File, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, HelperError> {
    // Of full size from the start: a growing vector would leave pieces of the token behind.
    let mut buffer = Zeroizing::new(vec![0; reply::MAX_LEN.saturating_add(1)]);
    let mut length: usize = 0;
    let mut ended = false;
    loop {
        let patience = if ended { Duration::ZERO } else { deadline.remaining() };
        match child.hear(&pipe, patience).map_err(HelperError::Pipe)? {
            Heard::Pipe => {
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
            Heard::Silence | Heard::Ended if ended => break,
            Heard::Ended => ended = true,
            Heard::Silence => {}
        }
        if !ended && deadline.is_expired() {
            return Err(HelperError::TimedOut);
        }
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Why no answer came that could be used. Each says what to do.
#[derive(Debug)]
pub(crate) enum HelperError {
    /// The program could not be started.
    Start {
        /// Its path.
        program: String,
        /// What the system said.
        error: io::Error,
    },
    /// Reading or waiting failed.
    Pipe(io::Error),
    /// The deadline passed.
    TimedOut,
    /// The program ended with an error or by a signal.
    Status(ExitStatus),
    /// Something else than one reply line came.
    NotAReply,
}

impl fmt::Display for HelperError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const JOURNAL: &str = "see journalctl -t claude-auth-sync for its own reason";
        match self {
            Self::Start { program, error } => {
                write!(
                    formatter,
                    "cannot start {program}: {error}; reinstall claude-auth-sync or correct helper="
                )
            }
            Self::Pipe(error) => {
                write!(formatter, "cannot hear cas-session: {error}; log in again, and report it if it stays")
            }
            Self::TimedOut => write!(formatter, "cas-session did not finish within the deadline; {JOURNAL}"),
            Self::Status(status) => write!(formatter, "cas-session failed ({status}); {JOURNAL}"),
            Self::NotAReply => formatter
                .write_str("cas-session answered in another form than asked; reinstall claude-auth-sync"),
        }
    }
}
