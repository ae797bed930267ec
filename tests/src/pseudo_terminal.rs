//! A terminal of the test: shows the output of a command, sends input, and reports whether it is
//! echoed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::screen::Screen;

/// The timeout for a text, or an end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The session leader runs the command, prints its exit status between two marks, and stays: when a
/// session leader ends, Linux hangs up the terminal, and pending output may be lost
/// (`tty_ldisc_hangup`). A shell's exit status above 128 is a signal; the shell's message about the
/// signal is hidden.
const LEADER: &str =
    "exec 3>&2 2>/dev/null; trap : INT; (exec \"$@\" 2>&3 3>&-); printf '\\001%d\\001' $?; exec sleep 60";
const MARK: char = '\u{1}';

/// A command at a terminal; dropping it ends the command.
pub struct PseudoTerminal {
    keyboard: File,
    leader: Child,
    screen: Arc<Screen>,
}

impl PseudoTerminal {
    /// Starts `command` in its own session, at a new terminal of this many columns. `spawn` starts
    /// it in its environment, such as other namespaces.
    ///
    /// # Errors
    /// Errors of making the terminal, and of starting the command.
    pub fn start(
        command: &Command,
        columns: u16,
        spawn: impl FnOnce(Command) -> io::Result<Child>,
    ) -> io::Result<Self> {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None)?;
        let end = |descriptor: &OwnedFd| descriptor.try_clone().map(Stdio::from);
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait", "/bin/sh", "-c", LEADER, "leader"]);
        session.arg(command.get_program()).args(command.get_args());
        session.env_clear().current_dir(command.get_current_dir().unwrap_or("/".as_ref()));
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        session.stdin(end(&pair.slave)?).stdout(end(&pair.slave)?).stderr(end(&pair.slave)?);
        drop(pair.slave);
        let leader = spawn(session)?;
        let keyboard = File::from(pair.master);
        let screen = Screen::new(keyboard.try_clone()?);
        Ok(Self { keyboard, leader, screen })
    }

    /// Waits until this text is on the screen.
    ///
    /// # Panics
    /// If it does not appear within a minute, or the command ends first; the message contains the
    /// screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.screen.wait_for(text, TIMEOUT, |output| output.contains(text).then_some(()));
    }

    /// Waits until the terminal echoes input, or until it does not.
    ///
    /// # Panics
    /// If that does not happen within a minute.
    #[track_caller]
    pub fn wait_for_echo_mode(&self, echoes: bool) {
        let deadline = Deadline::after(TIMEOUT);
        while self.echoes() != echoes {
            assert!(!deadline.is_expired(), "the screen shows:\n{}\n---", self.shown());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns true if the terminal echoes input now.
    ///
    /// # Panics
    /// If the terminal is closed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.keyboard).expect("a terminal").local_flags.contains(LocalFlags::ECHO)
    }

    /// Types this text; a line ends in `\n`, control-C is `\x03`.
    ///
    /// # Panics
    /// If the terminal is closed.
    pub fn type_text(&self, text: &str) {
        (&self.keyboard).write_all(text.as_bytes()).expect("the terminal is open");
    }

    /// Returns everything that was on the screen so far.
    pub fn shown(&self) -> String {
        self.screen.text()
    }

    /// Returns the process id of the command.
    ///
    /// # Panics
    /// If it has ended.
    pub fn pid(&self) -> u32 {
        let leader = self.leader.id();
        let children = fs::read_to_string(format!("/proc/{leader}/task/{leader}/children"));
        let children = children.expect("the leader's children");
        children.trim().parse().unwrap_or_else(|_| panic!("one child, not {children:?}"))
    }

    /// Waits for the end. Returns the status, everything that was on the screen, and whether the
    /// terminal echoes input again.
    ///
    /// # Panics
    /// If it does not end within a minute.
    #[track_caller]
    pub fn end(self) -> (ExitStatus, String, bool) {
        let (status, text, echoes) = self.finish_with_output();
        (status, text.replace('\r', ""), echoes)
    }

    /// As above, with every byte as the terminal got it, so that a line ends in `\r\n`.
    ///
    /// # Panics
    /// As [`PseudoTerminal::end`].
    #[track_caller]
    pub fn finish_with_output(self) -> (ExitStatus, String, bool) {
        let (output, code) = self.screen.wait_for("an end", TIMEOUT, |text| {
            let (output, rest) = text.split_once(MARK)?;
            let code: i32 = rest.split_once(MARK)?.0.parse().ok()?;
            Some((output.to_owned(), code))
        });
        let status = if code > 128 { code - 128 } else { code << 8 };
        (ExitStatus::from_raw(status), output, self.echoes())
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        // Either has ended already, or ends now.
        drop(self.leader.kill());
        drop(self.leader.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_shows_the_last_output_and_the_exit_status() {
        for round in 0..200 {
            let mut command = Command::new("sh");
            let words = format!("the last words of round {round}");
            command.env("PATH", "/usr/bin:/bin").args(["-c", &format!("echo {words}; kill -HUP $$")]);
            let terminal = PseudoTerminal::start(&command, 80, |mut session| session.spawn());
            let (status, output, echoes) = terminal.expect("a terminal").end();
            assert_eq!((status.signal(), output, echoes), (Some(1), format!("{words}\n"), true));
        }
    }
}
