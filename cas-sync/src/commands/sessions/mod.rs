//! `cas-sync sessions`: which running processes hold a token that is no longer the one in use. A process keeps the environment
//! it was started with; only starting it again changes that. A login file is another matter: Claude Code reads it at each turn.

mod classify;
mod processes;
mod render;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use cas_core::state::directory::StateDirectory;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use cas_protocol::paths::{self, MARKERS};
use nix::unistd::Uid;

pub(crate) use self::classify::{Restart, Session, Tokens};
use crate::cli::Sessions;
use crate::os::environment::keep_secrets_in_memory;
use crate::os::run_as_user;
use crate::term::stderr::fail;
use crate::user::identity::Caller;

/// How long somebody's home may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of one person, or why nothing is.
type Of = Result<Vec<Session>, String>;

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
        Err(error) => fail(&error, 1),
    }
}

/// Serves root, as USER.
pub(crate) fn examine(user: &str) -> ExitCode {
    run_as_user::serve(user, |account, paths| serde_json::to_string(&of(account, paths)))
}

/// The processes of this person, who the caller is.
pub(crate) fn of(account: &Account, paths: &Paths) -> Vec<Session> {
    classify::judge(&processes::of(account.uid.as_raw()), &tokens(account, paths))
}

fn all(request: &Sessions) -> Result<BTreeMap<String, Of>> {
    keep_secrets_in_memory()?;
    if !Uid::effective().is_root() {
        let Caller { account, paths, .. } = Caller::find()?;
        ensure!(
            request.user.iter().all(|name| *name == account.name),
            "only root may look at other people's processes; run it with sudo"
        );
        return Ok([(account.name.clone(), Ok(of(&account, &paths)))].into());
    }
    let names = match request.user.is_empty() {
        true => enrolled(),
        false => request.user.clone(),
    };
    names
        .into_iter()
        .map(|name| {
            let account = Account::named(&name)?;
            ensure!(!account.uid.is_root(), "{name} is root, who has no login of their own");
            Ok((account.name.clone(), ask(&account.name)))
        })
        .collect()
}

fn ask(user: &str) -> Of {
    let said = run_as_user::ask(&["examine-sessions", user], PATIENCE)?;
    serde_json::from_slice(&said).map_err(|_| "the process that looks as them said nothing of use".into())
}

/// Everybody with a marker who has an account.
pub(crate) fn enrolled() -> Vec<String> {
    let entries = fs::read_dir(MARKERS).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| paths::has_marker(name) && Account::named(name).is_ok()).collect();
    names.sort();
    names
}

fn tokens(account: &Account, paths: &Paths) -> Tokens {
    let current = EnvFile::new(paths.env_file.clone(), account.uid.as_raw()).fingerprint();
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let withdrawn = state.ledger().map(|ledger| ledger.withdrawn).unwrap_or_default();
    Tokens::new(current, withdrawn)
}

#[cfg(test)]
mod tests {
    use cas_core::credential::fingerprint::Fingerprint;

    use super::*;

    #[test]
    fn whoever_has_no_files_yet_has_no_tokens() {
        let home = tempfile::tempdir().expect("a scratch home");
        let uid = Uid::effective();
        let gid = nix::unistd::Gid::effective();
        let account = Account { name: "ada".into(), uid, gid, home: home.path().to_owned() };
        let paths = Paths::new(home.path(), |_| None);
        assert_eq!(tokens(&account, &paths), Tokens::default());
        let folder = paths.env_file.parent().expect("a folder");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&paths.env_file, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n").expect("a file");
        assert_eq!(tokens(&account, &paths).current(), Some(Fingerprint::of("sk-ant-oat01-abc")));
        assert!(paths.state_directory.symlink_metadata().is_err(), "looking makes nothing");
    }
}
