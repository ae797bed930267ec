//! `cas-sync sessions`: lists the processes that hold an old setup token. A process keeps the
//! environment it was started with until it is restarted. Claude Code reads a login file again at
//! each turn. Also lists the background sessions that wait for a login.

mod render;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use cas_core::system::account::Account;
use cas_core::system::privileges::harden_process;
use nix::unistd::Uid;

use crate::cli::Sessions;
use crate::enrollment::enrolled_users;
use crate::os::parallel;
use crate::os::run_as_user;
use crate::processes::{self, UserProcesses};
use crate::term::stderr::exit_with_error;
use crate::user::identity::CallingUser;

/// Timeout of the inspection of one user, whose home may not respond.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The processes of one user, or why they are unknown.
pub(super) type UserSessions = Result<UserProcesses, String>;

/// Prints the processes of the caller or, as root, of the named or all enrolled users.
pub(crate) fn run(request: &Sessions) -> ExitCode {
    match collect(request) {
        Ok(sessions) => {
            match request.json {
                true => render::print_json(&sessions),
                false => render::print_text(&sessions, request.all),
            }
            ExitCode::from(render::exit_code(&sessions))
        }
        Err(error) => exit_with_error(&error, 1),
    }
}

/// Runs `cas-sync internal sessions` as `user`, started by root.
pub(crate) fn run_internal(user: &str) -> Result<()> {
    run_as_user::serve_request(
        user,
        |_| None,
        |account, paths| serde_json::to_string(&processes::inspect(account, paths)),
    )
}

fn collect(request: &Sessions) -> Result<BTreeMap<String, UserSessions>> {
    harden_process()?;
    if !Uid::effective().is_root() {
        let CallingUser { account, paths, .. } = CallingUser::current()?;
        ensure!(
            request.user.iter().all(|name| *name == account.name),
            "cannot list processes of another user: only root can; run it with sudo"
        );
        return Ok([(account.name.clone(), Ok(processes::inspect(&account, &paths)))].into());
    }
    let names = match request.user.is_empty() {
        true => enrolled_users(),
        false => request.user.clone(),
    };
    let resolve = |name: String| {
        let account = Account::from_name(&name)?;
        ensure!(!account.uid.is_root(), "cannot inspect {name}: root has no managed login");
        Ok(account.name)
    };
    let users = names.into_iter().map(resolve).collect::<Result<Vec<_>>>()?;
    let sessions = parallel::map(users, |user| {
        let sessions = run_as(&user);
        (user, sessions)
    });
    Ok(sessions.into_iter().collect())
}

fn run_as(user: &str) -> UserSessions {
    let output = run_as_user::run_as_user(&["internal", "sessions", user], INSPECT_TIMEOUT)?;
    serde_json::from_slice(&output)
        .map_err(|_| "cannot inspect the user: `cas-sync internal sessions` printed no valid JSON".into())
}
