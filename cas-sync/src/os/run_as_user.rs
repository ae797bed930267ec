//! Root asks about somebody's files and processes through a process that has become them: what lies in a home can lead it
//! nowhere its owner could not go, and it has a time limit.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cas_core::system::account::{Account, AccountEntry, Paths};
use cas_core::system::privileges::become_user;
use cas_protocol::deadline::Deadline;
use nix::unistd::{Uid, setsid};

use crate::os::bounded_command::{Output, run_bounded};

/// What such a process says, in at most `patience`.
///
/// # Errors
/// That it could not be started, was too slow, said too much, or failed.
pub(crate) fn run_as_user(arguments: &[&str], patience: Duration) -> Result<Vec<u8>, String> {
    run_with_variables(arguments, std::iter::empty(), patience)
}

/// The same, with these variables in its environment and nothing else.
///
/// # Errors
/// As for [`run_as_user`].
pub(crate) fn run_with_variables(
    arguments: &[&str],
    variables: impl Iterator<Item = (&'static str, String)>,
    patience: Duration,
) -> Result<Vec<u8>, String> {
    // This very program, also when an upgrade has put another in its place meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(arguments).env_clear().envs(variables).current_dir("/");
    match run_bounded(&mut command, &Deadline::after(patience)) {
        Ok(Output { stdout: said, success: true }) => Ok(said),
        Ok(_) => Err("the process that looks as them has failed".into()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("the home, or something in it, does not answer within {patience:?}"))
        }
        Err(error) => Err(format!("the process that looks as them cannot be heard: {error}")),
    }
}

/// Becomes the one that root has started this process for.
///
/// # Errors
/// When the caller is not root, or this cannot become them: then nothing may be opened.
fn drop_to_user(user: &str) -> anyhow::Result<Account> {
    anyhow::ensure!(Uid::effective().is_root(), "root's own commands run this; it is for nobody else");
    become_owner(&AccountEntry::from_name(user)?)
}

/// The same for the owner of something, who may have no account any more.
///
/// # Errors
/// As for [`drop_to_user`].
pub(crate) fn become_owner(owner: &AccountEntry) -> anyhow::Result<Account> {
    anyhow::ensure!(Uid::effective().is_root(), "root's own commands run this; it is for nobody else");
    // What is theirs from here on has no hold on root's terminal.
    setsid()?;
    Ok(become_user(owner)?)
}

/// Serves root, as USER: prints what `look` finds, as JSON, once this process has become them. `variable` may say where the files
/// of this user are.
///
/// # Errors
/// When the caller is not root, when this process cannot become USER, or when the result is not JSON.
pub(crate) fn serve_request(
    user: &str,
    variable: impl Fn(&str) -> Option<String>,
    look: impl FnOnce(&Account, &Paths) -> serde_json::Result<String>,
) -> anyhow::Result<()> {
    let account = drop_to_user(user)?;
    let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
    println!("{}", look(&account, &paths)?);
    Ok(())
}
