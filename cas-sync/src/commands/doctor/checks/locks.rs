//! Claude Code's locks. They are directories, which remain if their holder is killed. The next
//! client takes such a lock over once it is old, so it is not a finding.

use cas_core::claude_files::locks::STALE_LOCK_AGE;

use super::super::check::{Check, CheckResult, Finding, as_user, move_aside_as_user};
use super::super::facts::{Lock, UserFacts};

pub(super) const CHECKS: [Check<UserFacts>; 3] = [
    Check::new("lock-future", "no lock has a time in the future", future),
    Check::new("lock-foreign", "no lock belongs to another user", foreign),
    Check::new("lock-obstructed", "each lock is an empty directory", obstructed),
];

/// Clients take a lock over when it is old, and this one does not get old for a long time.
fn future(facts: &UserFacts) -> CheckResult {
    let own = locks(facts).filter(|lock| lock.uid == facts.uid);
    let ahead = own.filter(|lock| lock.touched_at > facts.now.saturating_add(STALE_LOCK_AGE));
    CheckResult::from_findings(ahead.map(|lock| {
        let cause = format!(
            "{} has the time {}, in the future: no client takes it over, and none can refresh",
            lock.path, lock.touched_at
        );
        Finding::problem(cause, as_user(&["rmdir", &lock.path]))
    }))
}

fn foreign(facts: &UserFacts) -> CheckResult {
    let foreign = locks(facts).filter(|lock| lock.uid != facts.uid);
    CheckResult::from_findings(foreign.map(|lock| {
        let cause = format!(
            "{} was created by user ID {}, for example by `sudo claude`: clients cannot update it or take it over",
            lock.path, lock.uid
        );
        Finding::problem(cause, as_user(&["rmdir", &lock.path]))
    }))
}

fn obstructed(facts: &UserFacts) -> CheckResult {
    let other = facts.locks.iter().filter(|lock| !is_a_lock(lock));
    CheckResult::from_findings(other.map(|lock| {
        let cause =
            format!("{} is not a lock of Claude Code: logins cannot be refreshed or restored", lock.path);
        Finding::problem(cause, move_aside_as_user(&lock.path))
    }))
}

/// Returns the locks without a running holder.
fn locks(facts: &UserFacts) -> impl Iterator<Item = &Lock> {
    facts.locks.iter().filter(|lock| is_a_lock(lock) && lock.holder.is_none())
}

fn is_a_lock(lock: &Lock) -> bool {
    lock.is_directory && lock.is_empty
}
