//! Claude Code's locks: directories that are removed to release them, and stay where their holder was killed.

use cas_core::claude_files::locks::ABANDONED_AFTER;

use super::super::check::{Check, Finding, Fix, Judgement, aside_by_person, by_person};
use super::super::facts::{Lock, PersonFacts};

pub(super) const CHECKS: [Check<PersonFacts>; 4] = [
    Check { id: "lock-abandoned", looks_at: "locks that a killed Claude Code left behind", judge: abandoned },
    Check { id: "lock-future", looks_at: "locks from the future", judge: future },
    Check { id: "lock-foreign", looks_at: "locks of somebody else", judge: foreign },
    Check { id: "lock-obstructed", looks_at: "something else in the place of a lock", judge: obstructed },
];

/// Not touched for longer than any client waits, and its holder is gone: nobody is refreshing.
fn abandoned(facts: &PersonFacts) -> Judgement {
    let own = locks(facts).filter(|lock| lock.uid == facts.uid);
    let old = own.filter(|lock| lock.touched_at.plus(ABANDONED_AFTER) <= facts.now);
    Judgement::of(old.map(|lock| {
        let cause =
            format!("{} was left behind at {}; each refresh waits for it", lock.path, lock.touched_at);
        Finding::warning(cause, by_person(&["rmdir", &lock.path])).with_fix(Fix::Lock(lock.path.clone()))
    }))
}

/// A lock is taken over by its age, and this one has none for a long time.
fn future(facts: &PersonFacts) -> Judgement {
    let own = locks(facts).filter(|lock| lock.uid == facts.uid);
    let ahead = own.filter(|lock| lock.touched_at > facts.now.plus(ABANDONED_AFTER));
    Judgement::of(ahead.map(|lock| {
        let cause = format!(
            "{} is dated {}, in the future: no client takes it over, and none can refresh",
            lock.path, lock.touched_at
        );
        Finding::problem(cause, by_person(&["rmdir", &lock.path]))
    }))
}

fn foreign(facts: &PersonFacts) -> Judgement {
    let foreign = locks(facts).filter(|lock| lock.uid != facts.uid);
    Judgement::of(foreign.map(|lock| {
        let cause = format!(
            "{} was made by user id {}, such as by `sudo claude`: it cannot be kept fresh or taken over properly",
            lock.path, lock.uid
        );
        Finding::problem(cause, by_person(&["rmdir", &lock.path]))
    }))
}

fn obstructed(facts: &PersonFacts) -> Judgement {
    let other = facts.locks.iter().filter(|lock| !is_a_lock(lock));
    Judgement::of(other.map(|lock| {
        let cause =
            format!("{} is no lock of Claude Code's: no login can be refreshed or put back", lock.path);
        Finding::problem(cause, aside_by_person(&lock.path))
    }))
}

/// A lock whose holder still runs is somebody's at work, whatever its date.
fn locks(facts: &PersonFacts) -> impl Iterator<Item = &Lock> {
    facts.locks.iter().filter(|lock| is_a_lock(lock) && lock.holder.is_none())
}

fn is_a_lock(lock: &Lock) -> bool {
    lock.is_directory && lock.is_empty
}
