//! One kill after the other, and the checks after each.

use crate::disk_state::DiskState;
use crate::scenario::Scenario;
use crate::strace::{Calls, RUN, kill_at};

/// The results of a sweep.
#[derive(Debug, Default)]
pub(crate) struct SweepStatistics {
    /// The number of killed runs.
    pub points: usize,
    /// The number of kills after which the subject was still old, or already new.
    pub before_the_change: usize,
    pub after_the_change: usize,
    /// The number of runs that left a temporary file, or one of Claude Code's locks.
    pub with_a_temporary: usize,
    pub with_a_lock: usize,
    /// The number of runs that used the one restore of a login.
    pub spent: usize,
}

/// Kills a run at each of its calls, or at each that changes something. The state is restored
/// before each.
pub(crate) fn sweep(scenario: &Scenario) -> SweepStatistics {
    let begin = scenario.begin();
    let old = DiskState::look(scenario);
    let calls = Calls::trace_run(scenario.test_user(), RUN);
    let new = DiskState::look(scenario);
    assert_ne!(old.subject, new.subject, "the run did what the scene is about");
    let written = new.versions_since(begin);
    expect_success(scenario, "a second undisturbed run");
    let final_state = DiskState::look(scenario);
    assert_eq!(final_state.versions_since(begin), written, "a second run has nothing to write");

    let mut swept = SweepStatistics::default();
    for (name, numbers) in calls.points() {
        for nth in numbers {
            let begin = scenario.begin();
            if !kill_at(scenario.test_user(), RUN, name, nth) {
                break;
            }
            let place = format!("killed at {name} number {nth}");
            swept.points += 1;
            let torn = DiskState::look(scenario);
            torn.assert_whole(&old, &new, &place);
            swept.note(&torn, &old);
            match finish(scenario, &torn, &final_state, &place) {
                // Neither lost nor written twice.
                Some(finished) => assert_eq!(finished.versions_since(begin), written, "{place}"),
                None => swept.spent += 1,
            }
        }
    }
    eprintln!("{swept:?} of {} calls", calls.total());
    assert!(swept.points * 10 >= calls.total() * 9, "{swept:?}: not every call was reached: {calls:?}");
    swept
}

/// Runs again, and compares with the result of an undisturbed run. Returns `None` if the one
/// restore was used.
fn finish(scenario: &Scenario, torn: &DiskState, final_state: &DiskState, place: &str) -> Option<DiskState> {
    scenario.age_locks();
    if scenario.consumes_restore(torn) {
        let output = scenario.test_user().sync();
        assert_eq!(output.status.code(), Some(79), "{place}: the user must sign in: {output:?}");
        return None;
    }
    expect_success(scenario, place);
    let finished = DiskState::look(scenario);
    finished.assert_same(final_state, place);
    // A run without changes takes no lock, so it does not find a stale one: the next client
    // replaces it.
    let had_to_write = torn.subject != final_state.subject;
    assert!(!had_to_write || finished.locks.is_empty(), "{place}: still locked: {:?}", finished.locks);
    Some(finished)
}

fn expect_success(scenario: &Scenario, place: &str) {
    let output = scenario.test_user().sync();
    assert!(output.status.success() && output.stderr.is_empty(), "{place}, the next run: {output:?}");
}

impl SweepStatistics {
    fn note(&mut self, torn: &DiskState, old: &DiskState) {
        let is_old = torn.subject == old.subject;
        self.before_the_change += usize::from(is_old);
        self.after_the_change += usize::from(!is_old);
        self.with_a_temporary += usize::from(!torn.temporaries.is_empty());
        self.with_a_lock += usize::from(!torn.locks.is_empty());
    }
}
