//! In any state of the host, the login gets its token if that is possible, and the host is
//! unchanged.

use std::time::Duration;

use cas_tests::pam::{PamFixture, Report, TOKEN_VARIABLE};
use serde_json::{Value, json};

fn fixture() -> PamFixture {
    PamFixture::new(env!("CARGO_BIN_EXE_pam-host"), env!("CARGO_BIN_EXE_hostile-helper"))
}

fn login_in(mode: &str) -> Report {
    fixture().login("answers").host(mode).run()
}

fn assert_handler_was_not_called(report: &Report) {
    assert_eq!(report.answer["handler_calls"], json!(0), "our child is not the host's business");
}

#[test]
fn host_that_ignores_sigchld_gets_the_token() {
    login_in("sigchld-ignored").assert_token();
}

#[test]
fn sigchld_handler_of_the_host_never_sees_the_helper() {
    for mode in ["sigchld-handler", "sigchld-reaping-handler", "sigchld-nocldwait"] {
        let report = login_in(mode);
        report.assert_token();
        assert_handler_was_not_called(&report);
    }
}

#[test]
fn host_is_notified_of_its_own_child_ended_during_login() {
    let report = fixture().login("answers-late").host("sigchld-handler").host("own-child").run();
    assert!(report.status.success(), "{report:#?}");
    assert_eq!(report.environment(), [TOKEN_VARIABLE]);
    assert_eq!(report.answer["handler_calls"], json!(1), "once, for its own child alone");
}

#[test]
fn host_thread_that_reaps_all_children_changes_nothing() {
    login_in("thief-thread").assert_token();
}

#[test]
fn unusual_process_state_of_the_host_is_preserved() {
    login_in("dirty").assert_token();
}

#[test]
fn host_without_standard_streams_gets_the_token() {
    let report = fixture().login("tells-what-it-sees").host("stdio-closed").run();
    report.assert_token();
}

#[test]
fn session_opened_in_a_thread_outlives_the_thread() {
    login_in("other-thread").assert_token();
}

#[test]
fn thread_cancelled_during_a_login_finishes_it_first() {
    let report = fixture().login("answers-late").host("cancelled").run();
    report.assert_token();
}

#[test]
fn concurrent_sessions_in_two_threads_do_not_interfere() {
    let report =
        fixture().login("answers").host("two-threads").host("sigchld-reaping-handler").times(25).run();
    assert!(report.status.success(), "{report:#?}");
    let logins = report.login()["logins"].as_array().expect("two threads logged in").clone();
    assert_eq!(logins.len(), 50);
    for login in logins {
        assert_eq!(login, json!({ "calls": [0, 0], "environment": [TOKEN_VARIABLE] }));
    }
    assert_eq!((report.printed.as_str(), report.log.as_slice()), ("", &[][..]));
    report.assert_unchanged();
    assert_handler_was_not_called(&report);
}

/// The handler belongs to the whole process: changing it in one thread would change it in a child
/// that another thread forks at that moment, permanently.
#[test]
fn threads_that_fork_during_logins_keep_their_handler() {
    let report = fixture().login("answers").host("fork-stress").host("sigchld-handler").times(50).run();
    assert!(report.status.success(), "{report:#?}");
    let login = report.login();
    let logins = login["logins"].as_array().expect("four threads logged in");
    assert_eq!(logins.len(), 200);
    for login in logins {
        assert_eq!(login, &json!({ "calls": [0, 0], "environment": [TOKEN_VARIABLE] }));
    }
    assert!(login["forked"].as_u64().expect("children") > 100, "{}", login["forked"]);
    assert_eq!(login["without_handler"], json!(0), "of {} children", login["forked"]);
    assert_eq!((report.printed.as_str(), report.log.as_slice()), ("", &[][..]));
    report.assert_unchanged();
}

#[test]
fn signals_do_not_change_the_deadline() {
    let fixture = fixture();
    fixture.login("answers-late").host("eintr-storm").run().assert_token();
    let report = fixture.login("hangs").argument("deadline=500ms").host("eintr-storm").run();
    report.assert_no_token_with_reason("did not finish within the deadline");
    assert!(report.took() >= Duration::from_millis(500), "{:?}", report.took());
    assert!(report.took() < Duration::from_millis(1500), "{:?}", report.took());
}

#[test]
fn host_without_resources_logs_in_without_a_token() {
    login_in("no-files").assert_no_token_with_reason("Too many open files");
    login_in("no-processes").assert_no_token_with_reason("Resource temporarily unavailable");
    login_in("no-memory").assert_no_token_with_reason("Cannot allocate memory");
}

#[test]
fn helper_inherits_only_three_descriptors_and_its_environment() {
    for modes in
        [&[][..], &["dirty"], &["dirty", "sigchld-ignored"], &["stdio-closed"], &["dirty", "stdio-closed"]]
    {
        let fixture = fixture();
        let login = fixture.login("tells-what-it-sees").argument("minimum_uid=1234");
        modes.iter().fold(login, |login, mode| login.host(mode)).run().assert_token();
        assert_clean(&fixture.helper_report());
        let arguments = arguments(&fixture.helper_report());
        let (deadline, others): (Vec<_>, Vec<_>) =
            arguments.iter().partition(|argument| argument.starts_with("--deadline-ms="));
        assert_eq!(others, ["cas-session", "login", "--reply=1", "--minimum-uid=1234", "--user=alice"]);
        let left: u64 = deadline[0]["--deadline-ms=".len()..].parse().expect("a number of milliseconds");
        assert!((1..=2000).contains(&left), "what is left of the default: {left}");
    }
}

#[test]
fn pipe_is_created_with_close_on_exec() {
    let report = login_in("thief-thread");
    report.assert_token();
    assert_eq!(report.login()["pipe_flags"], json!(libc::O_CLOEXEC));
}

