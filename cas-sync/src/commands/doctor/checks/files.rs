//! Owners and modes of files and directories.

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_user};
use super::super::facts::{Entry, EntryKind, UserFacts};

pub(super) const CHECKS: [Check<UserFacts>; 5] = [
    Check::new("wrong-owner", "the files and directories belong to the user", owner),
    Check::new("login-mode", "other users cannot read the login file", login_mode),
    Check::new("claude-directory-mode", "only its owner can write to ~/.claude", claude_directory),
    Check::new("config-mode", "the configuration directory is private", config),
    Check::new("state-mode", "the state directory is private", state),
];

impl UserFacts {
    /// Returns true if an entry belongs to another user.
    pub(super) fn has_foreign_entries(&self) -> bool {
        self.entries.iter().any(|entry| entry.uid != self.uid)
    }

    fn own(&self, kind: EntryKind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind && entry.uid == self.uid)
    }
}

fn owner(facts: &UserFacts) -> CheckResult {
    let foreign = facts.entries.iter().filter(|entry| entry.uid != facts.uid);
    CheckResult::from_findings(foreign.map(|entry| {
        let cause = format!("{} belongs to user ID {}: Claude Code cannot update it", entry.path, entry.uid);
        // No command for root: a directory on the path may become a symlink to another user's
        // files.
        let remedy = "an administrator finds out where the file really is, and changes its owner to the user";
        Finding::problem(cause, Remedy::Text(remedy.into()))
    }))
}

fn login_mode(facts: &UserFacts) -> CheckResult {
    private(facts, EntryKind::LoginFile, 0o600, "holds a login, and other users can read it")
}

fn config(facts: &UserFacts) -> CheckResult {
    let directory = private(facts, EntryKind::ConfigDir, 0o700, "holds tokens, and other users can open it");
    match directory {
        CheckResult::Problems(_) => directory,
        _ => private(facts, EntryKind::EnvFile, 0o600, "holds a token, and other users can read it"),
    }
}

fn state(facts: &UserFacts) -> CheckResult {
    private(facts, EntryKind::StateDir, 0o700, "holds backups of logins, and other users can open it")
}

fn claude_directory(facts: &UserFacts) -> CheckResult {
    let is_wrong = |entry: &&Entry| entry.mode & 0o022 != 0 || entry.mode & 0o700 != 0o700;
    CheckResult::from_findings(facts.own(EntryKind::ClaudeDir).filter(is_wrong).map(|entry| {
        let what = match entry.mode & 0o022 {
            0 => "is not accessible to its owner: logins cannot be refreshed",
            _ => "is writable for other users, who could replace the login",
        };
        wrong_mode(entry, 0o700, what)
    }))
}

fn private(facts: &UserFacts, kind: EntryKind, mode: u32, what: &str) -> CheckResult {
    let open = facts.own(kind).filter(|entry| entry.mode & 0o077 != 0);
    CheckResult::from_findings(open.map(|entry| wrong_mode(entry, mode, what)))
}

fn wrong_mode(entry: &Entry, mode: u32, what: &str) -> Finding {
    let cause = format!("{} (mode {:04o}) {what}", entry.path, entry.mode);
    Finding::warning(cause, as_user(&["chmod", &format!("{mode:o}"), &entry.path]))
        .with_fix(Fix::Mode { path: entry.path.clone(), mode })
}
