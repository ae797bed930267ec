//! The running processes of a user, and which of them hold a setup token that is no longer the
//! active one.

mod classify;
mod scan;

use cas_core::claude_files::background_sessions;
use cas_core::state::directory::StateDirectory;
use cas_core::state::env_file::EnvFile;
use cas_core::system::account::{Account, Paths};
use serde::{Deserialize, Serialize};

pub(crate) use self::classify::{KnownTokens, RestartHint, Session, TokenStatus};

/// The processes of a user, and the background sessions that wait for a login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UserProcesses {
    /// The processes that run Claude Code or hold a token.
    pub(crate) sessions: Vec<Session>,
    /// The ids of background sessions that wait for a login.
    pub(crate) waiting: Vec<String>,
}

/// Returns the processes of this user, and the background sessions that wait for a login. The
/// caller must be this user.
pub(crate) fn inspect(account: &Account, paths: &Paths) -> UserProcesses {
    let waiting = paths.credentials_file.parent().map(background_sessions::waiting_for_login);
    let waiting = waiting.unwrap_or_default();
    UserProcesses { sessions: holding_tokens(account, paths), waiting }
}

/// Returns the processes of this user that hold a token. The caller must be this user.
pub(crate) fn holding_tokens(account: &Account, paths: &Paths) -> Vec<Session> {
    classify::classify(&scan::processes_of(account.uid.as_raw()), &tokens(account, paths))
}

fn tokens(account: &Account, paths: &Paths) -> KnownTokens {
    let current = EnvFile::new(paths.env_file.clone(), account.uid.as_raw()).fingerprint();
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let withdrawn = state.ledger().map(|ledger| ledger.withdrawn_tokens).unwrap_or_default();
    KnownTokens::new(current, withdrawn)
}

#[cfg(test)]
mod tests {
    use cas_core::credential::fingerprint::Fingerprint;
    use nix::unistd::Uid;

    use super::*;

    #[test]
    fn user_without_files_has_no_tokens() {
        let home = tempfile::tempdir().expect("a scratch home");
        let uid = Uid::effective();
        let gid = nix::unistd::Gid::effective();
        let account = Account { name: "ada".into(), uid, gid, home: home.path().to_owned() };
        let paths = Paths::new(home.path(), |_| None);
        assert_eq!(tokens(&account, &paths), KnownTokens::default());
        let folder = paths.env_file.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(&paths.env_file, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n").expect("a file");
        assert_eq!(tokens(&account, &paths).current(), Some(Fingerprint::from_bytes("sk-ant-oat01-abc")));
        assert!(paths.state_directory.symlink_metadata().is_err(), "the scan creates no directory");
    }
}
