//! Claude Code's locks: directories that are removed to release them, and stay where their holder was killed.

use cas_core::claude_files::locks::STALE_LOCK_AGE;

use super::super::check::{Check, CheckResult, Finding, Fix, as_user, move_aside_as_user};
use super::super::facts::{Lock, PersonFacts};

pub(super) const CHECKS: [Check<PersonFacts>; 4] = [
    Check { id: "lock-abandoned", looks_at: "locks that a killed Claude Code left behind", judge: abandoned },
    Check { id: "lock-future", looks_at: "locks from the future", judge: future },
    Check { id: "lock-foreign", looks_at: "locks of somebody else", judge: foreign },
    Check { id: "lock-obstructed", looks_at: "something else in the place of a lock", judge: obstructed },
];

/// Not touched for longer than any client waits, and its holder is gone: nobody is refreshing.
fn abandoned(facts: &PersonFacts) -> CheckResult {
    let own = locks(facts).filter(|lock| lock.uid == facts.uid);
    let old = own.filter(|lock| lock.touched_at.saturating_add(STALE_LOCK_AGE) <= facts.now);
    CheckResult::of(old.map(|lock| {
        let cause =
            format!("{} was left behind at {}; each refresh waits for it", lock.path, lock.touched_at);
        Finding::warning(cause, as_user(&["rmdir", &lock.path])).with_fix(Fix::Lock(lock.path.clone()))
    }))
}

/// A lock is taken over by its age, and this one has none for a long time.
fn future(facts: &PersonFacts) -> CheckResult {
    let own = locks(facts).filter(|lock| lock.uid == facts.uid);
    let ahead = own.filter(|lock| lock.touched_at > facts.now.saturating_add(STALE_LOCK_AGE));
    CheckResult::of(ahead.map(|lock| {
        let cause = format!(
            "{} is dated {}, in the future: no client takes it over, and none can refresh",
            lock.path, lock.touched_at
        );
        Finding::problem(cause, as_user(&["rmdir", &lock.path]))
    }))
}

fn foreign(facts: &PersonFacts) -> CheckResult {
    let foreign = locks(facts).filter(|lock| lock.uid != facts.uid);
    CheckResult::of(foreign.map(|lock| {
        let cause = format!(
            "{} was made by user id {}, such as by `sudo claude`: it cannot be kept fresh or taken over properly",
            lock.path, lock.uid
        );
        Finding::problem(cause, as_user(&["rmdir", &lock.path]))
    }))
}

fn obstructed(facts: &PersonFacts) -> CheckResult {
    let other = facts.locks.iter().filter(|lock| !is_a_lock(lock));
    CheckResult::of(other.map(|lock| {
        let cause =
            format!("{} is no lock of Claude Code's: no login can be refreshed or put back", lock.path);
        Finding::problem(cause, move_aside_as_user(&lock.path))
    }))
}

/// A lock whose holder still runs is somebody's at work, whatever its date.
fn locks(facts: &PersonFacts) -> impl Iterator<Item = &Lock> {
    facts.locks.iter().filter(|lock| is_a_lock(lock) && lock.holder.is_none())
}

fn is_a_lock(lock: &Lock) -> bool {
    lock.is_directory && lock.is_empty
}
