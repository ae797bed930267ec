//! A secret from whoever runs the command: typed or pasted at a terminal that does not show it, or sent on a pipe. Never an
//! argument: those can be seen by everybody, and stay in the history of the shell.

use std::fmt;
use std::io::{self, IsTerminal, Stdin, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::secret::{Secret, Zeroizing};
use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;

use crate::os::deferred_signals::{SignalBlock, Wake};

/// The most that is read, in bytes: any token is far shorter.
const LIMIT: usize = 16 << 10;

/// A paste of several lines comes at once; what comes later than this after a line is none of it.
const PASTE_GAP: Duration = Duration::from_millis(300);

/// A key that does nothing, where one would have a meaning.
const NO_KEY: u8 = 0;

/// What there is to be read from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadUntil {
    /// All that comes, to its end.
    Eof,
    /// One line that is not empty: whoever sends it may keep the pipe.
    Line,
}

/// Whether somebody sits there who can be asked.
pub(crate) fn is_at_a_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a secret on the standard error, and reads it. At a terminal nothing of it is shown, the keys that stop or dump a
/// program do nothing meanwhile, and all is as before in the end, however it comes about; several lines that are pasted
/// together are one text. Without a deadline it waits for as long as it takes.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn ask(
    prompt: &str,
    extent: ReadUntil,
    deadline: Option<&Deadline>,
    signals: &SignalBlock,
) -> Result<Secret<String>, PromptError> {
    let stdin = io::stdin();
    let is_terminal = stdin.is_terminal();
    let silence = is_terminal.then(|| NoEcho::on(&stdin)).transpose()?;
    if is_terminal {
        say(prompt);
    }
    let text = gather(&stdin, extent, is_terminal, deadline, signals);
    if silence.is_some() {
        // The return key was not shown either.
        say("\n");
    }
    drop(silence);
    text
}

/// Asks a question at the terminal, and says whether the answer is yes. Anything but `y` or `yes` is no.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn confirm(question: &str, signals: &SignalBlock) -> Result<bool, PromptError> {
    let answer = prompt(question, signals)?;
    Ok(answer.is_some_and(|answer| ["y", "yes"].contains(&answer.to_lowercase().as_str())))
}

/// Asks for what is no secret at the terminal; nothing where only the return key was pressed.
///
/// # Errors
/// [`PromptError`].
pub(crate) fn prompt(question: &str, signals: &SignalBlock) -> Result<Option<String>, PromptError> {
    say(question);
    match gather(&io::stdin(), ReadUntil::Line, true, None, signals) {
        Ok(answer) => Ok(Some(answer.expose().clone())),
        Err(PromptError::Nothing) => Ok(None),
        Err(not) => Err(not),
    }
}

/// Nobody may read it; that changes nothing.
fn say(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

fn gather(
    stdin: &Stdin,
    extent: ReadUntil,
    is_terminal: bool,
    deadline: Option<&Deadline>,
    signals: &SignalBlock,
) -> Result<Secret<String>, PromptError> {
    // Of the whole length at once, so that no part of it stays behind where the text has grown out of.
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
        if !is_terminal && extent == ReadUntil::Line && first_line(&bytes).is_some() {
            break;
        }
    }
    text_of(match extent {
        ReadUntil::Line if !is_terminal => first_line(&bytes).unwrap_or(&bytes),
        _ => &bytes,
    })
}

/// The first line that is not empty, once it has an end.
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

/// While it lives, the terminal shows nothing that is typed.
struct NoEcho<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> NoEcho<'a> {
    fn on(terminal: &'a Stdin) -> Result<Self, PromptError> {
        let failed = |errno: Errno| PromptError::Failed(errno.into());
        let before = tcgetattr(terminal).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_flags -= LocalFlags::ECHO | LocalFlags::ECHONL;
        silent.local_flags |= LocalFlags::ICANON | LocalFlags::ISIG;
        for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
            silent.control_chars[key as usize] = NO_KEY;
        }
        // What was typed before the question is no answer to it.
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent).map_err(failed)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for NoEcho<'_> {
    fn drop(&mut self) {
        // What was pasted and not read must not become the next command line. There is nobody to tell that it failed.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum PromptError {
    /// Somebody asks to end.
    Interrupted,
    /// The time is over.
    Late,
    /// There was an end, or an empty line, and nothing before it.
    Nothing,
    /// It is longer than anything that was asked for.
    TooLong,
    /// It is not UTF-8.
    NoText,
    /// The terminal or the pipe failed.
    Failed(io::Error),
}

impl fmt::Display for PromptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => formatter.write_str("interrupted"),
            Self::Late => formatter.write_str("nothing came in time"),
            Self::Nothing => formatter
                .write_str("nothing was given; paste it at the terminal, or send it on the standard input"),
            Self::TooLong => write!(formatter, "more than {LIMIT} bytes were given"),
            Self::NoText => formatter.write_str("what was given is not text"),
            Self::Failed(error) => write!(formatter, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for PromptError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_lies_between_the_white_space() {
        let text = |bytes: &[u8]| text_of(bytes).map(|secret| secret.expose().clone());
        assert_eq!(text(b" \n a\nb \n").expect("text"), "a\nb");
        assert!(matches!(text(b" \n"), Err(PromptError::Nothing)));
        assert!(matches!(text(b"\xff"), Err(PromptError::NoText)));
    }

    #[test]
    fn a_line_counts_once_it_has_an_end() {
        for (bytes, line) in
            [(&b"a"[..], None), (b"\n \n", None), (b"a\n", Some(&b"a"[..])), (b"\n a b\nc\n", Some(b"a b"))]
        {
            assert_eq!(first_line(bytes), line, "{bytes:?}");
        }
    }
}
