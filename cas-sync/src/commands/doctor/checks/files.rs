//! Whose the files and folders are, and who else may read or write them.

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_user};
use super::super::facts::{Entry, EntryKind, PersonFacts};

pub(super) const CHECKS: [Check<PersonFacts>; 5] = [
    Check { id: "wrong-owner", looks_at: "do the files and folders belong to the person", judge: owner },
    Check { id: "login-mode", looks_at: "can others read the login", judge: login_mode },
    Check {
        id: "claude-folder-mode",
        looks_at: "can others write to ~/.claude, and its owner",
        judge: claude_folder,
    },
    Check { id: "config-mode", looks_at: "is the configuration folder private", judge: config },
    Check { id: "state-mode", looks_at: "is the state folder private", judge: state },
];

impl PersonFacts {
    /// Whether something that should be the person's is somebody else's.
    pub(super) fn has_foreign_entries(&self) -> bool {
        self.entries.iter().any(|entry| entry.uid != self.uid)
    }

    fn own(&self, kind: EntryKind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind && entry.uid == self.uid)
    }
}

fn owner(facts: &PersonFacts) -> CheckResult {
    let foreign = facts.entries.iter().filter(|entry| entry.uid != facts.uid);
    CheckResult::of(foreign.map(|entry| {
        let cause =
            format!("{} belongs to user id {}: Claude Code cannot keep it up to date", entry.path, entry.uid);
        // No command of root's: any folder on the way may lead to what is somebody else's for a reason, now or when it is run.
        let remedy =
            "an admin looks where it really lies and how it came to that, and gives it to the person";
        Finding::problem(cause, Remedy::Text(remedy.into()))
    }))
}

fn login_mode(facts: &PersonFacts) -> CheckResult {
    closed(facts, EntryKind::LoginFile, 0o600, "holds a login, and others may read it")
}

fn config(facts: &PersonFacts) -> CheckResult {
    let folder = closed(facts, EntryKind::ConfigFolder, 0o700, "holds tokens, and others may look into it");
    match folder {
        CheckResult::Problems(_) => folder,
        _ => closed(facts, EntryKind::EnvFile, 0o600, "holds a token, and others may read it"),
    }
}

fn state(facts: &PersonFacts) -> CheckResult {
    closed(facts, EntryKind::StateFolder, 0o700, "holds copies of logins, and others may look into it")
}

fn claude_folder(facts: &PersonFacts) -> CheckResult {
    let is_wrong = |entry: &&Entry| entry.mode & 0o022 != 0 || entry.mode & 0o700 != 0o700;
    CheckResult::of(facts.own(EntryKind::ClaudeFolder).filter(is_wrong).map(|entry| {
        let what = match entry.mode & 0o022 {
            0 => "cannot be used by its owner: no login can be refreshed",
            _ => "can be written to by others, who may put a login there",
        };
        to_mode(entry, 0o700, what)
    }))
}

fn closed(facts: &PersonFacts, kind: EntryKind, mode: u32, what: &str) -> CheckResult {
    let open = facts.own(kind).filter(|entry| entry.mode & 0o077 != 0);
    CheckResult::of(open.map(|entry| to_mode(entry, mode, what)))
}

fn to_mode(entry: &Entry, mode: u32, what: &str) -> Finding {
    let cause = format!("{} (mode {:04o}) {what}", entry.path, entry.mode);
    Finding::warning(cause, as_user(&["chmod", &format!("{mode:o}"), &entry.path]))
        .with_fix(Fix::Mode { path: entry.path.clone(), mode })
}
