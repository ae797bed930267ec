//! The invariants of the planner over random histories. In a simulated world, Claude Code refreshes
//! and clears logins, users write old copies, other machines back up, stores fail, and
//! verifications have any result. The planner runs repeatedly in it, and each of its steps is
//! checked against the rules, with the test's own records.

mod history;
mod rules;
mod steps;
mod world;

use proptest::prelude::*;

use history::{HOUR, event};
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planner_keeps_its_rules_in_every_history(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World { now: 200_000 * HOUR, ..World::default() };
        for event in events {
            world.happen(event);
        }
    }
}

/// Without restores, backups and verifications the rules would hold trivially.
#[test]
fn histories_reach_every_step() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut restored, mut backed_up, mut rolled_back, mut refreshed) = (0, 0, 0, 0);
    let (mut by_hand, mut copied) = ((0, 0), 0);
    for _ in 0..800 {
        let events = prop::collection::vec(event(), 40).new_tree(&mut runner).expect("events").current();
        let mut world = World { now: 200_000 * HOUR, ..World::default() };
        for event in events {
            world.happen(event);
        }
        restored += world.restores.len();
        backed_up += world.backups;
        rolled_back += world.roll_backs;
        refreshed += world.refresh_runs;
        copied += world.copied;
        by_hand = (by_hand.0 + world.restored_by_hand, by_hand.1 + world.backed_up_by_hand);
    }
    assert!(restored > 100 && backed_up > 50, "{restored} restored, {backed_up} backed up");
    assert!(by_hand.0 > 20 && by_hand.1 > 10, "{by_hand:?} restored and backed up by hand");
    assert!(copied > 20, "{copied} setup tokens were copied to Vault");
    assert!(rolled_back > 10 && refreshed > 30, "{rolled_back} rolled back, {refreshed} refreshed");
}
