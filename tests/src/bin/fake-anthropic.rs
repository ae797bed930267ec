//! The simulated Anthropic servers as a program, to be started inside a guest or another network
//! namespace:
//!
//! ```text
//! fake-anthropic serve --listen ADDRESS:PORT [--listen …] --authority DIR --control SOCKET
//! fake-anthropic say --control SOCKET '{"do": "requests"}'
//! ```
//!
//! `serve` makes a new authority, writes its certificate to DIR/ca.pem, listens, and then creates
//! SOCKET. When the socket exists, clients can be started. `say` prints the answer.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use anyhow::{Context, bail};
use cas_tests::anthropic::{FakeAnthropic, control};
use cas_tests::tls_authority::TlsAuthority;
use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse(lexopt::Parser::from_env())?;
    match arguments.verb.as_deref() {
        Some("serve") => serve(&arguments),
        Some("say") => send_command(&arguments),
        _ => bail!("say what to do: serve --listen … --authority … --control …, or say --control … JSON"),
    }
}

fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let directory = arguments.authority.as_ref().context("--authority DIR is missing")?;
    let socket = arguments.control.as_ref().context("--control SOCKET is missing")?;
    let bind =
        |address: &SocketAddr| TcpListener::bind(address).with_context(|| format!("listening on {address}"));
    let listeners = arguments.listen.iter().map(bind).collect::<anyhow::Result<Vec<_>>>()?;
    if listeners.is_empty() {
        bail!("--listen ADDRESS:PORT is missing");
    }
    let authority = TlsAuthority::new("claude-auth-sync tests: Anthropic");
    authority.write_to(directory).with_context(|| format!("writing to {}", directory.display()))?;
    let anthropic = FakeAnthropic::start(listeners, &authority);
    match fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the old {}", socket.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(socket).with_context(|| format!("listening on {}", socket.display()))?;
    control::execute(&listener, &anthropic).context("the control socket")
}

fn send_command(arguments: &Arguments) -> anyhow::Result<()> {
    let socket = arguments.control.as_ref().context("--control SOCKET is missing")?;
    let command = arguments.command.as_deref().context("the command, a JSON object, is missing")?;
    let answer =
        control::send_line(socket, command).with_context(|| format!("asking {}", socket.display()))?;
    println!("{answer}");
    Ok(())
}

#[derive(Default)]
struct Arguments {
    verb: Option<String>,
    command: Option<String>,
    listen: Vec<SocketAddr>,
    authority: Option<PathBuf>,
    control: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut parser: lexopt::Parser) -> anyhow::Result<Self> {
        let mut arguments = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => arguments.listen.push(parser.value()?.parse()?),
                Long("authority") => arguments.authority = Some(parser.value()?.into()),
                Long("control") => arguments.control = Some(parser.value()?.into()),
                Value(text) if arguments.verb.is_none() => arguments.verb = Some(word(text)?),
                Value(text) if arguments.command.is_none() => arguments.command = Some(word(text)?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(arguments)
    }
}

fn word(text: OsString) -> anyhow::Result<String> {
    Ok(text.string()?)
}
