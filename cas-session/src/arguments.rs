//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use cas_core::outcome::ExitStatus;
use cas_protocol::reply;
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
cas-session - restore the Claude login at session start

  cas-session exec [--wait=SECONDS] [--] COMMAND [ARGUMENT...]
      Run COMMAND with your setup token in its environment, if you have one.
      Waits at most SECONDS (default 3) for a restore in progress. For tmux and
      scripts.

  cas-session environment
      Print your setup token as one line CLAUDE_CODE_OAUTH_TOKEN=TOKEN, if you
      are enrolled and have one. For login shells and systemd's user manager.

  cas-session notice
      Print your notice, one line, if it is due: most notices once a day. For
      login shells.

  cas-session login --user=NAME [OPTION...]
      Restore the login of NAME if it is lost, and print the reply line with
      the setup token. The PAM module starts this as root; it becomes NAME
      before it opens any file.
        --reply=1          format of the reply line (1 is the only one)
        --deadline-ms=N    end after N milliseconds (100 to 60000, default 2000)
        --minimum-uid=N    do nothing for user ids below N (default 1000)
        --debug            log a line even if there was nothing to do

  cas-session --help | --version
";

/// The command of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Handle a login.
    Login(Login),
    /// Run a program.
    Exec(Exec),
    /// Print the environment variable.
    Environment,
    /// Print the notice.
    Notice,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The arguments of `login`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user name.
    pub(crate) user: String,
    /// The time limit.
    pub(crate) deadline: Duration,
    /// The smallest user id that is served.
    pub(crate) minimum_uid: u32,
    /// True to log a line even if there was nothing to do.
    pub(crate) debug: bool,
}

/// The arguments of `exec`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    /// The time limit for a restore in progress.
    pub(crate) wait: Duration,
    /// The program and its arguments. Never empty.
    pub(crate) command: Vec<OsString>,
}

impl Command {
    /// Parses the arguments, without the program's name.
    ///
    /// # Errors
    /// The usage error.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(arguments);
        match parser.next()? {
            Some(Arg::Value(name)) if name == "login" => login(parser),
            Some(Arg::Value(name)) if name == "exec" => exec(parser),
            Some(Arg::Value(name)) if name == "environment" => without_options(parser, Self::Environment),
            Some(Arg::Value(name)) if name == "notice" => without_options(parser, Self::Notice),
            Some(Arg::Long("help") | Arg::Short('h')) => Ok(Self::Help),
            Some(Arg::Long("version") | Arg::Short('V')) => Ok(Self::Version),
            Some(other) => Err(other.unexpected()),
            None => Err("a command is missing".into()),
        }
    }
}

fn login(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let (mut user, mut millis, mut minimum_uid, mut debug) = (None, 2000_u64, 1000, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("user") => user = Some(parser.value()?.string()?),
            Arg::Long("deadline-ms") => millis = number(&mut parser, "--deadline-ms")?,
            Arg::Long("minimum-uid") => minimum_uid = number(&mut parser, "--minimum-uid")?,
            Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("debug") => debug = true,
            Arg::Long("reply") => {
                let version = parser.value()?.string()?;
                if version != reply::VERSION {
                    return Err(format!(
                        "--reply={version} is not supported; this program supports {}",
                        reply::VERSION
                    )
                    .into());
                }
            }
            other => return Err(other.unexpected()),
        }
    }
    let user = user.ok_or("--user=NAME is missing")?;
    Ok(Command::Login(Login {
        user,
        deadline: Duration::from_millis(millis.clamp(100, 60_000)),
        minimum_uid,
        debug,
    }))
}

fn exec(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut wait = Duration::from_secs(3);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("wait") => {
                let seconds: u32 = number(&mut parser, "--wait")?;
                wait = Duration::from_secs(seconds.into());
            }
            Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(program) => {
                let mut command = vec![program];
                command.extend(parser.raw_args()?);
                return Ok(Command::Exec(Exec { wait, command }));
            }
            other => return Err(other.unexpected()),
        }
    }
    Err("the command to run is missing".into())
}

/// Parses a command without options.
fn without_options(mut parser: Parser, command: Command) -> Result<Command, lexopt::Error> {
    match parser.next()? {
        None => Ok(command),
        Some(Arg::Long("help")) => Ok(Command::Help),
        Some(other) => Err(other.unexpected()),
    }
}

/// Parses a non-negative integer.
fn number<N: FromStr>(parser: &mut Parser, option: &str) -> Result<N, lexopt::Error> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|_| format!("{option}={text} is not a whole number in range").into())
}

/// Prints the help.
pub(crate) fn print_help() -> ExitCode {
    print(HELP)
}

/// Prints the version.
pub(crate) fn print_version() -> ExitCode {
    print(concat!("cas-session ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// Prints a usage error.
pub(crate) fn usage_error(error: &lexopt::Error) -> ExitCode {
    print_error(&format!("{error}; see `cas-session --help`"));
    ExitStatus::UsageError.into()
}

/// Prints an error to standard error. Under the PAM module this is /dev/null.
pub(crate) fn print_error(what: &str) {
    // A failure to write to a closed terminal is ignored.
    drop(writeln!(io::stderr(), "cas-session: {what}"));
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn login_arguments_are_parsed_and_clamped() {
        let login =
            Login { user: "-x".into(), deadline: Duration::from_millis(1900), minimum_uid: 500, debug: true };
        let line = "login --reply=1 --deadline-ms=1900 --minimum-uid=500 --debug --user=-x";
        assert_eq!(parse(line), Ok(Command::Login(login)));
        let Ok(Command::Login(short)) = parse("login --deadline-ms=0 --user=a") else { panic!("valid") };
        assert_eq!(short.deadline, Duration::from_millis(100));
    }

    #[test]
    fn exec_passes_options_of_its_command_on() {
        let command = vec!["claude".into(), "--help".into(), "--".into(), "x".into()];
        let exec = Exec { wait: Duration::from_secs(3), command };
        assert_eq!(parse("exec -- claude --help -- x"), Ok(Command::Exec(exec)));
        assert!(
            matches!(parse("exec --wait=1 claude --wait=9"), Ok(Command::Exec(Exec { wait, .. })) if wait.as_secs() == 1)
        );
    }

    #[test]
    fn invalid_command_line_is_rejected() {
        for line in [
            "",
            "logout",
            "login",
            "login --user",
            "login --reply=2 --user=a",
            "login --user=a extra",
            "exec",
            "exec --wait=x y",
            "environment extra",
            "notice --now",
            "environment --user=a",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
