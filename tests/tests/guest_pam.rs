//! The options of the module and its environment in real sessions: sessions without action, an
//! unavailable name service, and the state after sshd ends during a login.

use std::time::Duration;

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{CommandResult, Guest, Suite, VARIABLE, login_path},
};

const ALICE: &str = "sk-ant-oat01-alice";

/// The overhead of sshd or su on a loaded machine.
const OWN_OVERHEAD: Duration = Duration::from_millis(1500);

#[test]
fn users_below_the_minimum_uid_are_left_alone() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.put_token("alice", ALICE);
    guest.put_token("bob", "sk-ant-oat01-bob");
    guest.put_login("alice", &cleared_login(&new_login("lost")));
    let before = guest.file_identity(&login_path("alice"));
    guest.module_arguments("minimum_uid=1001");
    assert_eq!(guest.variable_over_ssh("alice"), None, "the user id of alice is 1000");
    assert_eq!(guest.variable_over_ssh("bob").as_deref(), Some("sk-ant-oat01-bob"), "his is 1001");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
    assert_eq!(guest.product_journal(), "");
}

#[test]
fn only_configured_services_are_handled() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", ALICE);
    // The variables of the module, and not those of a login shell.
    guest.run("rm /etc/profile.d/claude-auth-sync.sh").expect_success("taking the shells' file away");
    let by_su = || guest.unit(&format!("su - alice -c 'echo \"[${{{VARIABLE}-unset}}]\"'")).text();
    guest.module_arguments("services=login,su-l");
    assert_eq!(guest.variable_over_ssh("alice"), None, "sshd is no longer in the list");
    assert_eq!(by_su(), format!("[{ALICE}]\n"));
    guest.module_arguments("services=sshd");
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some(ALICE));
    assert_eq!(by_su(), "[unset]\n", "a service that is not listed is left alone");
}

/// Replaces the helper by a program that never answers.
#[track_caller]
fn install_hanging_helper(guest: &Guest) {
    guest.run("install -d /usr/local/libexec").expect_success("a folder");
    guest.write("/usr/local/libexec/hangs", "root", "755", b"#!/bin/sh\nexec sleep 600\n");
}

#[test]
fn deadline_option_bounds_the_login() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    install_hanging_helper(&guest);
    for (requests, millis) in [("300ms", 300), ("3s", 3000), ("1", 1000), ("1ms", 100), ("600s", 10_000)] {
        guest.module_arguments(&format!("helper=/usr/local/libexec/hangs deadline={requests}"));
        let deadline = Duration::from_millis(millis);
        let (login, _) = guest.ssh_within(deadline + OWN_OVERHEAD, "alice", "echo in");
        assert_eq!(login.text(), "in\n");
        assert!(login.took >= deadline, "deadline={requests}: {:?}", login.took);
    }
}

/// A directory server hangs: lookups through nscd take five seconds. Only the helper looks names
/// up; the module does not.
#[test]
fn unresponsive_name_service_costs_at_most_the_deadline() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", ALICE);
    guest
        .run("printf 'auth required pam_permit.so\\naccount required pam_permit.so\\nsession optional pam_cas_session.so services=only-us deadline=1s\\n' >/etc/pam.d/only-us")
        .expect_success("a PAM service with our module alone");
    let open = "pamtester only-us alice open_session";
    let open_session = || guest.run(open);
    CommandResult::run_within(Duration::from_millis(700), "a session", open_session)
        .expect_success("a session");

    guest
        .run("install -d /run/nscd && systemd-run --quiet --unit=silent --socket-property=ListenStream=/run/nscd/socket sleep infinity")
        .expect_success("a silent name service");
    let requests = guest.run("getent passwd alice").expect_success("getent");
    assert!(requests.took > Duration::from_secs(4), "it really is in the way: {:?}", requests.took);
    let slow = CommandResult::run_within(Duration::from_secs(1) + OWN_OVERHEAD, "a session", open_session)
        .expect_success("a session");
    assert!(slow.took > Duration::from_millis(800), "our program did ask: {:?}", slow.took);
    let output = guest
        .run("journalctl --sync; journalctl --quiet --output=cat --grep='pam_cas_session.*user=alice.*deadline'")
        .text();
    assert!((1..=3).contains(&output.lines().count()), "one line a login: {output}");
    assert_eq!(guest.run("pgrep -c cas-session").text(), "0\n", "and nothing of it is left");
}

