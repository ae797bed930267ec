//! Measures how fast `cas-sync watch` restores a login that is overwritten by a cleared one, and
//! its cost when nothing happens.
//!
//! `cargo run -p cas-tests --bin watch-repair-times` runs the release build as root in a private
//! mount and network namespace, for a user that exists only there. The time starts when the cleared
//! login is written. Its ratio to the least cost of a restore, writing the file once as Claude Code
//! does, can be compared between machines.

mod rounds;

use std::time::{Duration, Instant};

use cas_tests::test_user::TestUser;
use cas_tests::watcher::Watcher;

use crate::rounds::{PAUSES, Rounds};

/// The duration without events.
const IDLE: Duration = Duration::from_secs(60);

fn main() {
    let test_user = TestUser::create();
    let mut rounds = Rounds::new(&test_user);
    let watcher = Watcher::start_with_unit_priority(&test_user);
    let quiet = watcher.process().account();
    let begun = Instant::now();
    std::thread::sleep(IDLE);
    let (after, hours) = (watcher.process().account(), begun.elapsed().as_secs_f64() / 3600.0);
    let switches = after.context_switches - quiet.context_switches;
    let idle = after.processor - quiet.processor;

    println!(
        "{:<34}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "ms until the good one is back", "rounds", "ratio", "p50", "p95", "p99", "max", "missed"
    );
    for pause in PAUSES {
        for way in rounds::WAYS {
            println!("{}", rounds.run(pause, way));
        }
    }
    println!("{}", rounds.all());
    println!("{:<50}{:>9.1}", "one write of such a file", rounds.one_write());

    watcher.process().wait_until_idle();
    let worked = watcher.process().account();
    let repairs = u32::try_from(rounds.count()).expect("not that many");
    println!();
    println!("{:<34}{:>9.0}", "wake-ups an hour, idle", switches as f64 / hours);
    println!("{:<34}{:>9.2}", "ms of processor an hour, idle", idle.as_secs_f64() * 1e3 / hours);
    let worked_for = (worked.processor - after.processor).as_secs_f64() * 1e3;
    println!("{:<34}{:>9.2}", "ms of processor a round", worked_for / f64::from(repairs));
    for (what, account) in [("KiB at the start", &quiet), ("KiB after all rounds", &worked)] {
        println!(
            "{what:<34}{:>9} resident, {} of them its own, {} at most",
            account.resident_kib, account.anonymous_kib, account.peak_kib
        );
    }
}
