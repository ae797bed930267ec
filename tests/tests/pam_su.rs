//! `su` passes the caller's environment on: no token may reach another user's shell.

use std::fs;

use cas_tests::pam::{PamFixture, Report, TOKEN_VARIABLE};

const EMPTY: &str = "CLAUDE_CODE_OAUTH_TOKEN=";

fn fixture() -> PamFixture {
    PamFixture::new(env!("CARGO_BIN_EXE_pam-host"), env!("CARGO_BIN_EXE_hostile-helper"))
}

fn assert_emptied(report: &Report) {
    report.assert_harmless();
    assert_eq!(report.environment(), [EMPTY]);
}

#[test]
fn su_to_a_user_with_a_token_sets_it() {
    for service in ["su", "su-l"] {
        fixture().login("answers").service(service).run().assert_token();
    }
}

#[test]
fn su_to_a_user_without_a_token_sets_an_empty_variable() {
    let fixture = fixture();
    odd_marker(&fixture, "carol");
    for service in ["su", "su-l"] {
        for (login, logs) in [
            (fixture.login("answers-without-token"), false),
            (fixture.login("answers").user("root"), false),
            (fixture.login("answers").user("bob"), false),
            (fixture.login("answers").user("-x"), false),
            (fixture.login("answers").without_user(), false),
            (fixture.login("answers").user("carol"), true),
            (fixture.login("crashes"), true),
            (fixture.login("floods"), true),
            (fixture.login("hangs").argument("deadline=100ms"), true),
            (fixture.login("answers").helper(&fixture.path("missing")), true),
            (fixture.login("answers").host("no-files"), true),
        ] {
            let report = login.service(service).run();
            assert_emptied(&report);
            assert_eq!(!report.log.is_empty(), logs, "{:?}", report.log);
        }
    }
}

#[test]
fn su_empties_the_variable_even_when_the_module_panics() {
    let report = fixture().login("answers").service("su").host("faults").run();
    assert!(report.status.success(), "{report:#?}");
    for login in report.login().as_array().expect("logins with faults") {
        let environment = &login["environment"];
        let function = login["function"].as_str().expect("a function");
        if ["pam_putenv", "pam_get_item"].contains(&function) {
            continue;
        }
        assert!(
            environment == &serde_json::json!([EMPTY]) || environment == &serde_json::json!([TOKEN_VARIABLE]),
            "{login}"
        );
    }
}

#[test]
fn su_outside_the_list_is_not_handled() {
    fixture().login("answers").service("su").argument("services=sshd").run().assert_nothing_happened();
}

#[test]
fn only_su_gets_an_empty_variable() {
    for service in ["sshd", "login", "sudo-i", "gdm-password"] {
        fixture().login("answers").service(service).user("bob").run().assert_nothing_happened();
    }
}

fn odd_marker(fixture: &PamFixture, user: &str) {
    fs::create_dir(fixture.marker(user.as_bytes())).expect("a marker that is none");
}
