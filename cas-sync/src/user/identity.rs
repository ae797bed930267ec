//! Whoever runs this program: who they are, and where their files lie.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cas_core::state::directory::StateDirectory;
use cas_core::state::sync_requests::Requests;
use cas_core::system::account::{Account, Paths};
use cas_protocol::paths;
use nix::unistd::Uid;

use crate::os::environment::env_var;
use crate::published_state::PublishedState;

/// A person; root has no login to be looked after.
pub(crate) struct CallingUser {
    /// Their account, by their login name.
    pub(crate) account: Account,
    /// Where their files lie, as the environment may say otherwise.
    pub(crate) paths: Paths,
    /// Where we keep what we know of them.
    pub(crate) state: StateDirectory,
    /// What their logins ask for.
    pub(crate) requests: Requests,
    /// Where root finds how they are.
    pub(crate) published_dir: PublishedState,
}

impl CallingUser {
    /// Finds them.
    ///
    /// # Errors
    /// For root, and for somebody who has no account.
    pub(crate) fn current() -> Result<Self> {
        if Uid::effective().is_root() {
            bail!(
                "this looks after the caller's own login, and root has none; run it as the person: runuser -u NAME -- cas-sync run"
            );
        }
        let account = Account::from_uid(Uid::effective())?;
        let paths = Paths::new(&account.home, |name| env_var(name).map(PathBuf::from));
        let owner = account.uid.as_raw();
        Ok(Self {
            state: StateDirectory::new(paths.state_directory.clone(), owner),
            requests: Requests::of(&account.name),
            published_dir: PublishedState::for_user(&account.name, owner),
            account,
            paths,
        })
    }

    /// The same, named as `CLAUDE_AUTH_USER` asks in the store and in the journal, as the former script allowed. Their logins
    /// and root know nothing of that.
    ///
    /// # Errors
    /// When that cannot be a user's name.
    pub(crate) fn with_name_override(self) -> Result<Self> {
        match env_var("CLAUDE_AUTH_USER").filter(|name| !name.is_empty()) {
            Some(name) if paths::is_valid_user_name(name.as_bytes()) => {
                Ok(Self { account: Account { name, ..self.account }, ..self })
            }
            Some(name) => {
                bail!(
                    "CLAUDE_AUTH_USER={name:?} cannot be a user's name; unset it, or set it to a login name"
                )
            }
            None => Ok(self),
        }
    }

    /// Whether their home is yet to come; then nothing is made in it.
    pub(crate) fn is_home_unavailable(&self) -> bool {
        self.account.is_home_unavailable(&self.paths)
    }
}
