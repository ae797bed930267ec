//! The same again every few seconds, on a terminal, until somebody ends it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(3);

/// Another screen, without a cursor, and back again.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left corner; the rest of a line; the rest of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

/// Draws what `look` says, again and again; ends, with the terminal as it was, when asked to by a signal.
///
/// # Errors
/// When there is no terminal any more.
pub(crate) fn redraw(mut look: impl FnMut() -> anyhow::Result<Vec<String>>) -> anyhow::Result<()> {
    let signals = Signals::held()?;
    let _screen = Screen::enter()?;
    loop {
        draw(&look()?)?;
        if signals.wait(EVERY)? {
            return Ok(());
        }
    }
}

fn draw(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{HOME}")?;
    let rows = rustix::termios::tcgetwinsize(&out).map_or(24, |size| usize::from(size.ws_row.max(2)));
    for (index, line) in lines.iter().take(rows).enumerate() {
        // The last line has no end, which would move the screen up.
        let end = if index + 1 == lines.len().min(rows) { "" } else { "\r\n" };
        write!(out, "{line}{REST_OF_LINE}{end}")?;
    }
    write!(out, "{REST}")?;
    out.flush()
}

/// The screen that is drawn on; the one from before comes back when this is dropped.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        let mut out = io::stdout().lock();
        write!(out, "{ENTER}")?;
        out.flush()?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        drop(write!(out, "{LEAVE}").and_then(|()| out.flush()));
    }
}

/// Those that ask for an end, and the one that says that the terminal has another size.
struct Signals(SignalFd);

impl Signals {
    fn held() -> nix::Result<Self> {
        let mut set = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGWINCH]
            .into_iter()
            .for_each(|signal| set.add(signal));
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Whether one that asks for an end has come in this time; returns at once when one has.
    fn wait(&self, time: Duration) -> nix::Result<bool> {
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => (),
            Err(errno) => return Err(errno),
        }
        let resized = Signal::SIGWINCH as u32;
        Ok(self.0.read_signal()?.is_some_and(|signal| signal.ssi_signo != resized))
    }
}
