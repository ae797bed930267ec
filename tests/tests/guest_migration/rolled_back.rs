//! The rollback to the script.

use cas_tests::guest::Suite;

use crate::machine::{ADMIN_UNITS, ALICE, BOB, Machine, SETUP_TOKEN, UNITS, has_siblings};

#[test]
fn script_works_again_with_its_units_restored_on_bookworm() {
    check_script_after_rollback(Suite::Bookworm);
}

#[test]
fn script_works_again_with_its_units_restored_on_trixie() {
    check_script_after_rollback(Suite::Trixie);
}

fn check_script_after_rollback(suite: Suite) {
    let machine = Machine::install_script(suite);
    let guest = machine.guest();
    guest.install_product();
    guest.resume();
    machine.configure_product();
    guest
        .run(&format!("cd {ADMIN_UNITS} && rm {} && systemctl daemon-reload", UNITS.join(" ")))
        .expect_success("its units aside");
    let before = [ALICE, BOB].map(|user| machine.log(user));
    for (user, log) in [ALICE, BOB].iter().zip(&before) {
        guest.enroll(user);
        machine.wait_until_verified(user, log);
    }
    let first = machine.alice.fields();
    machine.fixture.sign_in(ALICE);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a sync");
    machine.wait_for_backup_after(&first);
    // A session, after which the client has added its members to the file.
    assert!(machine.fixture.claude(ALICE).answered());
    let script_state = [ALICE, BOB].map(|user| machine.script_state(user));
    let ours = machine.alice.fields();
    assert!(ours["backed_up_machine"].is_string(), "{ours}");

    for user in [ALICE, BOB] {
        guest.run(&format!("cas-sync unenroll {user}")).expect_success("unenrolling");
    }
    machine.enable_script();

    assert_eq!([ALICE, BOB].map(|user| machine.script_state(user)), script_state);
    for (user, log) in [ALICE, BOB].iter().zip(&before) {
        assert!(machine.log(user).starts_with(log), "one log of all");
    }
    assert_eq!(
        machine.links(),
        "timers.target.wants/claude-auth-sync@alice.timer\ntimers.target.wants/claude-auth-sync@bob.timer\n"
    );
    assert_eq!(machine.timers(), ["claude-auth-sync@alice.timer", "claude-auth-sync@bob.timer"]);
    let (alice, bob) = (machine.alice.fields(), machine.bob.fields());
    has_siblings(&alice, ALICE);
    has_siblings(&bob, BOB);
    assert_eq!(bob["setup_token"], SETUP_TOKEN);
    assert_eq!(
        alice["backed_up_machine"], ours["backed_up_machine"],
        "the field of the product is one more sibling"
    );
    assert_eq!(guest.run("systemctl --failed --no-legend --plain").text(), "");
}
