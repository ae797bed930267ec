//! Whatever happens to the helper of the module, the login succeeds within the deadline, gets no
//! malformed token, and one line in the journal has the reason.

use std::time::Duration;

use cas_tests::guest::{Guest, Suite};

/// The deadline these scenarios give the module.
const DEADLINE: Duration = Duration::from_millis(700);

/// The maximum time of a login beyond the deadline on a loaded machine: sshd itself needs a quarter
/// of a second when idle.
const SSHD_OVERHEAD: Duration = Duration::from_millis(1300);

const HELPER: &str = "/usr/local/libexec/helper";

/// Logs alice in while this shell script is the helper of the module. Returns its lines in the
/// journal.
#[track_caller]
fn login_succeeds_with_helper(script: &str) -> String {
    let guest = guest_with_helper(script);
    let seen = guest.ssh("alice", "echo in; printenv CLAUDE_CODE_OAUTH_TOKEN LD_PRELOAD").text();
    assert_eq!(seen, "in\n", "the login works and has no token");
    let (_, logins) = guest.ssh_within(DEADLINE + SSHD_OVERHEAD, "alice", "true");
    let journal = modules_lines(&guest);
    assert_eq!(journal.lines().count(), 1 + logins, "one line a login: {journal}");
    journal
}

fn guest_with_helper(script: &str) -> Guest {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("install -d /usr/local/libexec").expect_success("a folder for the program");
    guest.write(HELPER, "root", "755", format!("#!/bin/bash\n{script}\n").as_bytes());
    guest.module_arguments(&format!("deadline={}ms helper={HELPER}", DEADLINE.as_millis()));
    guest
}

/// Returns the lines of the module about alice since the boot.
fn modules_lines(guest: &Guest) -> String {
    guest
        .run("journalctl --sync; journalctl --quiet --output=cat --grep='pam_cas_session.*user=alice' SYSLOG_IDENTIFIER=sshd")
        .text()
}

#[test]
fn missing_helper_does_not_break_the_login() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("rm /usr/bin/cas-session").expect_success("removing the program");
    assert_eq!(guest.ssh("alice", "echo in").text(), "in\n");
    let journal = modules_lines(&guest);
    assert!(journal.contains("cannot start /usr/bin/cas-session"), "{journal}");
}

#[test]
fn missing_module_does_not_break_the_login() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("rm /usr/lib/*/security/pam_cas_session.so").expect_success("removing the module");
    assert_eq!(guest.ssh("alice", "echo in").text(), "in\n");
}

#[test]
fn crashing_helper_does_not_break_the_login() {
    let journal = login_succeeds_with_helper("kill -SEGV $$");
    assert!(journal.contains("failed"), "{journal}");
}

#[test]
fn helper_that_fails_after_its_reply_does_not_break_the_login() {
    let journal = login_succeeds_with_helper("echo 'CAS1 sk-ant-oat01-abc'; exit 3");
    assert!(journal.contains("failed"), "{journal}");
}

#[test]
fn hanging_helper_does_not_break_the_login() {
    let guest = guest_with_helper("trap '' TERM HUP; sleep 1000 & sleep 1001");
    let (seen, _) = guest.ssh_within(DEADLINE + SSHD_OVERHEAD, "alice", "pgrep -fa 'sleep 100[01]'; echo in");
    assert_eq!(seen.text(), "in\n", "the helper and its child have ended when the session begins");
    assert!(seen.took >= DEADLINE, "it really hung");
    assert!(modules_lines(&guest).contains("deadline"), "{}", modules_lines(&guest));
}

#[test]
fn flooding_helper_does_not_break_the_login() {
    let journal = login_succeeds_with_helper("exec cat /dev/zero");
    assert!(journal.contains("another form"), "{journal}");
    let journal = login_succeeds_with_helper("yes CAS1");
    assert!(journal.contains("another form"), "{journal}");
}

#[test]
fn helper_child_that_keeps_the_pipe_does_not_break_the_login() {
    let guest = guest_with_helper("setsid sleep 20 & echo CAS1");
    let (seen, _) = guest.ssh_within(DEADLINE + SSHD_OVERHEAD, "alice", "echo in");
    assert_eq!(seen.text(), "in\n");
}

#[test]
fn killed_helper_does_not_break_the_login() {
    let journal = login_succeeds_with_helper("kill -KILL $$");
    assert!(journal.contains("failed"), "{journal}");
}

#[test]
fn invalid_helper_does_not_break_the_login() {
    let guest = guest_with_helper("");
    for spoiled in ["chmod 644 $h", "rm $h; mkdir $h", "rm -r $h; printf '\\177ELF-not' >$h; chmod 755 $h"] {
        guest.run(&format!("h={HELPER}; {spoiled}")).expect_success("spoiling the program");
        assert_eq!(guest.ssh("alice", "echo in").text(), "in\n", "{spoiled}");
    }
    let journal = modules_lines(&guest);
    assert_eq!(journal.matches("cannot start").count(), 3, "{journal}");
}

#[test]
fn malformed_helper_reply_sets_nothing() {
    let guest = guest_with_helper("");
    let answers = [
        r"printf 'CAS1 sk-ant-oat01-abc'",
        r"printf 'CAS1 sk-ant-oat01-abc\nLD_PRELOAD=/x\n'",
        r"printf 'CAS1 LD_PRELOAD=/x\n'",
        r"printf 'LD_PRELOAD=/x\n'",
        r"printf 'CAS1 sk-ant-oat01-a\0b\n'",
        r"printf 'CAS1 sk-ant-api03-abc\n'",
        r"printf 'CAS2 sk-ant-oat01-abc\n'",
        r"printf 'CAS1 sk-ant-oat01-%01048576d\n' 7",
        r"printf 'CAS1 sk-ant-oat01-abc\r\n'",
        r"true",
    ];
    for answer in answers {
        guest.write(HELPER, "root", "755", format!("#!/bin/bash\n{answer}\n").as_bytes());
        let seen = guest.ssh("alice", "echo in; printenv CLAUDE_CODE_OAUTH_TOKEN LD_PRELOAD").text();
        assert_eq!(seen, "in\n", "{answer}");
    }
    assert_eq!(modules_lines(&guest).lines().count(), answers.len(), "one line each");
    guest.write(HELPER, "root", "755", b"#!/bin/bash\necho CAS1 sk-ant-oat01-abc\n");
    assert_eq!(
        guest.variable_over_ssh("alice").as_deref(),
        Some("sk-ant-oat01-abc"),
        "and a well-formed one is taken"
    );
}

#[test]
fn su_works_with_few_descriptors_and_processes() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", "sk-ant-oat01-alice");
    let su = "su alice -c 'echo in'";
    // Where su works without the product it must work with it, with or without a token.
    guest.disable_module();
    let enough = (3..64)
        .find(|limit| guest.unit(&format!("ulimit -n {limit}; {su}")).text() == "in\n")
        .expect("su works with some number of descriptors");
    guest.run("pam-auth-update --package --enable claude-auth-sync").expect_success("enabling again");
    assert!(guest.run("cat /etc/pam.d/common-session").text().contains("pam_cas_session.so"));
    for limit in enough..enough + 8 {
        let seen = guest.unit(&format!("ulimit -n {limit}; {su}"));
        assert_eq!(seen.text(), "in\n", "ulimit -n {limit}: {}", String::from_utf8_lossy(&seen.stderr));
    }
}
