//! A user at a terminal: types lines, and waits for output.
//!
//! The terminal itself is in the guest (sshd's or systemd-run's); on this side there are two pipes.

use std::{
    io::{self, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cas_protocol::deadline::Deadline;

use crate::screen::Screen;

/// The timeout for a text.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A session at a terminal of the guest.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Arc<Screen>,
    read_up_to: usize,
}

impl Terminal {
    pub(super) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let keyboard = child.stdin.take();
        let screen = match child.stdout.take() {
            Some(output) => Screen::new(output),
            None => Screen::new(io::empty()),
        };
        Self { child, keyboard, screen, read_up_to: 0 }
    }

    /// Waits until this text appears after the last awaited text, and returns the output up to its
    /// end.
    ///
    /// # Panics
    /// If it does not appear within half a minute, or the session ends first; the message contains
    /// the screen.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let read_up_to = self.read_up_to;
        let seen = self.screen.wait_for(text, TIMEOUT, |output| {
            let unread = output.get(read_up_to..)?;
            Some(unread.get(..unread.find(text)? + text.len())?.to_owned())
        });
        self.read_up_to += seen.len();
        seen
    }

    /// Types a line and the return key.
    ///
    /// # Panics
    /// If the other side no longer reads.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        let typed = self.keyboard.as_mut().map(|keyboard| {
            keyboard.write_all(format!("{line}\n").as_bytes()).and_then(|()| keyboard.flush())
        });
        assert!(matches!(typed, Some(Ok(()))), "the terminal is closed: {typed:?}");
    }

    /// Runs a command at the prompt and returns its output, without carriage returns.
    ///
    /// # Panics
    /// If it does not end within half a minute.
    #[track_caller]
    pub fn at_prompt(&mut self, command: &str) -> String {
        // The terminal echoes the input: in the echo the marks are still in two parts.
        self.type_line(&format!("echo 'begin''ning'; {command}; echo 'fin''ish'"));
        self.wait_for("beginning\r\n");
        let seen = self.wait_for("finish\r\n");
        seen.trim_end_matches("finish\r\n").replace('\r', "")
    }

    /// Leaves an inner shell, and waits for the prompt of the outer one.
    #[track_caller]
    pub fn leave_inner_shell(&mut self) {
        self.type_line("exit");
        self.wait_for("$ ");
    }

    /// Leaves the shell and waits until the session has ended. Returns the rest of the screen.
    ///
    /// # Panics
    /// If it does not end within half a minute.
    #[track_caller]
    pub fn leave(mut self) -> String {
        self.type_line("exit");
        let has_ended = self.screen.wait_for_end(&Deadline::after(TIMEOUT));
        let output = self.screen.text();
        assert!(has_ended, "the session does not end:\n{output}");
        output.get(self.read_up_to..).unwrap_or_default().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.keyboard.take());
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
