//! What a sign-out has done, in words. Pure.

use super::backups::StoreResult;
use super::login_removal::LoginResult;

/// Where a user revokes a login.
const REVOKE_BY_HAND: &str = "revoke it in the settings of your Claude account";

/// What each step has done.
pub(super) struct SignOutResult {
    pub(super) keep_backups: bool,
    pub(super) store: StoreResult,
    pub(super) login: LoginResult,
    /// Whether there were local backups.
    pub(super) backups: Result<bool, String>,
    /// The account in the client's state file.
    pub(super) account: Result<(), String>,
}

impl SignOutResult {
    /// Returns what was done, in sentences.
    pub(super) fn lines(&self) -> Vec<String> {
        let login = match self.login {
            LoginResult::Absent => "There was no login on this machine.",
            LoginResult::Deleted => {
                "Your login was deleted on this machine. It was not revoked, because its backups are kept."
            }
            LoginResult::DeletedCleared => "The cleared login was deleted on this machine.",
            LoginResult::Revoked => "Your login was revoked, and deleted on this machine.",
            LoginResult::NotRevoked(_) => "Your login was deleted on this machine.",
        };
        let backups = match (self.keep_backups, &self.backups, self.store) {
            (true, ..) => Some("Its backups were kept: `cas-sync restore` restores one."),
            (_, Ok(true), StoreResult::Deleted) => {
                Some("Its backups in the local history and in the store were deleted.")
            }
            (_, Ok(true), _) => Some("Its backups in the local history were deleted."),
            (_, _, StoreResult::Deleted) => Some("Its backup in the store was deleted."),
            _ => None,
        };
        let other = (self.store == StoreResult::OtherMachine)
            .then_some("The store holds the login of another machine; it was kept.");
        [Some(login), backups, other].into_iter().flatten().map(str::to_owned).collect()
    }

    /// Returns what was not done, each with its remedy.
    pub(super) fn errors(&self) -> Vec<String> {
        let not_revoked = match self.login {
            LoginResult::NotRevoked(why) => {
                Some(format!("your login was not revoked and may still work: {why}; {REVOKE_BY_HAND}"))
            }
            _ => None,
        };
        let backups = self.backups.as_ref().err().map(|error| {
            format!("cannot delete the local backups: {error}; then run `cas-sync logout` again")
        });
        let account = self.account.as_ref().err().map(|error| {
            format!("~/.claude.json still names your account: {error}; then run `cas-sync logout` again")
        });
        [not_revoked, backups, account].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(login: LoginResult, store: StoreResult) -> SignOutResult {
        SignOutResult { keep_backups: false, store, login, backups: Ok(true), account: Ok(()) }
    }

    #[test]
    fn output_states_what_was_done_and_what_was_not() {
        let done = result(LoginResult::Revoked, StoreResult::Deleted);
        assert!(done.lines().join(" ").contains("revoked, and deleted") && done.errors().is_empty());
        let kept =
            SignOutResult { keep_backups: true, ..result(LoginResult::Deleted, StoreResult::NotAsked) };
        assert!(kept.lines().join(" ").contains("was not revoked") && kept.errors().is_empty());
        let other = result(LoginResult::Absent, StoreResult::OtherMachine);
        assert!(other.lines().join(" ").contains("another machine; it was kept"));
        let failed = SignOutResult {
            backups: Err("a disk error".into()),
            account: Err("a lock".into()),
            ..result(LoginResult::NotRevoked("no answer"), StoreResult::Deleted)
        };
        let errors = failed.errors().join("\n");
        for part in ["not revoked and may still work: no answer", "a disk error", "a lock"] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
        assert!(!failed.lines().join(" ").contains("was revoked"));
    }
}
