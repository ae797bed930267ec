//! The identity of the calling user: account and paths.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cas_core::state::directory::StateDirectory;
use cas_core::state::sync_requests::SyncRequests;
use cas_core::system::account::{Account, HomeProblem, Paths};
use cas_core::system::identity::Identities;
use cas_protocol::paths;
use nix::unistd::Uid;

use crate::os::environment::env_var;

/// The calling user, who is not root.
pub(crate) struct CallingUser {
    /// The account with its login name.
    pub(crate) account: Account,
    /// The paths of the user's files, with overrides from the environment.
    pub(crate) paths: Paths,
    /// The state directory.
    pub(crate) state: StateDirectory,
    /// The requests for a sync.
    pub(crate) requests: SyncRequests,
}

impl CallingUser {
    /// Returns the calling user.
    ///
    /// # Errors
    /// For root, for a uid without an account, and [`cas_core::system::identity::IdentityError`]
    /// for an account that is not the user its name was enrolled for.
    pub(crate) fn current() -> Result<Self> {
        if Uid::effective().is_root() {
            bail!(
                "this command manages the login of the caller, and root has none; run it as the user: runuser -u NAME -- cas-sync run"
            );
        }
        let account = Account::for_session(Uid::effective(), env_var("LOGNAME").as_deref())?;
        Identities::open().check(&account)?;
        let paths = Paths::new(&account.home, |name| env_var(name).map(PathBuf::from));
        let owner = account.uid.as_raw();
        let state = StateDirectory::new(paths.state_directory.clone(), owner);
        Ok(Self { requests: SyncRequests::new(state.clone()), state, account, paths })
    }

    /// Returns the user with the name in `CLAUDE_AUTH_USER` for the store and the journal, as the
    /// former script did. Sign-ins and root do not use that name.
    ///
    /// # Errors
    /// If that is not a valid user name.
    pub(crate) fn with_name_override(self) -> Result<Self> {
        match env_var("CLAUDE_AUTH_USER").filter(|name| !name.is_empty()) {
            Some(name) if paths::is_valid_user_name(name.as_bytes()) => {
                Ok(Self { account: Account { name, ..self.account }, ..self })
            }
            Some(name) => {
                bail!(
                    "CLAUDE_AUTH_USER={name:?} is not a valid user name; unset it, or set it to a login name"
                )
            }
            None => Ok(self),
        }
    }

    /// Returns why the home cannot be used now; then nothing is created in it.
    pub(crate) fn home_problem(&self) -> Option<HomeProblem> {
        self.account.home_problem(&self.paths)
    }
}
