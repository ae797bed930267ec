//! The command lines of `claude`: one short question, without tools, a session or settings of a
//! user. All variables are set here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::scratch::Scratch;

/// The question, with options that keep the answer short and leave no traces. The client knows all
/// of them from 2.1.197 on.
const ARGUMENTS: [&str; 18] = [
    "-p",
    "Reply with exactly AUTH_OK and nothing else.",
    "--model",
    "haiku",
    "--max-turns",
    "1",
    "--output-format",
    "stream-json",
    "--verbose",
    "--no-session-persistence",
    "--tools",
    "",
    "--disable-slash-commands",
    "--setting-sources",
    "",
    "--strict-mcp-config",
    "--system-prompt",
    "Reply with AUTH_OK.",
];

/// Variables that limit the client to the question and its time. Times are in milliseconds.
const VARIABLES: [(&str, &str); 10] = [
    ("LANG", "C.UTF-8"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "1"),
    ("API_TIMEOUT_MS", "15000"),
    ("CLAUDE_STREAM_IDLE_TIMEOUT_MS", "15000"),
    ("CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS", "15000"),
    ("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1"),
];

/// The directories of programs that an installation of `claude` may need.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A sign-in to an organization; an option with the email follows if it is known.
const SIGN_IN: [&str; 4] = ["auth", "login", "--claudeai", "--sso"];

/// The client runs this instead of a browser: cas-sync shows the URL, because the browser may be on
/// another device.
const NO_BROWSER: &str = "/bin/true";

/// A client, with the variables that the network of the machine needs.
#[derive(Clone)]
pub(super) struct Invocation {
    program: PathBuf,
    network: BTreeMap<String, String>,
}

impl Invocation {
    pub(super) fn new(program: PathBuf, network: BTreeMap<String, String>) -> Self {
        Self { program, network }
    }

    /// Returns the command that asks the question with this home, in its own process group, so that
    /// keys at the terminal do not signal it. Both outputs are files, so that no reader can block
    /// it.
    pub(super) fn question(&self, scratch: &Scratch, home: &Path) -> io::Result<Command> {
        let mut command = self.program(scratch, home)?;
        command.args(ARGUMENTS);
        Ok(command)
    }

    /// Returns the command that prints the version.
    pub(super) fn version(&self, scratch: &Scratch) -> io::Result<Command> {
        let mut command = self.program(scratch, scratch.path())?;
        command.arg("--version");
        Ok(command)
    }

    /// Returns the command of a sign-in that writes the login to the temporary directory and reads
    /// the code from its standard input.
    pub(super) fn sign_in(&self, scratch: &Scratch, email: Option<&str>) -> io::Result<Command> {
        let mut command = self.program(scratch, scratch.path())?;
        command.args(SIGN_IN).args(email.map(|email| format!("--email={email}")));
        command.env("CLAUDE_CONFIG_DIR", scratch.config_directory()).env("BROWSER", NO_BROWSER);
        command.stdin(Stdio::piped());
        Ok(command)
    }

    /// Returns the command that signs out the login in one temporary directory; its output goes to
    /// another one. Only the debug output of older clients says whether the login was revoked.
    pub(super) fn sign_out(&self, signed_in: &Scratch, scratch: &Scratch) -> io::Result<Command> {
        let mut command = self.program(scratch, signed_in.path())?;
        command
            .args(["--debug-to-stderr", "auth", "logout"])
            .env("CLAUDE_CONFIG_DIR", signed_in.config_directory());
        Ok(command)
    }

    fn program(&self, scratch: &Scratch, home: &Path) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(VARIABLES).envs(&self.network);
        command.env("PATH", self.search_path()).env("HOME", home);
        command.env("TMPDIR", scratch.temporary()).env("CLAUDE_CODE_TMPDIR", scratch.temporary());
        // The client would read logins from this directory too.
        command.env("ANTHROPIC_CONFIG_DIR", scratch.empty());
        command.current_dir(scratch.path()).process_group(0).stdin(Stdio::null());
        command.stdout(scratch.create_stdout()?).stderr(scratch.create_stderr()?);
        Ok(command)
    }

    /// The program of an npm installation is a script, and its `node` is in the same directory.
    fn search_path(&self) -> OsString {
        let mut path = self.program.parent().map(|parent| parent.as_os_str().to_owned()).unwrap_or_default();
        path.push(":");
        path.push(SYSTEM_PATH);
        path
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn question_gets_only_listed_variables() {
        let scratch = Scratch::new().expect("a scratch directory");
        let network = BTreeMap::from([("HTTPS_PROXY".to_owned(), "http://proxy:3128".to_owned())]);
        let invocation = Invocation::new("/opt/node/bin/claude".into(), network);
        let command = invocation.question(&scratch, Path::new("/home/alice")).expect("a command");
        let variables: BTreeMap<_, _> = command.get_envs().collect();
        assert_eq!(variables.len(), VARIABLES.len() + 6, "{variables:?}");
        let value = |name: &str| variables.get(OsStr::new(name)).copied().flatten();
        assert_eq!(value("HOME"), Some(OsStr::new("/home/alice")));
        assert_eq!(value("HTTPS_PROXY"), Some(OsStr::new("http://proxy:3128")));
        assert_eq!(value("PATH"), Some(OsStr::new("/opt/node/bin:/usr/local/bin:/usr/bin:/bin")));
        assert_eq!(command.get_current_dir(), Some(scratch.path()));
    }
}
