//! Several days of work, simulated in minutes, with incidents that lose logins: killed refreshes,
//! concurrent older clients, files that are cleared, torn, deleted and replaced by old copies, and
//! outages of the servers. The clients and the store are real.

mod clock;
mod incident;
mod measurements;
mod workstation;

use cas_tests::size::full_size;

use self::incident::plan;
use self::workstation::{Remedy, Workstation, fixture};

/// Selects the order of the incidents.
const SEED: u64 = 12;

#[test]
fn week_of_incidents_costs_no_avoidable_sign_in() {
    let days = if full_size() { 7 } else { 2 };
    let hours = plan(days, SEED);
    let (fixture, bao) = fixture();
    let measurements = Workstation::new(&fixture, &bao, Remedy::Product).run(&hours, days);
    println!("with claude-auth-sync: {measurements}");
    assert_eq!(measurements.avoidable, 0, "{measurements}\n{}", measurements.history());
    assert!(measurements.sign_ins <= measurements.unavoidable, "{measurements}\n{}", measurements.history());
    assert_eq!(measurements.lost_members, 0, "{measurements}\n{}", measurements.history());
    if full_size() {
        let script = Workstation::new(&fixture, &bao, Remedy::Script).run(&hours, days);
        let nothing = Workstation::new(&fixture, &bao, Remedy::Nothing).run(&hours, days);
        println!("with the former script: {script}\nwithout a repair: {nothing}");
        for other in [script, nothing] {
            assert!(
                measurements.share_logged_out() <= other.share_logged_out(),
                "{other}\n{}",
                other.history()
            );
            assert!(measurements.sign_ins <= other.sign_ins, "{other}\n{}", other.history());
        }
    }
}
