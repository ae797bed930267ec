//! The generator for systemd's user managers: off until an administrator links it, and harmless
//! after any failure.

use cas_tests::guest::{Guest, Suite, VARIABLE, env_file_path};
use cas_tests::wait_until;

const ALICE: &str = "sk-ant-oat01-alice_A-1";

/// Links the generator, as an administrator does.
#[track_caller]
fn enable(guest: &Guest) {
    guest
        .run("d=/etc/systemd/user-environment-generators; mkdir -p $d && ln -s /usr/lib/claude-auth-sync/user-environment-generator $d/60-claude-auth-sync")
        .expect_success("enabling the generator");
}

/// Returns the lines with the variable in a user's manager, which the login starts.
#[track_caller]
fn in_manager(guest: &Guest, user: &str) -> String {
    let seen = guest.ssh(user, "systemctl --user show-environment; systemctl --user is-system-running");
    let text = seen.expect_success("asking the user manager").text();
    assert!(text.contains("\nUSER=") && text.ends_with("running\n"), "{text}");
    text.lines().filter(|line| line.contains(VARIABLE)).collect()
}

#[track_caller]
fn reload(guest: &Guest, user: &str) {
    guest.ssh(user, "systemctl --user daemon-reload").expect_success("daemon-reload");
}

/// Ends a user's manager; the next login starts another one. Waits until logind has forgotten the
/// user: a login while it removes the runtime directory gets none.
#[track_caller]
fn end_manager(guest: &Guest, user: &str) {
    // It fails where the user has not logged in yet.
    guest.run(&format!("loginctl terminate-user {user}"));
    wait_until("logind has forgotten the user", || {
        !guest
            .run(&format!("loginctl show-user {user} || systemctl is-active user@$(id -u {user})"))
            .succeeded()
    });
}

fn check_token_in_user_manager(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice"]);
    guest.put_token("alice", ALICE);
    guest.put_token("bob", "sk-ant-oat01-bob");
    assert_eq!(in_manager(&guest, "alice"), "", "it is off until an admin wants it");

    enable(&guest);
    reload(&guest, "alice");
    let line = format!("{VARIABLE}={ALICE}");
    assert_eq!(in_manager(&guest, "alice"), line);
    assert_eq!(in_manager(&guest, "bob"), "", "bob is not enrolled");
    let service = format!("systemd-run --user --quiet --pipe --wait printenv {VARIABLE}");
    assert_eq!(guest.ssh("alice", &service).text().trim(), ALICE);
    end_manager(&guest, "alice");
    assert_eq!(in_manager(&guest, "alice"), line, "from its start on");

    guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("withdrawn");
    assert_eq!(in_manager(&guest, "alice"), line, "it is asked again at a reload");
    reload(&guest, "alice");
    assert_eq!(in_manager(&guest, "alice"), "");
    guest.put_token("alice", ALICE);
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    reload(&guest, "alice");
    assert_eq!(in_manager(&guest, "alice"), "", "alice is not managed any longer");
}

#[test]
fn user_manager_has_the_token_until_withdrawal_on_bookworm() {
    check_token_in_user_manager(Suite::Bookworm);
}

#[test]
fn user_manager_has_the_token_until_withdrawal_on_trixie() {
    check_token_in_user_manager(Suite::Trixie);
}

#[test]
fn failing_generator_does_not_break_the_user_manager() {
    [Suite::Bookworm, Suite::Trixie].into_iter().for_each(start_manager_without_token);
}

fn start_manager_without_token(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice"]);
    enable(&guest);
    let others = "/etc/systemd/user-environment-generators/90-others";
    guest.write(others, "root", "755", b"#!/bin/sh\necho OTHERS=here\n");
    let env_file = env_file_path("alice");
    for wrong in [
        format!("mkfifo {env_file}; chown alice {env_file}"),
        format!("mkdir {env_file}"),
        format!("printf 'LD_PRELOAD=/x\\n{VARIABLE}=sk-ant-oat01-a\\n' >{env_file}; chown alice {env_file}"),
        format!("echo {VARIABLE}=sk-ant-oat01-bobs >{env_file}; chown bob {env_file}"),
        "mv /usr/bin/cas-session /tmp; printf '#!/bin/sh\nkill -ALRM $$\n' >/usr/bin/cas-session; chmod 755 /usr/bin/cas-session".to_owned(),
        "rm /usr/bin/cas-session".to_owned(),
        "rm /usr/lib/claude-auth-sync/user-environment-generator".to_owned(),
    ] {
        guest.put_token("alice", ALICE);
        guest.run(&format!("rm {env_file}; {wrong}")).expect_success(&wrong);
        end_manager(&guest, "alice");
        let seen = in_manager(&guest, "alice");
        assert_eq!(seen, "", "{wrong}");
        let all = guest.ssh("alice", "systemctl --user show-environment").text();
        assert!(all.contains("OTHERS=here") && !all.contains("LD_PRELOAD"), "{wrong}: {all}");
        guest.run(&format!("rm -rf {env_file}")).expect_success("clearing up");
    }
}

/// A session waits for it. By itself, a lookup times out after 45 seconds, and blocks every signal
/// until then.
#[test]
fn unresponsive_user_database_does_not_block() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", ALICE);
    // No other program here may look up a user.
    let as_alice = "perl -MPOSIX -e 'setgid(1000); setuid(1000); exec @ARGV' timeout --signal=KILL 30 cas-session environment; echo $?";
    assert_eq!(guest.run(as_alice).text(), format!("{VARIABLE}={ALICE}\n0\n"));
    guest
        .run(
            "systemd-run --quiet --unit=hangs --socket-property=ListenStream=/run/systemd/userdb/org.example.Hangs sleep 600
             sed -i 's/^passwd:.*/passwd: systemd files/' /etc/nsswitch.conf",
        )
        .expect_success("a directory server that never answers");
    let seen = guest.run(as_alice).text();
    guest
        .run("sed -i 's/^passwd:.*/passwd: files systemd/' /etc/nsswitch.conf; systemctl stop hangs.socket hangs.service")
        .expect_success("the guest must halt without waiting for it");
    assert_eq!(seen, "75\n", "by its own clock");
}
