//! How fast `cas-sync watch` puts back a login that is overwritten by a tombstone, and what it costs when nothing happens.
//!
//! `cargo run -p cas-tests --bin watch-repair-times` runs the release build as root in a private mount and network namespace,
//! for a person who exists only there. The time is from the moment at which the writer of the tombstone is done.

mod rounds;

use std::time::{Duration, Instant};

use cas_tests::resident::Resident;
use cas_tests::watched::Watcher;

use crate::rounds::{PAUSES, Rounds};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    let resident = Resident::settle();
    let watcher = Watcher::start_as_its_unit(&resident);
    let quiet = watcher.account();
    let begun = Instant::now();
    std::thread::sleep(IDLE);
    let (after, hours) = (watcher.account(), begun.elapsed().as_secs_f64() / 3600.0);
    let switches = after.context_switches - quiet.context_switches;

    let mut rounds = Rounds::new(&resident);
    println!(
        "{:<34}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "ms until the good one is back", "rounds", "p50", "p95", "p99", "max", "missed"
    );
    for pause in PAUSES {
        for way in rounds::WAYS {
            println!("{}", rounds.run(pause, way));
        }
    }
    println!("{}", rounds.all());

    watcher.wait_until_asleep();
    let worked = watcher.account();
    println!();
    println!("{:<34}{:>9.0}", "wake-ups an hour, idle", switches as f64 / hours);
    for (what, account) in [("KiB at the start", &quiet), ("KiB after all rounds", &worked)] {
        println!(
            "{what:<34}{:>9} resident, {} of them its own, {} at most",
            account.resident_kib, account.anonymous_kib, account.peak_kib
        );
    }
}
