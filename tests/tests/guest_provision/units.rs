//! The hourly run.

use cas_tests::guest::Guest;

use super::{enrolled, provision, roster, site, snapshot};

const SERVICE: &str = "claude-auth-provision.service";

/// Runs the service and returns its result in systemd.
fn run(guest: &Guest) -> String {
    guest.run(&format!("systemctl reset-failed {SERVICE} 2>/dev/null; systemctl start {SERVICE}"));
    guest
        .run(&format!("systemctl show --property=Result,ExecMainStatus,ConditionResult --value {SERVICE}"))
        .text()
}

#[test]
fn hourly_unit_does_all_work_that_needs_no_admin_token() {
    let host = site();
    let guest = &host.guest;
    guest.resume();
    guest.run("systemctl is-active claude-auth-provision.timer").expect_success("the timer");
    assert!(run(guest).ends_with("\nno\n"), "without a roster it is not even started");

    roster(guest, "users:\n  alice:\n  bob:\n");
    assert_eq!(run(guest), "success\n77\nyes\n");
    let journal = guest.product_journal();
    assert!(
        journal.contains("user=alice WARN provisioning: waits for an administrator: there is no token"),
        "{journal}"
    );
    provision(&host, "").expect_success("an admin");
    let places = "/home/*/.config /var/lib/claude-auth-sync/enrolled /etc/systemd/system /etc/tmpfiles.d";
    let before = snapshot(guest, places);
    assert_eq!(run(guest), "success\n0\nyes\n");
    assert_eq!(snapshot(guest, places), before);

    // Everything that it may do without one works in its sandbox: enrolling, unenrolling, writing
    // and removing the links of units.
    roster(guest, "users:\n  alice: {parked: true}\n  bob:\n");
    assert_eq!(run(guest), "success\n0\nyes\n");
    assert_eq!(enrolled(guest), "bob\n");
    roster(guest, "users:\n  alice:\n  bob:\n");
    assert_eq!(run(guest), "success\n0\nyes\n");
    assert_eq!(enrolled(guest), "alice\nbob\n");
    guest
        .run("systemctl is-active claude-auth-sync@alice.timer claude-auth-request.service")
        .expect_success("the units of the user");

    roster(guest, "users:\n  alice:\n    Parked: true\n");
    assert_eq!(run(guest), "exit-code\n78\nyes\n", "a wrong roster is a failed unit");
    assert_eq!(enrolled(guest), "alice\nbob\n");
}
