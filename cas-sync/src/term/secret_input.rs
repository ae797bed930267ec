//! Reads a secret: typed or pasted at a terminal without echo, or from a pipe. It is never an
//! argument, because all users can see arguments, and the shell stores them in its history.

use std::io::{self, IsTerminal, Stdin, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::secret::{Secret, Zeroizing};
use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;

use crate::os::deferred_signals::{SignalBlock, Wake};

/// Limits the input, in bytes: any token is far shorter.
const LIMIT: usize = 16 << 10;

/// The lines of a paste arrive together. A line that arrives later than this is not part of it.
const PASTE_GAP: Duration = Duration::from_millis(300);

/// Disables a control key.
const NO_KEY: u8 = 0;

/// The end of the input from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadUntil {
    /// The end of the file.
    Eof,
    /// One line that is not empty: the writer may keep the pipe open.
    Line,
}

/// Returns true if the standard input is a terminal.
pub(crate) fn is_at_a_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Prompts for a secret on the standard error and reads it. A terminal does not echo it, the keys
/// for suspend and quit are disabled meanwhile, and the terminal is restored in any case. Lines
/// that are pasted together are one text. Without a deadline it waits without limit.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn ask(
    prompt: &str,
    until: ReadUntil,
    deadline: Option<&Deadline>,
    signals: &SignalBlock,
) -> Result<Secret<String>, PromptError> {
    let stdin = io::stdin();
    let is_terminal = stdin.is_terminal();
    let no_echo = is_terminal.then(|| NoEcho::enable(&stdin)).transpose()?;
    if is_terminal {
        print(prompt);
    }
    let text = gather(&stdin, until, is_terminal, deadline, signals);
    if no_echo.is_some() {
        // The return key was not echoed either.
        print("\n");
    }
    drop(no_echo);
    text
}

/// Asks a question at the terminal; returns true for `y` or `yes`.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn confirm(question: &str, signals: &SignalBlock) -> Result<bool, PromptError> {
    let answer = prompt(question, signals)?;
    Ok(answer.is_some_and(|answer| ["y", "yes"].contains(&answer.to_lowercase().as_str())))
}

/// Prompts for a line that is not secret at the terminal; returns `None` for an empty line.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn prompt(question: &str, signals: &SignalBlock) -> Result<Option<String>, PromptError> {
    print(question);
    match gather(&io::stdin(), ReadUntil::Line, true, None, signals) {
        Ok(answer) => Ok(Some(answer.expose().clone())),
        Err(PromptError::Nothing) => Ok(None),
        Err(not) => Err(not),
    }
}

/// Prints to the standard error. A failure is ignored.
fn print(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

fn gather(
    stdin: &Stdin,
    until: ReadUntil,
    is_terminal: bool,
    deadline: Option<&Deadline>,
    signals: &SignalBlock,
) -> Result<Secret<String>, PromptError> {
    // The full capacity at once, so that growth leaves no copy of a part in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1024));
    loop {
        let is_paste = is_terminal && bytes.ends_with(b"\n");
        let left = deadline.map(Deadline::remaining);
        match signals.wait(Some(stdin.as_fd()), if is_paste { Some(PASTE_GAP) } else { left }) {
            Wake::Signal => return Err(PromptError::Interrupted),
            Wake::Timeout if is_paste => break,
            Wake::Timeout if deadline.is_some_and(Deadline::is_expired) => return Err(PromptError::Late),
            Wake::Timeout => continue,
            Wake::Readable => (),
        }
        let mut part = Zeroizing::new([0; 1024]);
        let length = match read(stdin.as_fd(), part.as_mut_slice()) {
            Ok(0) => break,
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(PromptError::Failed(errno.into())),
        };
        bytes.extend_from_slice(part.get(..length).unwrap_or_default());
        if bytes.len() > LIMIT {
            return Err(PromptError::TooLong);
        }
        if !is_terminal && until == ReadUntil::Line && first_line(&bytes).is_some() {
            break;
        }
    }
    text_of(match until {
        ReadUntil::Line if !is_terminal => first_line(&bytes).unwrap_or(&bytes),
        _ => &bytes,
    })
}

/// Returns the first complete line that is not empty.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let text = bytes.trim_ascii_start();
    text.iter().position(|byte| *byte == b'\n').and_then(|end| text.get(..end))
}

fn text_of(bytes: &[u8]) -> Result<Secret<String>, PromptError> {
    match std::str::from_utf8(bytes.trim_ascii()) {
        Ok("") => Err(PromptError::Nothing),
        Ok(text) => Ok(Secret::new(text.to_owned())),
        Err(_) => Err(PromptError::NoText),
    }
}

/// Disables the echo of the terminal while it exists.
struct NoEcho<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> NoEcho<'a> {
    fn enable(terminal: &'a Stdin) -> Result<Self, PromptError> {
        let failed = |errno: Errno| PromptError::Failed(errno.into());
        let before = tcgetattr(terminal).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_flags -= LocalFlags::ECHO | LocalFlags::ECHONL;
        silent.local_flags |= LocalFlags::ICANON | LocalFlags::ISIG;
        for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
            silent.control_chars[key as usize] = NO_KEY;
        }
        // Input from before the prompt is discarded.
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent).map_err(failed)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for NoEcho<'_> {
    fn drop(&mut self) {
        // Unread input must not become the next command line. A failure has no remedy here.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// The reason why there is no input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// A termination signal arrived.
    #[error("interrupted")]
    Interrupted,
    /// The deadline expired.
    #[error("no input arrived in time")]
    Late,
    /// The input is empty.
    #[error("the input is empty; paste it at the terminal, or send it on the standard input")]
    Nothing,
    /// The input is longer than the limit.
    #[error("the input is longer than {LIMIT} bytes")]
    TooLong,
    /// The input is not UTF-8.
    #[error("the input is not UTF-8 text")]
    NoText,
    /// The terminal or the pipe failed.
    #[error("cannot read the input: {0}")]
    Failed(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_trimmed_utf8_text() {
        let text = |bytes: &[u8]| text_of(bytes).map(|secret| secret.expose().clone());
        assert_eq!(text(b" \n a\nb \n").expect("text"), "a\nb");
        assert!(matches!(text(b" \n"), Err(PromptError::Nothing)));
        assert!(matches!(text(b"\xff"), Err(PromptError::NoText)));
    }

    #[test]
    fn first_line_is_returned_once_complete() {
        for (bytes, line) in
            [(&b"a"[..], None), (b"\n \n", None), (b"a\n", Some(&b"a"[..])), (b"\n a b\nc\n", Some(b"a b"))]
        {
            assert_eq!(first_line(bytes), line, "{bytes:?}");
        }
    }
}
