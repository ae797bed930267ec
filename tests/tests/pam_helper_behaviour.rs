//! Whatever the replacement of `cas-session` does, the login succeeds, in time, and nothing is left
//! of it. Times are compared with three times the deadline, which distinguishes a bounded wait from
//! a hang on any machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use cas_tests::pam::{PamFixture, TOKEN};

const LATE: &str = "did not finish within the deadline";
const FAILED: &str = "cas-session failed";
const OTHER_FORM: &str = "has another format";

/// Hosts that make it difficult to detect the end of a child.
const HOSTS: &[&[&str]] = &[
    &[],
    &["sigchld-ignored"],
    &["sigchld-reaping-handler"],
    &["thief-thread"],
    &["kernel-6.1"],
    &["kernel-6.1", "thief-thread"],
    &["kernel-5.2"],
    &["kernel-5.2", "sigchld-ignored"],
    &["kernel-5.2", "thief-thread"],
];

fn fixture() -> PamFixture {
    PamFixture::new(env!("CARGO_BIN_EXE_pam-host"), env!("CARGO_BIN_EXE_hostile-helper"))
}

#[test]
fn login_with_a_stored_token_has_it_in_its_environment() {
    fixture().login("answers").run().assert_token();
}

#[test]
fn login_without_a_token_is_as_without_the_module() {
    fixture().login("answers-without-token").run().assert_nothing_happened();
}

#[test]
fn login_on_an_older_kernel_gets_its_token() {
    fixture().login("answers").host("kernel-6.1").run().assert_token();
    fixture().login("answers").host("kernel-5.2").run().assert_token();
}

#[test]
fn slow_reply_within_the_deadline_is_used() {
    fixture().login("answers-late").run().assert_token();
}

#[test]
fn endless_helper_costs_the_deadline_and_is_killed() {
    for mode in ["hangs", "answers-and-hangs", "stops", "ignores-signals-and-hangs", "drips"] {
        assert_late(mode, &[]);
    }
}

#[test]
fn endless_helper_is_killed_with_any_sigchld_disposition() {
    for host in HOSTS {
        assert_late("answers-and-hangs", host);
    }
}

fn assert_late(mode: &str, host: &[&str]) {
    let fixture = fixture();
    let login = fixture.login(mode).argument("deadline=500ms");
    let report = host.iter().fold(login, |login, mode| login.host(mode)).run();
    report.assert_no_token_with_reason(LATE);
    assert!(report.took() >= Duration::from_millis(500), "{mode} {host:?}: {:?}", report.took());
    assert!(report.took() < Duration::from_millis(1500), "{mode} {host:?}: {:?}", report.took());
    assert!(fixture.no_program_is_running(), "{mode} {host:?}");
}

#[test]
fn helper_that_closed_its_output_is_not_waited_for() {
    let fixture = fixture();
    let report = fixture.login("answers-closes-and-hangs").argument("deadline=10s").run();
    report.assert_token();
    assert!(report.took() < Duration::from_secs(5), "{:?}", report.took());
    let report = fixture.login("closes-and-hangs").argument("deadline=10s").run();
    report.assert_no_token_with_reason(OTHER_FORM);
    assert!(report.took() < Duration::from_secs(5), "{:?}", report.took());
    assert!(fixture.no_program_is_running());
}

#[test]
fn reply_of_a_failed_helper_is_not_used() {
    for mode in [
        "answers-and-fails",
        "answers-closes-and-fails",
        "answers-and-crashes",
        "answers-and-is-killed",
        "crashes",
    ] {
        fixture().login(mode).run().assert_no_token_with_reason(FAILED);
    }
}

/// The host cannot reap the helper, whatever it does with its own children.
#[test]
fn failed_helper_is_detected_in_every_host() {
    for host in HOSTS {
        let fixture = fixture();
        let login = fixture.login("answers-and-fails");
        let report = host.iter().fold(login, |login, mode| login.host(mode)).run();
        report.assert_no_token_with_reason(FAILED);
    }
}

#[test]
fn killed_host_leaves_no_helper_running() {
    let fixture = fixture();
    let report = fixture.login("ignores-signals-and-hangs").argument("deadline=500ms").host("dies").run();
    assert_eq!(report.status.signal(), Some(libc::SIGKILL), "{report:#?}");
    assert_eq!(fixture.programs_started(), 1);
    assert!(fixture.no_program_is_running());
}

#[test]
fn excess_output_is_cut_off_at_the_reply_limit() {
    let fixture = fixture();
    let report = fixture.login("floods").argument("deadline=10s").run();
    report.assert_no_token_with_reason(OTHER_FORM);
    assert!(report.took() < Duration::from_secs(5), "{:?}", report.took());
    assert!(fixture.no_program_is_running());
}

#[test]
fn child_that_keeps_the_pipe_open_is_killed_without_delay() {
    for host in HOSTS {
        for (mode, has_token) in [("leaves-a-child", true), ("leaves-a-child-in-silence", false)] {
            let fixture = fixture();
            let _ = fixture.program("hangs");
            let login = fixture.login(mode).argument("deadline=10s");
            let report = host.iter().fold(login, |login, mode| login.host(mode)).run();
            if has_token {
                report.assert_token();
            } else {
                report.assert_no_token_with_reason(OTHER_FORM);
            }
            assert!(report.took() < Duration::from_secs(5), "{mode} {host:?}: {:?}", report.took());
            assert_eq!(fixture.programs_started(), 2, "{mode} {host:?}");
            assert!(fixture.no_program_is_running(), "{mode} {host:?}");
        }
    }
}

