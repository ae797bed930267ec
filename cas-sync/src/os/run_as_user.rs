//! Root inspects files and processes of a user through a process that has become the user. So root
//! opens no file that the user cannot open, and the process has a time limit.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cas_core::system::account::{Account, AccountEntry, Paths};
use cas_core::system::privileges;
use cas_protocol::deadline::Deadline;
use nix::unistd::{Gid, Uid, setsid};

use crate::os::bounded_command::{Output, run_bounded};

/// Runs this program as root with these arguments, which make it become a user. Returns its output.
///
/// # Errors
/// If it cannot be started, times out, writes too much or fails.
pub(crate) fn run_as_user(arguments: &[&str], timeout: Duration) -> Result<Vec<u8>, String> {
    run_with_variables(arguments, std::iter::empty(), timeout)
}

/// Does the same as [`run_as_user`] with these variables as the whole environment.
///
/// # Errors
/// As for [`run_as_user`].
pub(crate) fn run_with_variables(
    arguments: &[&str],
    variables: impl Iterator<Item = (&'static str, String)>,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    // The running program, even if an upgrade has replaced its file.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(arguments).env_clear().envs(variables).current_dir("/");
    match run_bounded(&mut command, &Deadline::after(timeout)) {
        Ok(Output { stdout, success: true }) => Ok(stdout),
        Ok(_) => Err("the process that runs as the user failed".into()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("the process that runs as the user does not answer within {timeout:?}"))
        }
        Err(error) => Err(format!("cannot read from the process that runs as the user: {error}")),
    }
}

/// Becomes the user that root has named on the command line.
///
/// # Errors
/// If the caller is not root, or this process cannot become the user: then it must open no file.
fn drop_to_user(user: &str) -> anyhow::Result<Account> {
    leave_root_session()?;
    Ok(privileges::become_user(&AccountEntry::from_name(user)?)?)
}

/// Becomes the owner of a file, whose account may be missing.
///
/// # Errors
/// As for [`drop_to_user`].
pub(crate) fn become_owner(uid: Uid, gid: Gid) -> anyhow::Result<()> {
    leave_root_session()?;
    Ok(privileges::become_owner(uid, gid)?)
}

/// Detaches this process from root's terminal.
fn leave_root_session() -> anyhow::Result<()> {
    anyhow::ensure!(Uid::effective().is_root(), "only commands of root can run this");
    setsid()?;
    Ok(())
}

/// Becomes USER and prints the result of `inspect` as JSON for root. `variable` returns overrides
/// of the paths of the user's files.
///
/// # Errors
/// If the caller is not root, this process cannot become USER, or the result is not JSON.
pub(crate) fn serve_request(
    user: &str,
    variable: impl Fn(&str) -> Option<String>,
    inspect: impl FnOnce(&Account, &Paths) -> serde_json::Result<String>,
) -> anyhow::Result<()> {
    let account = drop_to_user(user)?;
    let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
    println!("{}", inspect(&account, &paths)?);
    Ok(())
}