#[test]
fn token_is_in_host_memory_only_as_the_copy_of_libpam() {
    let report = login_in("memory");
    report.assert_token();
    assert_eq!(report.login()["copies"], json!(1));
}

#[test]
fn debug_option_is_passed_to_the_helper() {
    let fixture = fixture();
    let _ = fixture.login("tells-what-it-sees").argument("debug").run();
    assert!(arguments(&fixture.helper_report()).contains(&"--debug".to_owned()));
}

fn arguments(seen: &Value) -> Vec<String> {
    let bytes: Vec<Vec<u8>> = serde_json::from_value(seen["arguments"].clone()).expect("arguments");
    bytes.into_iter().map(|argument| String::from_utf8(argument).expect("UTF-8")).collect()
}

fn assert_clean(seen: &Value) {
    let descriptors = seen["descriptors"].as_object().expect("descriptors");
    assert_eq!(descriptors.keys().collect::<Vec<_>>(), ["0", "1", "2"], "{descriptors:?}");
    assert_eq!((&descriptors["0"], &descriptors["2"]), (&json!("/dev/null"), &json!("/dev/null")));
    assert!(descriptors["1"].as_str().is_some_and(|output| output.starts_with("pipe:")), "{descriptors:?}");
    assert_eq!(seen["environment"], json!("PATH=/usr/sbin:/usr/bin:/sbin:/bin\0LC_ALL=C\0"));
    assert_eq!(seen["directory"], json!("/"));
    assert_eq!(seen["leads"], json!([true, true]), "a session and a group of its own");
    let status = &seen["status"];
    assert_eq!(status["SigBlk"], json!("0000000000000000"));
    // Signals 32 and 33 belong to the C library: it allows no process to reset them and does not
    // need it.
    const C_LIBRARY_SYMBOLS: u64 = 0x1_8000_0000;
    let signals = |name: &str| {
        let mask = status[name].as_str().expect("a mask");
        u64::from_str_radix(mask, 16).expect("hexadecimal") & !C_LIBRARY_SYMBOLS
    };
    // The Rust runtime of the program itself ignores SIGPIPE, and handles SIGBUS and SIGSEGV.
    assert_eq!((signals("SigIgn"), signals("SigCgt")), (1 << 12, 1 << 6 | 1 << 10));
}

#[test]
fn ten_thousand_logins_leak_no_resources() {
    let fixture = fixture();
    for (user, times) in [("bob", 10_000), ("alice", 2_000)] {
        let report = fixture.login("answers").user(user).times(times).run();
        assert!(report.status.success(), "{report:#?}");
        let login = report.login();
        assert_eq!(login["failures"], json!(0));
        assert_eq!(login["children"], json!(false));
        assert_eq!(login["settled"], login["last"], "{user}: descriptors, mappings and threads");
        let growth = login["heap_growth"].as_u64().expect("bytes");
        assert!(
            growth < 4096,
            "{user}: the smallest thing lost at each login would be {} bytes: {growth}",
            24 * times
        );
    }
}

#[test]
fn handle_ended_in_a_forked_child_keeps_the_session() {
    login_in("end-in-child").assert_token();
}

#[test]
fn close_without_open_or_twice_is_harmless() {
    for calls in [&["close"][..], &["open", "close", "close"], &["open", "open", "close"], &["close", "open"]]
    {
        let report = fixture().login("answers").calls(calls).run();
        report.assert_harmless();
        assert_eq!(report.calls().len(), calls.len());
    }
}

#[test]
fn second_session_in_a_handle_gets_the_same_token() {
    let report = fixture().login("answers").calls(&["open", "open", "close"]).run();
    report.assert_token();
}

#[test]
fn failure_of_any_single_system_call_is_handled() {
    // Not at once: the supervisor would have nothing to wait for.
    let report = fixture().login("answers-soon").host("faults").host("sigchld-handler").run();
    assert!(report.status.success(), "{report:#?}");
    assert_eq!((report.printed.as_str(), &report.answer["conversations"]), ("", &json!(0)));
    let logins = report.login().as_array().expect("logins with faults");
    for function in [
        "lstat",
        "mmap",
        "posix_spawn",
        "syscall",
        "ppoll",
        "read",
        "waitid",
        "waitpid",
        "sigwaitinfo",
        "clock_gettime",
        "pam_putenv",
    ] {
        assert!(logins.iter().any(|login| login["function"] == function), "{function} was made to fail");
    }
    for login in logins {
        assert_eq!((&login["open"], &login["close"]), (&json!(0), &json!(0)), "{login}");
        assert_eq!(login["unchanged"], json!(true), "{login}");
        let environment = &login["environment"];
        assert!(*environment == json!([]) || *environment == json!([TOKEN_VARIABLE]), "{login}");
        // If these fail, they report that a running child has ended.
        if login["function"] != "waitpid" && login["function"] != "waitid" {
            assert_eq!(login["children"], json!(false), "{login}");
        }
    }
    assert!(report.log.len() <= logins.len(), "at most one line each");
}

#[test]
fn module_panic_is_one_log_line() {
    // The standard library panics when the clock cannot be read; this panic is real, from a deep
    // call.
    let report = fixture().login("answers").host("faults").run();
    assert!(report.status.success() && report.printed.is_empty(), "{report:#?}");
    let panics = report.log.iter().filter(|line| line.text.contains("defect in pam_cas_session at")).count();
    let logins = report.login().as_array().expect("logins with faults");
    let clocks = logins.iter().filter(|login| login["function"] == "clock_gettime").count();
    assert!(clocks > 0);
    assert_eq!(panics, clocks, "{:#?}", report.log);
}
