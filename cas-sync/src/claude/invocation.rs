//! How `claude` is run: one short question, no tools, no session, no settings of anybody's; all variables literal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::scratch::Scratch;

/// The question, and everything that keeps its answer small and its traces away. All of these are known to the client
/// from 2.1.197 on.
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

/// What bounds it from inside, and what keeps it from everything but the question. Times are in milliseconds.
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

/// Where the programs are that an installation of `claude` may need beside itself.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A sign-in of an organisation's: an address to sign in with follows, if it is known.
const SIGN_IN: [&str; 4] = ["auth", "login", "--claudeai", "--sso"];

/// What the client starts in the place of a browser: the address is shown instead, since the browser may be elsewhere.
const NO_BROWSER: &str = "/bin/true";

/// A program, and the variables that the network of its machine asks for.
#[derive(Clone)]
pub(super) struct Invocation {
    program: PathBuf,
    network: BTreeMap<String, String>,
}

impl Invocation {
    pub(super) fn new(program: PathBuf, network: BTreeMap<String, String>) -> Self {
        Self { program, network }
    }

    /// The question, to be asked with this home, in a process group of its own: what is typed at a terminal is not meant
    /// for it. Both outputs are files, so that nothing depends on who reads them.
    pub(super) fn question(&self, scratch: &Scratch, home: &Path) -> io::Result<Command> {
        let mut command = self.program(scratch, home)?;
        command.args(ARGUMENTS);
        Ok(command)
    }

    /// The question after its version.
    pub(super) fn version(&self, scratch: &Scratch) -> io::Result<Command> {
        let mut command = self.program(scratch, scratch.path())?;
        command.arg("--version");
        Ok(command)
    }

    /// A sign-in that leaves what it obtains in the scratch directory, and is told the code on its standard input.
    pub(super) fn sign_in(&self, scratch: &Scratch, address: Option<&str>) -> io::Result<Command> {
        let mut command = self.program(scratch, scratch.path())?;
        command.args(SIGN_IN).args(address.map(|address| format!("--email={address}")));
        command.env("CLAUDE_CONFIG_DIR", scratch.config_directory()).env("BROWSER", NO_BROWSER);
        command.stdin(Stdio::piped());
        Ok(command)
    }

    /// Gives up what a sign-in has left in a scratch directory, at the server too; what is said goes to another one.
    pub(super) fn sign_out(&self, signed_in: &Scratch, scratch: &Scratch) -> io::Result<Command> {
        let mut command = self.program(scratch, signed_in.path())?;
        command.args(["auth", "logout"]).env("CLAUDE_CONFIG_DIR", signed_in.config_directory());
        Ok(command)
    }

    fn program(&self, scratch: &Scratch, home: &Path) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(VARIABLES).envs(&self.network);
        command.env("PATH", self.search_path()).env("HOME", home);
        command.env("TMPDIR", scratch.temporary()).env("CLAUDE_CODE_TMPDIR", scratch.temporary());
        // Another store of logins that the client would look into.
        command.env("ANTHROPIC_CONFIG_DIR", scratch.empty());
        command.current_dir(scratch.path()).process_group(0).stdin(Stdio::null());
        command.stdout(scratch.create_stdout()?).stderr(scratch.create_stderr()?);
        Ok(command)
    }

    /// An installation by npm is a script whose `node` lies beside it.
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
    fn it_gets_these_variables_and_no_other() {
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
