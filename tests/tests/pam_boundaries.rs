//! The users that the module serves, the files that it reads, and the lines that it may log.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use cas_tests::pam::{PamFixture, TOKEN_VARIABLE};
use serde_json::json;

fn fixture() -> PamFixture {
    PamFixture::new(env!("CARGO_BIN_EXE_pam-host"), env!("CARGO_BIN_EXE_hostile-helper"))
}

#[test]
fn login_without_enrollment_costs_one_lstat() {
    let fixture = fixture();
    let report = fixture.login("answers").user("bob").run();
    report.assert_nothing_happened();
    let counts = report.login()["counts"].as_object().expect("counts").clone();
    let system: Vec<_> = counts
        .iter()
        .filter(|(name, _)| !["clock_gettime", "pam_get_item"].contains(&name.as_str()))
        .collect();
    assert_eq!(system, [(&"lstat".to_owned(), &json!(1))]);
    assert_eq!(fixture.programs_started(), 0);
}

#[test]
fn root_login_costs_nothing_even_with_a_marker() {
    let fixture = fixture();
    fixture.enrol("root");
    let report = fixture.login("answers").user("root").run();
    report.assert_nothing_happened();
    assert_eq!(report.login()["counts"].get("lstat"), None);
    assert_eq!(fixture.programs_started(), 0);
}

#[test]
fn service_outside_the_list_is_not_handled() {
    let fixture = fixture();
    for service in ["sudo", "cron", "systemd-user", "lightdm-greeter", "runuser-l", "polkit-1", "sshd-cas"] {
        let report = fixture.login("answers").service(service).argument("nonsense").run();
        report.assert_nothing_happened();
        assert_eq!(report.login()["counts"].get("lstat"), None, "{service}");
    }
    assert_eq!(fixture.programs_started(), 0);
}

#[test]
fn every_default_service_gets_the_token() {
    let fixture = fixture();
    for service in
        ["sshd", "login", "remote", "su", "su-l", "sudo-i", "gdm-password", "lightdm", "sddm", "greetd"]
    {
        fixture.login("answers").service(service).run().assert_token();
    }
}

#[test]
fn services_option_replaces_the_default_services() {
    let fixture = fixture();
    fixture.login("answers").service("sshd-cas").argument("services=login,sshd-cas").run().assert_token();
    fixture
        .login("answers")
        .service("sshd")
        .argument("services=login,sshd-cas")
        .run()
        .assert_nothing_happened();
}

/// The module's reaction to a name that is not enrolled.
#[derive(Debug, PartialEq)]
enum Reaction {
    /// None: no program is started.
    LeftAlone,
    /// It may be another spelling of an enrolled name, so the helper decides, which knows the
    /// account's own name.
    AuditEntry,
}

