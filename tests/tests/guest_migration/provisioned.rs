//! The migration of all users at once, with the roster of the legacy provisioner.

use cas_tests::guest::Suite;

use crate::machine::{ADMIN_UNITS, ALICE, BOB, Machine, UNITS, has_siblings};

/// With keys of other tools, and one user who has opted out.
const ROSTER: &str = "users:
  alice: {tier: gold, namespaces: [alice]}
  bob: {authentik_user: bob}
  carol: {claude_auth: false}
";

#[test]
fn migration_takes_over_all_users_without_new_tokens() {
    let machine = Machine::install_script(Suite::Bookworm);
    let guest = machine.guest();
    guest.run("systemctl enable --quiet claude-auth-sync@carol.timer").expect_success("an old link");
    let script_state = [ALICE, BOB].map(|user| machine.script_state(user));
    guest.install_product();
    guest.resume();
    machine.configure_product();
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", ROSTER.as_bytes());
    let before = machine.links();

    // As the hourly run does it, without an administrator's token, while the units of the script
    // exist.
    let done = guest.run("cas-sync provision");
    let output = format!("{}{}", done.text(), String::from_utf8_lossy(&done.stderr));
    assert!(UNITS.iter().all(|unit| output.contains(&format!("{ADMIN_UNITS}/{unit}"))), "{output}");
    assert!(!machine.links().contains("claude-auth-sync.target.wants"), "{} {before}", machine.links());
    let logs = [ALICE, BOB].map(|user| machine.log(user));
    guest
        .run(&format!("cd {ADMIN_UNITS} && rm {} && systemctl daemon-reload", UNITS.join(" ")))
        .expect_success("its units aside");
    let done = guest.run("cas-sync provision");
    assert_eq!(done.code, Some(0), "{}{}", done.text(), String::from_utf8_lossy(&done.stderr));

    for (user, log) in [ALICE, BOB].iter().zip(&logs) {
        machine.wait_until_verified(user, log);
    }
    machine.is_taken_over();
    assert_eq!([ALICE, BOB].map(|user| machine.script_state(user)), script_state, "not even written again");
    has_siblings(&machine.alice.fields(), ALICE);
    has_siblings(&machine.bob.fields(), BOB);
    assert_eq!(guest.run("systemctl --failed --no-legend --plain").text(), "");
}
