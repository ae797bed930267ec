//! `cas-session exec`: runs a program with the user's setup token in its environment, and without a
//! withdrawn one.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::outcome::ExitStatus;
use cas_core::state::directory::{StateDirectory, StateLock};
use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_core::system::account::{Account, Paths};
use cas_core::system::identity::Identities;
use cas_protocol::deadline::Deadline;
use cas_protocol::setup_token::VARIABLE;
use nix::unistd::Uid;

use crate::arguments::{Exec, print_error};
use crate::bounded_output::login_name;

/// Replaces this process by the program. Returns only on failure.
pub(crate) fn run(request: &Exec) -> ExitCode {
    match launch(request) {
        Ok(never) => match never {},
        Err(error) => {
            print_error(&format!("{error:#}"));
            (if is_missing(&error) { ExitStatus::NotFound } else { ExitStatus::CannotExecute }).into()
        }
    }
}

fn launch(request: &Exec) -> Result<std::convert::Infallible> {
    let account = Account::for_session(Uid::effective(), login_name().as_deref())?;
    let paths = Paths::new(&account.home, path_variable);
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    wait_for_restore(&state, request);
    let (program, arguments) = request.command.split_first().context("the command to run is missing")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let content = match Identities::open().check(&account) {
        Ok(()) => EnvFile::new(paths.env_file, account.uid.as_raw()).read(),
        // The files in this home may belong to the former user.
        Err(error) => EnvFileContent::Unreadable(error.to_string()),
    };
    match content {
        EnvFileContent::Token(token) => drop(command.env(VARIABLE, token.expose())),
        EnvFileContent::Absent if inherits_withdrawn_token(&state) => drop(command.env_remove(VARIABLE)),
        EnvFileContent::Absent => (),
        EnvFileContent::Malformed(why) | EnvFileContent::Unreadable(why) => {
            print_error(&format!("setup-token not used: {why}"))
        }
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", program.to_string_lossy()))
}

/// Waits up to the requested time for a restore in progress, which usually takes milliseconds.
fn wait_for_restore(state: &StateDirectory, request: &Exec) {
    if state.path("repair.lock").exists() {
        drop(state.lock(StateLock::Restore, &Deadline::after(request.wait)));
    }
}

/// Returns true if the inherited token was withdrawn. A tmux server keeps the environment of the
/// login that started it, and such a token would take precedence over the login file. A token that
/// the user set stays.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is the caller's, and this program passes it on"
)]
fn inherits_withdrawn_token(state: &StateDirectory) -> bool {
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
