//! A user of the guest at a terminal of the test: every byte that a program writes to it, without a
//! shell.

use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};

use super::{COMMAND_LIMIT, Guest};
use crate::pseudo_terminal::PseudoTerminal;

impl Guest {
    /// Runs a command of this user in the home, at a terminal with this many columns. Its
    /// environment is the home, a path, and these variables.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn run_at_terminal(
        &self,
        user: &str,
        variables: &[(&str, &str)],
        words: &[&str],
        columns: u16,
    ) -> PseudoTerminal {
        let command = self.as_user(user, variables, words);
        PseudoTerminal::start(&command, columns, |mut session| session.spawn())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// As above, with a pipe as input, and one pipe for output and errors in their order. Also
    /// returns the exit code, or `None` after a signal.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn run_in_pipe(
        &self,
        user: &str,
        variables: &[(&str, &str)],
        words: &[&str],
        input: &[u8],
    ) -> (Option<i32>, String) {
        let (mut reader, writer) = pipe().expect("a pipe");
        let mut command = self.as_user(user, variables, words);
        let errors = writer.try_clone().expect("its other end, once more");
        command.stdin(Stdio::piped()).stdout(writer).stderr(errors);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command holds the writing ends of the pipe, which must be closed here.
        drop(command);
        // A program that does not read its input closes the pipe; the test decides about that.
        drop(child.stdin.take().map(|mut pipe| pipe.write_all(input)));
        let mut output = Vec::new();
        reader.read_to_end(&mut output).expect("its output");
        let status = child.wait().expect("its end");
        (status.code(), String::from_utf8_lossy(&output).into_owned())
    }

    fn as_user(&self, user: &str, variables: &[(&str, &str)], words: &[&str]) -> Command {
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let mut command = self.inside();
        command
            .arg("timeout")
            .args(["--foreground", "--kill-after=5"])
            .arg(COMMAND_LIMIT.as_secs().to_string());
        if user != "root" {
            command.args(["runuser", "-u", user, "--"]);
        }
        command.args(["env", "-i", &format!("--chdir={home}"), &format!("HOME={home}")]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}"))).args(words);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}