#[test]
fn hostile_user_name_is_harmless() {
    use Reaction::{AuditEntry, LeftAlone};
    let fixture = fixture();
    fs::write(fixture.path("state/outside"), "").expect("a file that a name could point at");
    fs::create_dir(fixture.path("state/enrolled/directory")).expect("a directory");
    let long = vec![b'a'; 10 * 1024];
    let long_spelling = vec![b'A'; 255];
    let names: &[(&[u8], Reaction)] = &[
        (b"", LeftAlone),
        (b".", LeftAlone),
        (b"..", LeftAlone),
        (b"/", LeftAlone),
        (b"-x", LeftAlone),
        (b"--user=alice", LeftAlone),
        (b"../outside", LeftAlone),
        (b"../enrolled/alice", LeftAlone),
        (b"./alice", LeftAlone),
        (b"alice/", LeftAlone),
        (b"/etc/passwd", LeftAlone),
        (b"alice\nbob", LeftAlone),
        (b"alice\r", LeftAlone),
        (b"\talice", LeftAlone),
        (b"\x1b[2Jalice", LeftAlone),
        (b"alice\x7f", LeftAlone),
        (b"\xff\xfe", LeftAlone),
        (b"\xc0\xaealice", LeftAlone),
        (b"ALIC\xc9", LeftAlone),
        (b"alicia", LeftAlone),
        (&long, LeftAlone),
        (&long[..256], LeftAlone),
        (&long[..255], LeftAlone),
        (b"%s%n%s%n", AuditEntry),
        (b"$(id)", AuditEntry),
        (b"alice ", AuditEntry),
        (b" alice", AuditEntry),
        (b"Alice", AuditEntry),
        (b"ALICE", AuditEntry),
        (b"alice@corp", AuditEntry),
        (b"alice@corp@corp", AuditEntry),
        (b"CORP\\alice", AuditEntry),
        (b"\xd0\xb0lice", AuditEntry),
        (&long_spelling, AuditEntry),
    ];
    for (name, expected) in names {
        let output = String::from_utf8_lossy(name);
        let started = fixture.programs_started();
        let report = fixture.login("tells-what-it-sees").user(name).run();
        let reaction = if fixture.programs_started() == started { LeftAlone } else { AuditEntry };
        assert_eq!(reaction, *expected, "{output}");
        if *expected == LeftAlone {
            report.assert_nothing_happened();
            continue;
        }
        let arguments: Vec<Vec<u8>> =
            serde_json::from_value(fixture.helper_report()["arguments"].clone()).expect("arguments");
        assert_eq!(
            arguments.last(),
            Some(&[b"--user=", *name].concat()),
            "{output}: one argument, unchanged"
        );
        report.assert_token();
        fixture.login("answers-without-token").user(name).run().assert_nothing_happened();
    }
}

#[test]
fn non_utf8_user_name_reaches_the_helper_unchanged() {
    let fixture = fixture();
    fs::write(fixture.marker(b"j\xf6rg"), "").expect("the marker is written");
    fixture.login("tells-what-it-sees").user(b"j\xf6rg").run().assert_token();
    let arguments: Vec<Vec<u8>> =
        serde_json::from_value(fixture.helper_report()["arguments"].clone()).expect("arguments");
    assert_eq!(arguments.last().map(Vec::as_slice), Some(&b"--user=j\xf6rg"[..]));
}

#[test]
fn session_without_ruser_tty_or_rhost_succeeds() {
    // The host sets neither a terminal nor a remote host or user in any test.
    fixture().login("answers").without_user().run().assert_nothing_happened();
}

#[test]
fn only_a_marker_owned_by_root_counts() {
    let fixture = fixture();
    let marker = fixture.marker(b"carol");
    let reset = || {
        let _ = fs::remove_file(&marker);
        let _ = fs::remove_dir(&marker);
    };

    fixture.enrol("carol");
    fs::set_permissions(&marker, fs::Permissions::from_mode(0o664)).expect("its mode can be changed");
    fixture
        .login("answers")
        .user("carol")
        .run()
        .assert_no_token_with_reason("other users than root can write it");

    reset();
    fixture.enrol("carol");
    chown(&marker, Some(54_321), None).expect("root may");
    fixture.login("answers").user("carol").run().assert_no_token_with_reason("belongs to uid 54321");

    reset();
    symlink("alice", &marker).expect("a link");
    fixture.login("answers").user("carol").run().assert_no_token_with_reason("not a regular file");

    reset();
    fs::create_dir(&marker).expect("a directory");
    fixture.login("answers").user("carol").run().assert_no_token_with_reason("not a regular file");
    assert_eq!(fixture.programs_started(), 0);

    reset();
    fixture.enrol("carol");
    fixture.login("answers").user("carol").run().assert_token();
}

