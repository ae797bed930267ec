//! `cas-sync logout`: signs the user out on this machine. The order of the steps is such that after
//! an interruption no sync restores the login, and the command can be repeated: the backup in the
//! store, which is the only step that needs the network, then the record of the sign-out, the
//! login, and the local backups.

mod backups;
mod login_removal;
mod result;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::config::StoreKind;
use cas_core::credential::login_file::LoginFileState;
use cas_core::outcome::ExitStatus;
use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_core::state::local_store::LocalStore;
use cas_protocol::deadline::Deadline;

use self::backups::StoreResult;
use self::login_removal::LoginResult;
use self::result::SignOutResult;
use crate::claude::{Claude, SignInError};
use crate::cli::LogoutArgs;
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::now;
use crate::term::secret_input::{confirm, is_at_a_terminal};
use crate::term::stderr::print_error;
use crate::term::wrap::wrap_for;
use crate::user::context::UserContext;
use crate::user::error::{CommandError, block_termination};

/// A refresh by Claude Code, which holds the same locks, takes a second.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

const QUESTION: &str =
    "Sign out? Your login on this machine is revoked and deleted, and its backups are deleted. [y/N] ";

const QUESTION_KEEP: &str = "Sign out? Your login on this machine is deleted; its backups are kept. [y/N] ";

const UNCHANGED: &str = "nothing was changed";

/// Signs the caller out. Termination signals are delayed until no change is incomplete.
pub(crate) fn run(request: &LogoutArgs) -> ExitCode {
    let signals = match block_termination() {
        Ok(signals) => signals,
        Err(failed) => return failed.report(),
    };
    sign_out(request, &signals).map_or_else(|failed| failed.report(), ExitCode::from)
}

/// The files and the client of one sign-out.
struct LogOut<'a> {
    user: &'a UserContext,
    claude: Claude,
    credentials: CredentialsFile,
    state_file: ClaudeStateFile,
    history: LocalStore,
    keep_backups: bool,
}

fn sign_out(request: &LogoutArgs, signals: &SignalBlock) -> Result<ExitStatus, CommandError> {
    if !request.yes && !is_at_a_terminal() {
        return Err(CommandError::new(
            ExitStatus::UsageError,
            "cannot ask for confirmation without a terminal; give --yes to sign out",
        ));
    }
    let user = UserContext::for_current_user()?;
    let log_out = LogOut::new(&user, request.keep_backups)?;
    if !log_out.has_anything()? {
        login_removal::remove_leftovers(&user.state, &log_out.credentials)?;
        log_out.remove_account().map_err(|error| CommandError::new(ExitStatus::Failure, error))?;
        print("There is no login and no backup of one.");
        return Ok(ExitStatus::Success);
    }
    let question = if request.keep_backups { QUESTION_KEEP } else { QUESTION };
    if !request.yes
        && !confirm(question, signals).map_err(|error| CommandError::new(ExitStatus::Failure, error))?
    {
        return Err(CommandError::new(ExitStatus::Failure, UNCHANGED));
    }
    let _locked = user.lock()?;
    let result = log_out.run()?;
    result.lines().iter().for_each(|line| print(line));
    if result.account.is_ok() && result.backups.is_ok() {
        log_out.report();
    }
    for error in result.errors() {
        print_error(&anyhow::anyhow!("{error}"));
    }
    Ok(ExitStatus::failure_if(!result.errors().is_empty()))
}

