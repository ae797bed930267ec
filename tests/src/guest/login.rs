//! Logs in to the guest: by ssh, at the console, or with a program that uses ssh.

use std::{process::Command, time::Duration};

use super::{CommandResult, Guest, Terminal};

impl Guest {
    /// Runs `ssh USER@guest COMMAND`: a real login, without a terminal.
    pub fn ssh(&self, user: &str, command: &str) -> CommandResult {
        CommandResult::run(self.ssh_command(user, &["-T"], command), b"")
    }

    /// As [`Guest::ssh`], for a login that must end within this time, as in
    /// [`CommandResult::run_within`]. Returns the login that was in time, and the number of
    /// attempts.
    ///
    /// # Panics
    /// If three logins take longer, or one fails.
    #[track_caller]
    pub fn ssh_within(&self, limit: Duration, user: &str, command: &str) -> (CommandResult, usize) {
        let doing = format!("a login of {user}");
        CommandResult::within_limit_attempts(limit, &doing, || {
            self.ssh(user, command).expect_success("a login")
        })
    }

    /// Opens an interactive ssh session with a terminal, without waiting.
    pub fn ssh_terminal(&self, user: &str) -> Terminal {
        Terminal::spawn(self.ssh_command(user, &["-tt"], ""))
    }

    /// Logs in at a console: a real getty that asks for the name, and a real login that asks for
    /// the password.
    ///
    /// # Panics
    /// If the prompt of a shell does not appear.
    #[track_caller]
    pub fn console(&self, user: &str) -> Terminal {
        let mut command = self.inside();
        command.args(["systemd-run", "--quiet", "--pty", "--wait", "--collect"]);
        command.args(["/sbin/agetty", "--noclear", "-", "dumb"]);
        let mut terminal = Terminal::spawn(command);
        terminal.wait_for("login: ");
        terminal.type_line(user);
        terminal.wait_for("Password: ");
        terminal.type_line(&format!("{user}-password"));
        terminal.wait_for("$ ");
        terminal
    }

    /// Returns the command line of an ssh client on this host that logs in to the guest.
    pub fn ssh_command(&self, user: &str, flags: &[&str], command: &str) -> Command {
        let mut client = self.guest_network_command("ssh");
        client.args(flags).args(self.client_options()).arg(format!("{user}@127.0.0.1"));
        if !command.is_empty() {
            client.arg(command);
        }
        client
    }

    /// Runs another client of ssh (`scp`, `sftp`) on this host, with the options for the guest and
    /// bytes on its standard input.
    pub fn ssh_tool(&self, tool: &str, arguments: &[&str], input: &[u8]) -> CommandResult {
        let mut client = self.guest_network_command(tool);
        client.args(self.client_options()).args(arguments);
        CommandResult::run(client, input)
    }

    fn guest_network_command(&self, program: &str) -> Command {
        let prefix = self.network_prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(program);
        command
    }

    /// Returns options that exclude the ssh settings, keys and agent of this host, and select
    /// algorithms that cost little: the default key exchange computes for 70 ms at each login.
    fn client_options(&self) -> Vec<String> {
        let mut options =
            vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), self.key.display().to_string()];
        for option in [
            "UserKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=no",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "ControlMaster=no",
            "ConnectTimeout=30",
            "KexAlgorithms=ecdh-sha2-nistp256",
            "HostKeyAlgorithms=ecdsa-sha2-nistp256",
        ] {
            options.extend(["-o".to_owned(), option.to_owned()]);
        }
        options
    }
}
