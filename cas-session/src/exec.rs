//! `cas-session exec`: a program with the person's own setup-token in its environment, and none that was withdrawn.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::state::directory::{StateDirectory, StateLock};
use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_core::system::account::{Account, Paths};
use cas_protocol::deadline::Deadline;
use cas_protocol::setup_token::VARIABLE;
use nix::unistd::Uid;

use crate::arguments::{Exec, print_error};

/// Runs the program in this process; returns only when that fails.
pub(crate) fn run(request: &Exec) -> ExitCode {
    match launch(request) {
        Ok(never) => match never {},
        Err(error) => {
            print_error(&format!("{error:#}"));
            ExitCode::from(if is_missing(&error) { 127 } else { 126 })
        }
    }
}

fn launch(request: &Exec) -> Result<std::convert::Infallible> {
    let account = Account::from_uid(Uid::effective())?;
    let paths = Paths::new(&account.home, path_variable);
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    wait_for_repair(&state, request);
    let (program, arguments) = request.command.split_first().context("the command to run is missing")?;
    let mut command = Command::new(program);
    command.args(arguments);
    match EnvFile::new(paths.env_file, account.uid.as_raw()).read() {
        EnvFileContent::Token(token) => drop(command.env(VARIABLE, token.expose())),
        EnvFileContent::Absent if inherits_a_withdrawn_token(&state) => drop(command.env_remove(VARIABLE)),
        EnvFileContent::Absent => (),
        EnvFileContent::Malformed(why) | EnvFileContent::Unreadable(why) => {
            print_error(&format!("setup-token not used: {why}"))
        }
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", program.to_string_lossy()))
}

/// A repair takes milliseconds; one that hangs is not waited for longer than asked.
fn wait_for_repair(state: &StateDirectory, request: &Exec) {
    if state.path("repair.lock").exists() {
        drop(state.lock(StateLock::Restore, &Deadline::after(request.wait)));
    }
}

/// A tmux server keeps the environment of the login that started it: a token that was withdrawn since would outrank the
/// login file. One that is none of ours stays.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is the caller's own, and this program hands it on"
)]
fn inherits_a_withdrawn_token(state: &StateDirectory) -> bool {
    let inherited = std::env::var(VARIABLE).ok().map(|token| Fingerprint::from_bytes(&token));
    let withdrawn = state.ledger().map(|ledger| ledger.withdrawn_tokens).unwrap_or_default();
    inherited.is_some_and(|token| withdrawn.contains(&token))
}

#[expect(clippy::disallowed_methods, reason = "the overrides are a contract")]
fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
