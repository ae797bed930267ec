//! Somebody of the guest's at a terminal of the test's own: every byte that a program shows there, and nothing of a shell's.

use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};

use super::{COMMAND_LIMIT, Guest};
use crate::pseudo_terminal::PseudoTerminal;

impl Guest {
    /// A command of this user's, in their home, with nothing in its environment but where that is, a path, and these
    /// variables; at a terminal of so many columns.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn at_a_terminal(
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

    /// The same with a pipe that it is given `input` on, and one that both its output and its errors go to, in the order in
    /// which they come; with its exit code, which is none when it was ended by a signal.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn in_a_pipe(
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
        // The command holds the ends of the pipe that are written to, and so must nobody else.
        drop(command);
        // Whoever reads nothing closes it: that is for the test to judge.
        drop(child.stdin.take().map(|mut pipe| pipe.write_all(input)));
        let mut shown = Vec::new();
        reader.read_to_end(&mut shown).expect("what it says");
        let status = child.wait().expect("its end");
        (status.code(), String::from_utf8_lossy(&shown).into_owned())
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
