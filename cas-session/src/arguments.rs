//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use cas_protocol::reply;
use lexopt::{Arg, Parser, ValueExt};

/// A command line that cannot be meant.
pub(crate) const USAGE: u8 = 2;

const HELP: &str = "\
cas-session - have a working Claude login before the first `claude` of a session

  cas-session login --user=NAME [--reply=1] [--deadline-ms=N] [--minimum-uid=N] [--debug]
      Mend the login of NAME if it is broken, and print one reply line with the setup-token, if there is one.
      The PAM module starts this as root; it becomes NAME before it touches anything.
        --reply=1          the form of the reply line (the only one there is)
        --deadline-ms=N    end after at most N milliseconds (kept within 100 and 60000; default 2000)
        --minimum-uid=N    do nothing for user ids below N (default 1000)
        --debug            leave a line in the journal even when there was nothing to do

  cas-session exec [--wait=SECONDS] [--] COMMAND [ARGUMENT...]
      Wait for a repair in progress (at most SECONDS, default 3), then run COMMAND with your own setup-token in its
      environment, if you have one. For tmux and scripts.

  cas-session environment
      Print your own setup-token as one line CLAUDE_CODE_OAUTH_TOKEN=TOKEN if you are enrolled and have one, else nothing.
      For login shells and systemd's user manager.

  cas-session notice
      Print the one line for you, if there is something that you should know and you are to be told now: of most things
      once a day. For login shells.

  cas-session --help | --version
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// A login.
    Login(Login),
    /// A program to launch.
    Exec(Exec),
    /// The line for an environment.
    Environment,
    /// The line for the person.
    Notice,
    /// The text above.
    Help,
    /// The version.
    Version,
}

/// A login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// Whose.
    pub(crate) user: String,
    /// How long it may take.
    pub(crate) deadline: Duration,
    /// User ids below this one are left alone.
    pub(crate) minimum_uid: u32,
    /// Whether a login without anything to do leaves a line too.
    pub(crate) debug: bool,
}

/// A program to launch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    /// How long to wait for a repair in progress.
    pub(crate) wait: Duration,
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
}

impl Command {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(arguments);
        match parser.next()? {
            Some(Arg::Value(name)) if name == "login" => login(parser),
            Some(Arg::Value(name)) if name == "exec" => exec(parser),
            Some(Arg::Value(name)) if name == "environment" => alone(parser, Self::Environment),
            Some(Arg::Value(name)) if name == "notice" => alone(parser, Self::Notice),
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
                        "--reply={version} is not known here; this program knows {}",
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

/// A command without any options.
fn alone(mut parser: Parser, command: Command) -> Result<Command, lexopt::Error> {
    match parser.next()? {
        None => Ok(command),
        Some(Arg::Long("help")) => Ok(Command::Help),
        Some(other) => Err(other.unexpected()),
    }
}

/// A whole number that is not negative.
fn number<N: FromStr>(parser: &mut Parser, option: &str) -> Result<N, lexopt::Error> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|_| format!("{option}={text} is no whole number that fits").into())
}

/// Prints the help.
pub(crate) fn print_help() -> ExitCode {
    print(HELP)
}

/// Prints the version.
pub(crate) fn print_version() -> ExitCode {
    print(concat!("cas-session ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// Says what is wrong with the command line.
pub(crate) fn usage_error(error: &lexopt::Error) -> ExitCode {
    print_error(&format!("{error}; see `cas-session --help`"));
    ExitCode::from(USAGE)
}

/// Tells a person at a terminal what went wrong. Under the PAM module this goes to /dev/null.
pub(crate) fn print_error(what: &str) {
    // Nothing can be done about a terminal that is gone.
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
    fn a_login_is_understood() {
        let login =
            Login { user: "-x".into(), deadline: Duration::from_millis(1900), minimum_uid: 500, debug: true };
        let line = "login --reply=1 --deadline-ms=1900 --minimum-uid=500 --debug --user=-x";
        assert_eq!(parse(line), Ok(Command::Login(login)));
        let Ok(Command::Login(hasty)) = parse("login --deadline-ms=0 --user=a") else { panic!("understood") };
        assert_eq!(hasty.deadline, Duration::from_millis(100));
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let command = vec!["claude".into(), "--help".into(), "--".into(), "x".into()];
        let exec = Exec { wait: Duration::from_secs(3), command };
        assert_eq!(parse("exec -- claude --help -- x"), Ok(Command::Exec(exec)));
        assert!(
            matches!(parse("exec --wait=1 claude --wait=9"), Ok(Command::Exec(Exec { wait, .. })) if wait.as_secs() == 1)
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
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
