//! A user's files in the guest that the product works on.

use super::{Guest, Suite};

/// The only environment variable that a login may get from the product.
pub const VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN";

impl Guest {
    /// Boots a guest with the product installed and these users enrolled.
    #[track_caller]
    pub fn with_product(suite: Suite, enrolled: &[&str]) -> Self {
        let guest = Self::boot_with_product(suite);
        for user in enrolled {
            guest.enroll(user);
        }
        guest
    }

    /// Puts a login file where Claude Code keeps it.
    #[track_caller]
    pub fn put_login(&self, user: &str, login: &str) {
        let folders = format!("install -d -m 700 -o {user} -g {user} ~{user}/.claude");
        self.write_after(&folders, &login_path(user), user, "600", login.as_bytes());
    }

    /// Returns the text of a user's login file.
    ///
    /// # Panics
    /// If it does not exist.
    #[track_caller]
    pub fn read_login(&self, user: &str) -> String {
        let bytes = self.read(&login_path(user)).unwrap_or_else(|| panic!("{user} has no login file"));
        String::from_utf8(bytes).expect("a login file is UTF-8")
    }

    /// Lets the sync back up this valid login, and then clears it as Claude Code does.
    #[track_caller]
    pub fn back_up_and_clear(&self, user: &str, login: &str) {
        self.put_login(user, login);
        self.sync(user).expect_success("the first backup");
        self.put_login(user, &crate::claude_login::cleared_login(login));
    }

    /// Writes this text to a user's env file of the setup token.
    #[track_caller]
    pub fn put_env_file(&self, user: &str, text: &[u8]) {
        self.put_private(user, "claude-oauth.env", text);
    }

    fn put_private(&self, user: &str, name: &str, text: &[u8]) {
        let folders =
            format!("install -d -m 700 -o {user} -g {user} ~{user}/.config ~{user}/.config/claude-auth-sync");
        let path = format!("/home/{user}/.config/claude-auth-sync/{name}");
        self.write_after(&folders, &path, user, "600", text);
    }

    /// Writes a well-formed setup token to a user's env file.
    #[track_caller]
    pub fn put_token(&self, user: &str, token: &str) {
        self.put_env_file(user, format!("{VARIABLE}={token}\n").as_bytes());
    }

    /// Writes this text to a user's Vault token file.
    #[track_caller]
    pub fn put_vault_token(&self, user: &str, token: &str) {
        self.put_private(user, "vault-token", token.as_bytes());
    }

    /// Removes the local state of a user: history, ledger, and the record of the store's answers.
    #[track_caller]
    pub fn forget_state(&self, user: &str) {
        self.run(&format!("rm -rf /home/{user}/.local/state/claude-auth-sync")).expect_success("forgetting");
    }

    /// Returns the variable in a new ssh login; `None` if it is not set.
    #[track_caller]
    pub fn variable_over_ssh(&self, user: &str) -> Option<String> {
        // A login that fails must not look like a variable that is not set.
        let seen = self.ssh(user, &format!("printenv {VARIABLE}; echo done")).expect_success("ssh").text();
        let value = seen.strip_suffix("done\n").expect("the command ran to its end");
        value.strip_suffix('\n').map(str::to_owned)
    }

    /// Returns `mode owner:group kind` of a path, without following symlinks.
    pub fn file_status(&self, path: &str) -> String {
        self.run(&format!("stat -c '%a %U:%G %F' '{path}'")).text().trim_end().to_owned()
    }

    /// Returns the properties that change when a file is written again, even with the same bytes.
    #[track_caller]
    pub fn file_identity(&self, path: &str) -> String {
        self.run(&format!("stat -c '%i %y %z %s' '{path}'; sha256sum '{path}'")).expect_success("stat").text()
    }

    /// Returns the files of the product in a home that other users can access.
    #[track_caller]
    pub fn accessible_to_others(&self, user: &str, home: &str) -> String {
        self.run(&format!(
            "cd '{home}' && find .claude .config .local ! -type l \\( -perm /077 -o ! -user {user} \\) -printf '%M %u %p\\n'"
        ))
        .expect_success("looking for what others can see")
        .text()
    }

    /// Holds a lock that the programs of the product take with flock(2), for this time or until
    /// [`Guest::release_lock`]. The file must exist.
    #[track_caller]
    pub fn hold_lock(&self, path: &str, seconds: u32) {
        self.release_lock();
        let holder = format!("systemd-run --quiet --collect --unit=holder flock '{path}' sleep {seconds}");
        self.run(&holder).expect_success("the holder of a lock");
        crate::wait_until("the lock is held", || self.is_locked(path));
    }

    /// Reports whether a process holds a lock of flock(2) on this file, as `/proc/locks` of the
    /// guest shows it. A test with flock(1) holds the lock for a moment itself, and a program that
    /// looks at this moment finds another run at work.
    pub fn is_locked(&self, path: &str) -> bool {
        let rows = format!("inode=$(stat -c %i '{path}') && grep -q \"FLOCK .*:$inode 0 EOF$\" /proc/locks");
        self.run(&rows).succeeded()
    }

    /// Ends what [`Guest::hold_lock`] started; does nothing if no lock is held.
    pub fn release_lock(&self) {
        self.run("systemctl stop holder.service 2>/dev/null");
    }
}

/// Returns the path of a user's login file.
pub fn login_path(user: &str) -> String {
    format!("/home/{user}/.claude/.credentials.json")
}

/// Returns the path of a user's env file.
pub fn env_file_path(user: &str) -> String {
    format!("/home/{user}/.config/claude-auth-sync/claude-oauth.env")
}
