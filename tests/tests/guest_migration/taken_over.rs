//! The migration to this product, step by step.

use cas_tests::guest::{Suite, VARIABLE};
use cas_tests::openbao::Policy;

use crate::machine::{ADMIN_UNITS, ALICE, BOB, Machine, SETUP_TOKEN, UNITS, ZSHENV, has_siblings};

#[test]
fn state_of_the_script_is_taken_over_on_bookworm() {
    check_state_taken_over(Suite::Bookworm);
}

#[test]
fn state_of_the_script_is_taken_over_on_trixie() {
    check_state_taken_over(Suite::Trixie);
}

fn check_state_taken_over(suite: Suite) {
    let machine = Machine::install_script(suite);
    let guest = machine.guest();
    let script_state = [ALICE, BOB].map(|user| machine.script_state(user));
    let backup = machine.alice.fields()["claude_ai_oauth_json"].clone();

    guest.run("systemctl enable --quiet claude-auth-sync@carol.timer").expect_success("an old link");
    // Installing changes nothing yet.
    guest.install_product();
    guest.resume();
    machine.configure_product();
    assert!(machine.property("claude-auth-sync@alice.service", "ExecStart").contains("/usr/local/bin/"));
    machine.run_script();
    // Enrolling users changes their logins. The script keeps its timers as long as its units exist.
    let drop_in = format!("{ADMIN_UNITS}/claude-auth-sync@.service.d/script.conf");
    guest
        .run(&format!("mkdir {ADMIN_UNITS}/claude-auth-sync@.service.d && printf '[Service]\\nExecStart=\\nExecStart=/usr/local/bin/claude-auth-sync --now\\n' >{drop_in}"))
        .expect_success("a drop-in");
    let [service, timer] = UNITS.map(|unit| format!("{ADMIN_UNITS}/{unit}"));
    let before = machine.links();
    let logs = [ALICE, BOB].map(|user| machine.log(user));
    let left = [service, timer, drop_in];
    for (number, file) in left.iter().enumerate() {
        let output = guest.enroll(ALICE);
        assert!(output.contains("The packaged units do not run for alice"), "{output}");
        assert!(left.iter().skip(number).all(|file| output.contains(file.as_str())), "{output}");
        assert_eq!(machine.links(), before);
        guest.run(&format!("rm {file} && systemctl daemon-reload")).expect_success("put aside");
    }
    guest
        .run("systemctl disable --now --quiet claude-auth-sync@carol.timer")
        .expect_success("carol has opted out");
    for user in [ALICE, BOB] {
        let output = guest.enroll(user);
        assert_eq!(
            output,
            format!(
                "{user} is enrolled: the login is repaired at each login of the user and by the watcher, and synced every six hours.\n"
            )
        );
    }
    for (user, log) in [ALICE, BOB].iter().zip(&logs) {
        machine.wait_until_verified(user, log);
    }
    machine.is_taken_over();

    assert_eq!([ALICE, BOB].map(|user| machine.script_state(user)), script_state, "not even written again");
    let (alice, bob) = (machine.alice.fields(), machine.bob.fields());
    has_siblings(&alice, ALICE);
    has_siblings(&bob, BOB);
    assert_eq!(bob["setup_token"], SETUP_TOKEN);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(alice["claude_ai_oauth_json"].as_str().expect("a backup"))
            .ok(),
        serde_json::from_str(backup.as_str().expect("a backup")).ok(),
    );
    // Without the line that sourced a file of the user as shell code.
    guest.run(&format!("sed -i /claude-oauth.env/d {ZSHENV}")).expect_success("removing the line");
    guest.run("chsh -s /bin/zsh bob").expect_success("a zsh");
    assert_eq!(guest.variable_over_ssh(BOB).as_deref(), Some(SETUP_TOKEN), "{VARIABLE}");
    assert!(machine.fixture.claude(ALICE).answered());
    assert_eq!(guest.run("systemctl --failed --no-legend --plain").text(), "");

    // Afterwards the policy can be made stricter; the token stays.
    machine.alice.set_policy(Policy::Patch);
    machine.fixture.sign_in(ALICE);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a sync");
    machine.wait_for_backup_after(&alice);
    has_siblings(&machine.alice.fields(), ALICE);
}