#[test]
fn invalid_arguments_are_logged_in_one_line_and_ignored() {
    let fixture = fixture();
    let report = fixture
        .login("answers")
        .argument("use_first_pass")
        .argument("debug=yes")
        .argument("minimum_uid=a%n")
        .argument("minimum_uid=\x1b[2J")
        .argument(b"\xff\xfe")
        .argument("helper=/bin/false")
        .run();
    report.assert_harmless();
    assert_eq!(report.environment(), [TOKEN_VARIABLE], "the login has its token all the same");
    let line = report.only_line();
    for part in
        ["\"use_first_pass\" ignored: unknown", "ignored: takes no value", "a\\x25n", "\\x1b[2J", "not UTF-8"]
    {
        assert!(line.contains(part), "{line:?} names {part:?}");
    }
    assert!(line.is_ascii() && !line.contains('\x1b'), "{line:?}");
}

#[test]
fn deadline_out_of_bounds_is_clamped_and_logged() {
    let report = fixture().login("answers").argument("deadline=1h").argument("deadline=1ms").run();
    report.assert_harmless();
    assert!(report.only_line().contains("\"deadline=1ms\" changed to 100 ms"), "{}", report.only_line());
}

#[test]
fn log_line_has_a_maximum_length() {
    let fixture = fixture();
    let login = fixture.login("answers");
    let report = (0..30).fold(login, |login, number| login.argument(format!("nonsense{number}"))).run();
    report.assert_harmless();
    let text = report
        .only_line()
        .strip_prefix("pam-host: pam_cas_session(sshd:session): ")
        .expect("libpam's prefix");
    assert_eq!(text.len(), 480);
}

#[test]
fn debug_option_logs_each_result_at_level_debug() {
    let fixture = fixture();
    for (login, outcome) in [
        (fixture.login("answers"), "user=alice token set"),
        (fixture.login("answers-without-token"), "user=alice has no setup-token; nothing set"),
        (fixture.login("answers").user("bob"), "user=bob not enrolled; nothing set"),
    ] {
        let report = login.argument("debug").run();
        assert!(report.only_line().contains(outcome), "{}", report.only_line());
        assert!(!report.only_line().contains("sk-ant"), "{}", report.only_line());
        assert_eq!((report.log[0].facility, report.log[0].level), (10, 7));
    }
}

#[test]
fn pam_silent_makes_no_difference() {
    let fixture = fixture();
    fixture.login("answers").silent().run().assert_token();
    fixture.login("hangs").argument("deadline=100ms").silent().run().assert_no_token_with_reason("deadline");
}

#[test]
fn session_calls_succeed_alone_and_with_other_modules() {
    let fixture = fixture();
    for stack in [
        "session required MODULE\n",
        "session optional MODULE\n",
        "session requisite MODULE\n",
        "session sufficient MODULE\n",
        "session required pam_permit.so\nsession optional MODULE\n",
        "session optional MODULE\nsession required pam_permit.so\n",
        "session [success=ok default=die] MODULE\n",
    ] {
        for (mode, has_token) in [("answers", true), ("crashes", false)] {
            let report = fixture.login(mode).stack(stack).run();
            report.assert_harmless();
            assert_eq!(report.environment().len(), usize::from(has_token), "{stack}");
        }
    }
}

#[test]
fn module_in_another_stack_grants_no_access() {
    const PERMISSION_DENIED: i64 = 6;
    let fixture = fixture();
    let stack = "auth sufficient MODULE\naccount sufficient MODULE\nsession required MODULE\n";
    let report = fixture.login("answers").stack(stack).calls(&["authenticate", "setcred", "account"]).run();
    assert_eq!(report.calls(), [PERMISSION_DENIED; 3], "{report:#?}");
    assert_eq!(fixture.programs_started(), 0);
}

#[test]
fn setcred_with_another_module_is_not_affected() {
    let stack = "auth required pam_permit.so\nauth optional MODULE\naccount required pam_permit.so\naccount optional MODULE\n";
    let report = fixture().login("answers").stack(stack).calls(&["authenticate", "setcred", "account"]).run();
    assert_eq!(report.calls(), [0, 0, 0], "{report:#?}");
}
