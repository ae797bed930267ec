//! Root asks about somebody's files and processes through a process that has become them: what lies in a home can lead it
//! nowhere its owner could not go, and it has a time limit.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use cas_core::account::{Account, Paths};
use cas_core::deadline::Deadline;
use cas_core::privileges::become_user;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, setsid};

use crate::fail;

/// The longest answer that is listened to, in bytes.
const LONGEST: usize = 4 << 20;

/// What such a process says, in at most `patience`.
///
/// # Errors
/// That it could not be started, was too slow, said too much, or failed.
pub(crate) fn ask(arguments: &[&str], patience: Duration) -> Result<Vec<u8>, String> {
    // This very program, also when an upgrade has put another in its place meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let said = match process.stdout.take() {
        Some(from) => listen(from, &Deadline::after(patience)),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let ended_well = end(&mut process);
    match said {
        Ok(said) if ended_well => Ok(said),
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
fn become_whom_root_asks_about(user: &str) -> anyhow::Result<Account> {
    anyhow::ensure!(Uid::effective().is_root(), "root's own commands run this; it is for nobody else");
    let account = Account::named(user)?;
    // What is theirs from here on has no hold on root's terminal.
    setsid()?;
    become_user(&account)?;
    Ok(account)
}

/// Serves root, as USER: says what `look` finds, as JSON, once this process has become them.
pub(crate) fn serve(
    user: &str,
    look: impl FnOnce(&Account, &Paths) -> serde_json::Result<String>,
) -> ExitCode {
    let found = become_whom_root_asks_about(user).and_then(|account| {
        // Nobody's environment says where their files lie.
        let paths = Paths::new(&account.home, |_| None);
        Ok(look(&account, &paths)?)
    });
    match found {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 1),
    }
}

fn listen(mut from: ChildStdout, deadline: &Deadline) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
        if deadline.has_passed() || poll(&mut ready, left)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut piece = [0; 8192];
        let count = from.read(&mut piece)?;
        said.extend_from_slice(piece.get(..count).unwrap_or_default());
        if said.len() > LONGEST {
            return Err(io::Error::other("it says too much"));
        }
        if count == 0 {
            return Ok(said);
        }
    }
}

/// One that has said all is about to end; one that hangs in a home is not waited for.
fn end(process: &mut Child) -> bool {
    for _ in 0..200 {
        if let Ok(Some(status)) = process.try_wait() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _gone = process.kill();
    let _reaped = process.try_wait();
    false
}
