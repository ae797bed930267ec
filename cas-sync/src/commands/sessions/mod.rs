//! `cas-sync sessions`: which running processes hold a token that is no longer the one in use. A process keeps the environment
//! it was started with; only starting it again changes that. A login file is another matter: Claude Code reads it at each turn.

mod render;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use cas_core::system::account::Account;
use nix::unistd::Uid;

use crate::cli::Sessions;
use crate::enrollment::enrolled_users;
use crate::os::environment::harden_process;
use crate::os::run_as_user;
use crate::processes::{self, Session};
use crate::term::stderr::exit_with_error;
use crate::user::identity::CallingUser;

/// How long somebody's home may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of one person, or why nothing is.
pub(super) type Of = Result<Vec<Session>, String>;

/// Shows the processes of the caller; for root, those of everybody who is enrolled, or of whom was named.
pub(crate) fn run(request: &Sessions) -> ExitCode {
    match all(request) {
        Ok(all) => {
            match request.json {
                true => render::json(&all),
                false => render::people(&all, request.all),
            }
            ExitCode::from(render::exit_code(&all))
        }
        Err(error) => exit_with_error(&error, 1),
    }
}

/// Serves root, as USER.
pub(crate) fn examine(user: &str) -> Result<()> {
    run_as_user::serve_request(user, |account, paths| {
        serde_json::to_string(&processes::holding_tokens(account, paths))
    })
}

fn all(request: &Sessions) -> Result<BTreeMap<String, Of>> {
    harden_process()?;
    if !Uid::effective().is_root() {
        let CallingUser { account, paths, .. } = CallingUser::current()?;
        ensure!(
            request.user.iter().all(|name| *name == account.name),
            "only root may look at other people's processes; run it with sudo"
        );
        return Ok([(account.name.clone(), Ok(processes::holding_tokens(&account, &paths)))].into());
    }
    let names = match request.user.is_empty() {
        true => enrolled_users(),
        false => request.user.clone(),
    };
    names
        .into_iter()
        .map(|name| {
            let account = Account::from_name(&name)?;
            ensure!(!account.uid.is_root(), "{name} is root, who has no login of their own");
            Ok((account.name.clone(), ask(&account.name)))
        })
        .collect()
}

fn ask(user: &str) -> Of {
    let said = run_as_user::run_as_user(&["internal", "sessions", user], PATIENCE)?;
    serde_json::from_slice(&said).map_err(|_| "the process that looks as them said nothing of use".into())
}