#[test]
fn child_outside_the_group_does_not_delay_the_login() {
    let fixture = fixture();
    let _ = fixture.program("leaves-the-group");
    let report = fixture.login("leaves-a-child-elsewhere").argument("deadline=10s").run();
    report.assert_token();
    assert!(report.took() < Duration::from_millis(2500), "it lives three seconds: {:?}", report.took());
}

#[test]
fn helper_that_cannot_be_started_is_logged_once() {
    let fixture = fixture();
    let plain = fixture.path("plain");
    fs::write(&plain, "text").expect("a file");
    let garbage = fixture.path("garbage");
    fs::write(&garbage, [0x7f, b'E', b'L', b'F', 0, 0]).expect("a file");
    let orphan = fixture.path("orphan");
    fs::write(&orphan, "#!/nonexistent/shell\n").expect("a file");
    for executable in [&garbage, &orphan] {
        fs::set_permissions(executable, fs::Permissions::from_mode(0o755)).expect("its mode can be changed");
    }
    for path in
        [&fixture.path("missing"), &plain, &garbage, &orphan, &fixture.path("programs"), &plain.join("below")]
    {
        let report = fixture.login("answers").helper(path).run();
        report.assert_no_token_with_reason(&format!("cannot start {}", path.display()));
        assert!(
            report
                .only_line()
                .starts_with("pam-host: pam_cas_session(sshd:session): user=alice cannot start")
        );
        assert!(report.only_line().contains("reinstall claude-auth-sync"), "{}", report.only_line());
    }
}

#[test]
fn only_one_well_formed_line_sets_the_token() {
    let fixture = fixture();
    let token = TOKEN.as_bytes();
    let megabyte = vec![b'a'; 1 << 20];
    let line = |parts: &[&[u8]]| parts.concat();
    let rows: &[Vec<u8>] = &[
        line(&[]),
        line(&[b"\n"]),
        line(&[b"CAS1"]),
        line(&[b"CAS1 ", token]),
        line(&[b"CAS1 ", token, b"\r\n"]),
        line(&[b"CAS1 ", token, b"\n\n"]),
        line(&[b"CAS1 ", token, b" \n"]),
        line(&[b"CAS1  ", token, b"\n"]),
        line(&[b"CAS1\t", token, b"\n"]),
        line(&[b" CAS1 ", token, b"\n"]),
        line(&[b"cas1 ", token, b"\n"]),
        line(&[b"CAS2 ", token, b"\n"]),
        line(&[token, b"\n"]),
        line(&[b"\xef\xbb\xbfCAS1 ", token, b"\n"]),
        line(&[b"CAS1 ", token, b"\nCAS1 ", token, b"\n"]),
        line(&[b"CAS1 ", token, b"\nLD_PRELOAD=/x\n"]),
        line(&[b"CAS1 LD_PRELOAD=/x\n"]),
        line(&[b"LD_PRELOAD=/x\n"]),
        line(&[b"CLAUDE_CODE_OAUTH_TOKEN=", token, b"\n"]),
        line(&[b"CAS1 CLAUDE_CODE_OAUTH_TOKEN=", token, b"\n"]),
        line(&[b"CAS1 ", token, b"\0\n"]),
        line(&[b"CAS1 ", token, b"\0LD_PRELOAD=/x\n"]),
        line(&[b"CAS1 ", token, b"=x\n"]),
        line(&[b"CAS1 ", token, b"\x1b[2J\n"]),
        line(&[b"CAS1 ", token, b"\xc3\xa4\n"]),
        line(&[b"CAS1 ", token, b"\xff\n"]),
        line(&[b"CAS1 sk-ant-oat01-\n"]),
        line(&[b"CAS1 sk-ant-api03-abc\n"]),
        line(&[b"CAS1 \"", token, b"\"\n"]),
        line(&[b"CAS1 ", token, &megabyte[..1100], b"\n"]),
        line(&[b"CAS1 ", token, &megabyte, b"\n"]),
        line(&[&[0_u8; 64]]),
    ];
    for answer in rows {
        fs::create_dir_all(fixture.path("programs")).expect("the directory is there");
        fs::write(fixture.path("programs/answer"), answer).expect("the answer is written");
        let report = fixture.login("answers-what-is-written").run();
        let output = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        assert_eq!(report.environment(), [""; 0], "{output:?}");
        report.assert_no_token_with_reason(OTHER_FORM);
        assert!(
            !report.only_line().contains("sk-ant"),
            "no part of an answer is logged: {}",
            report.only_line()
        );
    }
}

#[test]
fn token_of_maximum_length_is_passed_completely() {
    let fixture = fixture();
    let token = format!("sk-ant-oat01-{}", "a".repeat(1024 - 13));
    let _ = fixture.program("answers-what-is-written");
    fs::write(fixture.path("programs/answer"), format!("CAS1 {token}\n")).expect("the answer is written");
    let report = fixture.login("answers-what-is-written").run();
    report.assert_harmless();
    assert_eq!(report.environment(), [format!("CLAUDE_CODE_OAUTH_TOKEN={token}")]);
}