#[test]
fn sessions_without_a_login_are_not_affected() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    for user in ["alice", "bob", "carol"] {
        guest.put_token(user, ALICE);
        guest.put_login(user, &cleared_login(&new_login(user)));
    }
    guest
        .run("usermod -s /usr/sbin/nologin alice && usermod -s /bin/false bob && usermod -L -e 1 carol")
        .expect_success("odd accounts");
    let ways = |guest: &Guest| {
        let mut seen = Vec::new();
        for user in ["alice", "bob", "carol"] {
            let attempts: [&dyn Fn() -> CommandResult; 3] =
                [&|| guest.ssh(user, "echo in"), &|| guest.unit(&format!("su {user} -c 'echo in'")), &|| {
                    guest.unit(&format!("su - {user} -c 'echo in'"))
                }];
            for attempt in attempts {
                let finished = attempt();
                assert!(finished.took < Duration::from_secs(20), "{user}: {:?}", finished.took);
                let errors = String::from_utf8_lossy(&finished.stderr).into_owned();
                seen.push((user, finished.code, finished.text(), errors));
            }
        }
        seen
    };
    let with_us = ways(&guest);
    guest.disable_module();
    assert_eq!(with_us, ways(&guest), "as without the product");
    assert!(
        with_us.iter().all(|(.., stdout, _)| !stdout.contains("in\n")),
        "none of them gets in: {with_us:?}"
    );
    guest.run("pam-auth-update --package --enable claude-auth-sync").expect_success("enabling again");

    // Neither a user manager nor a cron job is a login: no process, no line.
    guest
        .run("usermod -s /bin/bash alice && usermod -s /bin/bash bob")
        .expect_success("plain accounts again");
    let lines_before = guest.product_journal();
    guest.write("/etc/cron.d/scenario", "root", "644", b"* * * * * bob touch /tmp/cron.ran\n");
    guest
        .run("loginctl enable-linger alice && systemctl is-active --wait user@1000 && systemctl --user -M alice@ list-units >/dev/null; systemctl is-active user@1000")
        .expect_success("a user manager without a login");
    guest
        .run("for i in $(seq 180); do [ -e /tmp/cron.ran ] && exit; sleep 0.5; done; exit 1")
        .expect_success("the cron job ran");
    assert_eq!(guest.product_journal(), lines_before);
}

#[test]
fn sshd_killed_during_a_login_does_not_break_the_next() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    let state = "/home/alice/.local/state/claude-auth-sync";
    // Once while the helper waits for its turn, and then at any moment while it works.
    for round in 0..12 {
        guest.back_up_and_clear("alice", &login);
        let waits = round % 3 == 0;
        if waits {
            guest.hold_lock(&format!("{state}/repair.lock"), 60);
        }
        let kill = format!(
            "ssh alice@127.0.0.1 true & client=$!; \
             for i in $(seq 1000); do pgrep cas-session >/dev/null && break; sleep 0.002; done; {} \
             pkill -9 -f '^sshd: alice'; wait $client; echo $?; systemctl stop holder.service 2>/dev/null; \
             for i in $(seq 300); do pgrep cas-session >/dev/null || exit 0; sleep 0.01; done; exit 1",
            if waits { "sleep 0.3;".to_owned() } else { format!("sleep 0.00{round};") },
        );
        let killed = guest.run(&kill).expect_success("our program ends by itself");
        assert!(
            !waits || killed.text() == "255\n",
            "sshd died in the middle of the login: {}",
            killed.text()
        );
        let left = parsed(&guest.read_login("alice"));
        assert!(
            left == parsed(&login) || left == parsed(&cleared_login(&login)),
            "valid or unchanged: {left}"
        );

        let (next, _) = guest.ssh_within(OWN_OVERHEAD, "alice", "cat .claude/.credentials.json");
        assert_eq!(parsed(&next.text()), parsed(&login));
        let litter = guest.run("find /home/alice '(' -name '*.tmp.*' -o -name '.*.cas-*' ')' -o -path '*claude*' -name '.*.lock'").text();
        assert_eq!(litter, "");
        guest.run(&format!("rm -r {state} /home/alice/.claude")).expect_success("another day");
    }
}
