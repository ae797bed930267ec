//! One run of the client with literal arguments and variables.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

use super::{ClaudeFixture, ClaudeUser, ClientError, ClientOutput, Conversation};

/// The interval between two checks whether a child has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The arguments of one short question, with the settings of the user and of the project.
pub const QUESTION: [&str; 12] = [
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
];

/// A run that has not started.
#[derive(Clone)]
pub struct Invocation<'fixture> {
    fixture: &'fixture ClaudeFixture,
    program: &'static str,
    uid: u32,
    directory: PathBuf,
    descriptor: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl<'fixture> Invocation<'fixture> {
    /// Returns one short question, answered as a stream of JSON events. The session is not kept.
    pub(super) fn new(user: &ClaudeUser<'fixture>) -> Self {
        let fixture = user.fixture;
        let home = user.own_view.display().to_string();
        let temporary = format!("{home}/tmp");
        let authority = fixture.path("ca.pem").display().to_string();
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            ("HOME", &home),
            ("USER", &user.name),
            ("LOGNAME", &user.name),
            ("SHELL", "/bin/sh"),
            ("TMPDIR", &temporary),
            ("CLAUDE_CODE_TMPDIR", &temporary),
            ("NODE_EXTRA_CA_CERTS", &authority),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_TELEMETRY", "1"),
            ("DISABLE_ERROR_REPORTING", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("CLAUDE_CODE_MAX_RETRIES", "1"),
        ];
        let arguments = QUESTION.into_iter().chain(["--disable-slash-commands", "--setting-sources", ""]);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            fixture,
            program: "claude",
            uid: user.uid,
            directory: user.own_view.clone(),
            descriptor: None,
            variables: variables.map(owned).into(),
            arguments: arguments.map(str::to_owned).collect(),
        }
    }

    /// Returns `cas-sync run` with the environment of a service.
    pub(super) fn for_sync(user: &ClaudeUser<'fixture>) -> Self {
        let variables = [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            fixture: user.fixture,
            program: "cas-sync",
            uid: user.uid,
            directory: user.own_view.clone(),
            descriptor: None,
            variables: variables.map(owned).into(),
            arguments: vec!["run".to_owned()],
        }
    }

    /// Runs as root, in a working directory that identifies no user.
    pub(super) fn with_root_user(self) -> Self {
        Self { uid: 0, directory: PathBuf::from("/"), ..self }
    }

    /// Removes a variable.
    pub(super) fn without_variable(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Selects another program of the fixture.
    #[must_use]
    pub fn program(mut self, name: &'static str) -> Self {
        self.program = name;
        self
    }

    /// Sets one more variable, or another value.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Replaces all arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// Selects another working directory than the home.
    #[must_use]
    pub fn directory(mut self, directory: PathBuf) -> Self {
        self.directory = directory;
        self
    }

    /// Opens a file as descriptor 3.
    #[must_use]
    pub fn descriptor(mut self, file: PathBuf) -> Self {
        self.descriptor = Some(file);
        self
    }

    /// Runs to the end, with an empty standard input.
    ///
    /// # Errors
    /// [`ClientError`] if it did not start, or has not ended after `limit` and was killed.
    pub fn run(&self, limit: Duration) -> Result<ClientOutput, ClientError> {
        self.start()?.end(limit)
    }

    /// Starts it in the background, with an empty standard input.
    ///
    /// # Errors
    /// [`ClientError::NotStarted`].
    pub fn start(&self) -> Result<BackgroundRun, ClientError> {
        self.start_with_stdin(Stdio::null())
    }

    /// As above, with a pipe as standard input: [`BackgroundRun::write_line`].
    ///
    /// # Errors
    /// [`ClientError::NotStarted`].
    pub fn start_with_input(&self) -> Result<BackgroundRun, ClientError> {
        self.start_with_stdin(Stdio::piped())
    }

    fn start_with_stdin(&self, stdin: Stdio) -> Result<BackgroundRun, ClientError> {
        let directory = tempfile::tempdir_in(self.fixture.scratch.path())?;
        let mut command = self.command();
        command.stdin(stdin).stdout(File::create(directory.path().join("stdout"))?);
        command.stderr(File::create(directory.path().join("stderr"))?);
        let child = self.fixture.namespaces.run(move || command.spawn())?;
        Ok(BackgroundRun { child, directory })
    }

    /// Starts a conversation of several turns in one process: questions and answers are JSON events
    /// on pipes.
    ///
    /// # Errors
    /// [`ClientError::NotStarted`].
    pub fn start_conversation(mut self) -> Result<Conversation, ClientError> {
        self.arguments.retain(|argument| {
            !argument.starts_with("Reply") && argument != "--max-turns" && argument != "1"
        });
        self.arguments.extend(["--input-format".to_owned(), "stream-json".to_owned()]);
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Conversation::new(self.fixture.namespaces.run(move || command.spawn())?))
    }

    /// Returns the command without its output. With a new user id the standard library drops the
    /// supplementary groups.
    fn command(&self) -> Command {
        let program = self.fixture.path(self.program);
        let mut command = match &self.descriptor {
            None => Command::new(program),
            Some(file) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", "exec 3<\"$0\"; exec \"$@\""]).args([file, &program]);
                shell
            }
        };
        command.env_clear().envs(&self.variables).args(&self.arguments);
        command.current_dir(&self.directory).uid(self.uid).gid(self.uid).stdin(Stdio::null());
        command
    }
}

/// A run in the background; dropping it kills the client.
pub struct BackgroundRun {
    child: Child,
    directory: tempfile::TempDir,
}

impl BackgroundRun {
    /// Waits for the end.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] if it has not ended after `limit`; it was killed then.
    pub fn end(mut self, limit: Duration) -> Result<ClientOutput, ClientError> {
        let deadline = Deadline::after(limit);
        let status = wait(&mut self.child, &deadline)?;
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        let (stdout, stderr) = (read("stdout"), read("stderr"));
        match status {
            Some(status) => Ok(ClientOutput::new(status.code(), stdout, stderr)),
            None => Err(ClientError::TimedOut { limit, stdout, stderr }),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.directory.path().join("stdout")).unwrap_or_default()
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// Errors of the pipe, and if there is none.
    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        let pipe = self.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(pipe, "{line}")
    }

    /// Returns true while it is running.
    ///
    /// # Errors
    /// Errors of waitpid(2).
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it with SIGKILL, as a lost connection or a `timeout -k` might, and waits for its end.
    pub fn kill(mut self) {
        kill(&mut self.child);
    }
}

impl Drop for BackgroundRun {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Waits until the child has ended; at the deadline it is killed and `None` returned.
pub(super) fn wait(child: &mut Child, deadline: &Deadline) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.is_expired() {
            kill(child);
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Ends the child if it has not ended; an error means that it has.
pub(super) fn kill(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}
