//! Root asks about somebody's files and processes through a process that has become them: what lies in a home can lead it
//! nowhere its owner could not go, and it has a time limit.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use cas_core::system::account::{Account, Paths};
use cas_core::system::privileges::become_user;
use cas_protocol::deadline::Deadline;
use nix::unistd::{Uid, setsid};

use crate::os::bounded_command::{Output, run_bounded};

/// What such a process says, in at most `patience`.
///
/// # Errors
/// That it could not be started, was too slow, said too much, or failed.
pub(crate) fn run_as_user(arguments: &[&str], patience: Duration) -> Result<Vec<u8>, String> {
    // This very program, also when an upgrade has put another in its place meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(arguments).env_clear().current_dir("/");
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
    let account = Account::from_name(user)?;
    // What is theirs from here on has no hold on root's terminal.
    setsid()?;
    become_user(&account)?;
    Ok(account)
}

/// Serves root, as USER: prints what `look` finds, as JSON, once this process has become them.
///
/// # Errors
/// When the caller is not root, when this process cannot become USER, or when the result is not JSON.
pub(crate) fn serve_request(
    user: &str,
    look: impl FnOnce(&Account, &Paths) -> serde_json::Result<String>,
) -> anyhow::Result<()> {
    let account = drop_to_user(user)?;
    // No environment says where the files of this user are.
    let paths = Paths::new(&account.home, |_| None);
    println!("{}", look(&account, &paths)?);
    Ok(())
}