impl<'a> LogOut<'a> {
    /// Checks what can fail before anything is changed.
    fn new(user: &'a UserContext, keep_backups: bool) -> Result<Self, CommandError> {
        let claude = user.claude();
        let owner = user.account.uid.as_raw();
        let state_path = claude.state_file().map_err(|error| match error {
            SignInError::Unusable(why) => {
                CommandError::new(ExitStatus::ClientUnusable, format!("{why}; {UNCHANGED}"))
            }
            _ => CommandError::new(ExitStatus::Failure, UNCHANGED),
        })?;
        let state_file = ClaudeStateFile::new(state_path, owner);
        state_file
            .check()
            .map_err(|error| CommandError::new(ExitStatus::Failure, format!("{error}; {UNCHANGED}")))?;
        let credentials = CredentialsFile::new(user.paths.credentials_file.clone(), owner);
        if let LoginFileState::Unreadable(why) = credentials.read(user.now).login {
            return Err(CommandError::new(ExitStatus::Failure, format!("{why}; {UNCHANGED}")));
        }
        user.state.ledger()?;
        let history = LocalStore::new(user.state.clone(), user.now);
        history.logins()?;
        Ok(Self { user, claude, credentials, state_file, history, keep_backups })
    }

    /// Returns true if there is something to delete. Reads the store, so that one that does not
    /// answer is reported before the user is asked.
    fn has_anything(&self) -> Result<bool, CommandError> {
        let has_store_backup = self.deletes_from_store() && backups::is_in_store(self.user)?;
        let has_history = !self.keep_backups && !self.history.logins()?.is_empty();
        let has_copies = !self.keep_backups && self.user.state.has_replaced_files();
        let has_login = !matches!(self.credentials.read(self.user.now).login, LoginFileState::Missing);
        let has_account = self.state_file.account().is_some();
        Ok(has_store_backup || has_history || has_copies || has_login || has_account)
    }

    fn deletes_from_store(&self) -> bool {
        !self.keep_backups && self.user.config.store == StoreKind::Vault
    }

    /// Runs the steps. After an error that it returns, the login is still there.
    fn run(&self) -> Result<SignOutResult, CommandError> {
        let store = match self.deletes_from_store() {
            true => backups::delete_from_store(self.user, &self.credentials, &self.history)?,
            false => StoreResult::NotAsked,
        };
        let login = self.remove_login().map_err(|failed| match store {
            StoreResult::Deleted => {
                failed.with_note("its backup in the store was deleted; then run `cas-sync logout` again")
            }
            _ => failed.with_note("then run `cas-sync logout` again"),
        })?;
        let backups = match self.keep_backups {
            true => Ok(false),
            false => self.remove_local_backups(),
        };
        let account = self.remove_account();
        Ok(SignOutResult { keep_backups: self.keep_backups, store, login, backups, account })
    }

    /// Removes the account from the client's state file, and what killed writes left beside it.
    fn remove_account(&self) -> Result<(), String> {
        let deadline = Deadline::after(LOCK_TIMEOUT);
        self.state_file.remove_account(&deadline, now()).map_err(|error| error.to_string())
    }

    fn remove_login(&self) -> Result<LoginResult, CommandError> {
        let revoke = |login: &str| self.claude.revoke(login);
        let revoke: Option<login_removal::Revoke<'_>> = if self.keep_backups { None } else { Some(&revoke) };
        login_removal::remove(&self.user.state, &self.credentials, revoke)
    }

    /// Returns whether there were some.
    fn remove_local_backups(&self) -> Result<bool, String> {
        let deadline = Deadline::after(LOCK_TIMEOUT);
        let logins = self.history.remove_logins(&deadline).map_err(|error| error.to_string())?;
        let copies = self.user.state.remove_replaced_files(&deadline).map_err(|error| error.to_string())?;
        Ok(logins || copies)
    }

    /// Runs a sync, which publishes the new state, and prints its result and an active setup token.
    fn report(&self) {
        let env_file = EnvFile::new(self.user.paths.env_file.clone(), self.user.account.uid.as_raw());
        if matches!(env_file.read(), EnvFileContent::Token(_)) {
            print(
                "A setup token is active and was not changed: Claude Code uses it. `cas-sync token clear` removes it.",
            );
        }
        let outcome = self.user.sync(None);
        print(&format!("{} {outcome}", outcome.status));
    }
}

fn print(text: &str) {
    let out = io::stdout();
    // A closed standard output is not an error.
    drop(writeln!(out.lock(), "{}", wrap_for(&out, text)));
}
