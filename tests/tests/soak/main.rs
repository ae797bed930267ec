//! Days of work with everything that loses logins, compressed into minutes: real clients, the real
//! store, killed refreshes, concurrent older clients, files that are cleared, torn, deleted and
//! replaced by old copies, and outages of the servers.

mod clock;
mod incident;
mod tally;
mod workstation;

use cas_tests::size::full_size;

use self::incident::plan;
use self::workstation::{Remedy, Workstation, fixture};

/// The order of incidents. Another one is another week.
const SEED: u64 = 12;

#[test]
fn week_of_incidents_costs_no_avoidable_sign_in() {
    let days = if full_size() { 7 } else { 2 };
    let hours = plan(days, SEED);
    let (fixture, bao) = fixture();
    let tally = Workstation::new(&fixture, &bao, Remedy::Product).live_through(&hours, days);
    println!("with claude-auth-sync: {tally}");
    assert_eq!(tally.avoidable, 0, "{tally}\n{}", tally.history());
    assert!(tally.sign_ins <= tally.unavoidable, "{tally}\n{}", tally.history());
    assert_eq!(tally.lost_members, 0, "{tally}\n{}", tally.history());
    if full_size() {
        let script = Workstation::new(&fixture, &bao, Remedy::Script).live_through(&hours, days);
        let nothing = Workstation::new(&fixture, &bao, Remedy::Nothing).live_through(&hours, days);
        println!("with the former script: {script}\nwithout a repair: {nothing}");
        for other in [script, nothing] {
            assert!(tally.share_logged_out() <= other.share_logged_out(), "{other}\n{}", other.history());
            assert!(tally.sign_ins <= other.sign_ins, "{other}\n{}", other.history());
        }
    }
}
