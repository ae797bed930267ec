//! Attempts of a local user to prevent the provisioning of others.

use super::{enrolled, provision, provision_alone, roster, site, text_and_errors, token_file, token_lookup};

const SERVICE: &str = "claude-auth-provision.service";

/// A user who could open the lock could hold it forever.
#[test]
fn provision_lock_cannot_be_held_by_users() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n");
    guest.run("umask 022; cas-sync provision");
    let holder = "systemd-run --quiet --collect --unit=holder --uid=bob flock /var/lib/claude-auth-sync/provision.lock sleep 600";
    guest.run(&format!("{holder}; sleep 1"));

    let done = provision(&host, "");

    assert!(done.succeeded(), "{}", text_and_errors(&done));
    assert_eq!(enrolled(guest), "alice\n");
}

/// Runs in the sandbox of the hourly run, and by hand.
#[test]
fn user_who_stops_the_child_process_causes_no_failed_unit() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    // Dee stops each of her next processes at once; she cannot stop those of other users.
    // The last field of /proc/loadavg is the last process id of the guest.
    let stop = b"open R, '>/home/alice/ready'; while (1) { open L, '/proc/loadavg'; my $last = (split ' ', <L>)[4]; \
        kill STOP => $_ for grep { $_ != $$ } $last .. $last + 30; }";
    guest.write("/home/alice/stop.pl", "alice", "600", stop);
    guest
        .run("systemd-run --quiet --collect --unit=stopper --uid=alice perl /home/alice/stop.pl; while [ ! -e /home/alice/ready ]; do sleep 0.1; done")
        .expect_success("a user who stops every process that takes her user id");
    let caught = "alice WARN provisioning: skipped: the home does not answer within 10s";
    let is_caught = (0..60).any(|_| {
        guest.run(&format!("timeout 100 systemctl start {SERVICE}"));
        guest.product_journal().contains(caught)
    });
    assert!(is_caught, "the stop was never in time: {}", guest.product_journal());
    let report = guest
        .run(&format!(
            "journalctl --sync; journalctl --quiet --no-pager --output=cat --unit={SERVICE} _PID=1"
        ))
        .text();
    assert!(report.lines().last().is_some_and(|line| line.starts_with("Finished ")), "{report}");
    assert!(!report.contains("Failed") && !report.contains("timed out"), "{report}");
    assert_eq!(guest.run("pgrep --full [k]eep-vault-token").text(), "", "nothing of it is left");
}

/// An invalid token in a user's file is not an outage of the server.
#[test]
fn unusual_token_of_one_user_does_not_affect_others() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    let mut wrong = String::new();
    for odd in ["b.x", "b.!!!", "hvb.AAAA", "s.abc.def", "hvs.a.b.c", "r.x", "s.", "..", "%00", "a/../b"] {
        guest.put_vault_token("alice", &format!("{odd}\n"));
        let alone = provision_alone(guest);
        println!("{odd}: {:?} {}", alone.code, text_and_errors(&alone));
        if !alone.text().contains("bob: waits for an administrator") {
            wrong += &format!("{odd}: {}\n", text_and_errors(&alone));
        }
    }
    assert_eq!(wrong, "");
}

/// After a kill between enabling and starting, the next run starts what was enabled.
#[test]
fn unit_enabled_but_not_started_is_started_by_the_next_run() {
    let host = site();
    let guest = &host.guest;
    guest.resume();
    roster(guest, "users:\n  alice:\n");
    // A systemctl that is killed together with its caller, when it should start a user's timer.
    guest.write(
        "/usr/sbin/systemctl",
        "root",
        "755",
        b"#!/bin/sh\ncase \"$*\" in start*claude-auth-sync@*) kill -9 $PPID; exit 1;; esac\nexec /usr/bin/systemctl \"$@\"\n",
    );
    let killed = provision(&host, "");
    assert!(!killed.succeeded(), "{}", text_and_errors(&killed));
    guest.run("rm /usr/sbin/systemctl").expect_success("the end of the fault");
    let again = provision(&host, "");
    assert!(again.succeeded(), "{}", text_and_errors(&again));
    assert_eq!(
        guest.run("systemctl is-active claude-auth-sync@alice.timer").text(),
        "active\n",
        "{}",
        text_and_errors(&again)
    );
}

/// An upgrade during a run: the run completes.
#[test]
fn replaced_program_still_provisions_all_users() {
    let host = site();
    let guest = &host.guest;
    guest.run("for i in $(seq 100 119); do useradd --create-home p$i; done").expect_success("the users");
    let names: String = (100..120).map(|number| format!("  p{number}:\n")).collect();
    roster(guest, &format!("users:\n{names}"));
    let done = guest.run(&format!(
        "VAULT_TOKEN={} cas-sync provision & sleep 0.5; cp -p /usr/bin/cas-sync /usr/bin/cas-sync.new; mv /usr/bin/cas-sync.new /usr/bin/cas-sync; wait $!",
        host.bao.root_token()
    ));
    assert!(done.succeeded(), "{}", text_and_errors(&done));
}

/// From Vault to the local store and back.
#[test]
fn store_changed_back_and_forth_keeps_all_tokens() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n  carol:\n");
    provision(&host, "").expect_success("with a server");
    guest.configure("store = \"local\"\n");
    roster(guest, "users:\n  alice:\n  bob:\n");
    let local = provision_alone(guest);
    assert!(local.succeeded(), "{}", text_and_errors(&local));
    assert_eq!(enrolled(guest), "alice\nbob\n");
    host.configure_address(host.bao.address(), "15min");
    roster(guest, "users:\n  alice:\n");
    provision(&host, "").expect_success("with a server again");
    assert!(token_lookup(&host, "bob").is_none(), "his is revoked");
    assert!(token_lookup(&host, "alice").is_some());
}

/// The package is removed while an administrator provisions by hand.
#[test]
fn removal_waits_for_a_provisioning_in_progress() {
    let host = site();
    let guest = &host.guest;
    guest.run("for i in $(seq 100 119); do useradd --create-home p$i; done").expect_success("the users");
    let names: String = (100..120).map(|number| format!("  p{number}:\n")).collect();
    roster(guest, &format!("users:\n{names}"));
    guest
        .run(&format!(
            "VAULT_TOKEN={} setsid cas-sync provision >/root/said 2>&1 &
             while [ ! -e {} ]; do sleep 0.01; done
             kill -STOP $! && (sleep 8; kill -CONT $!) >/dev/null 2>&1 &",
            host.bao.root_token(),
            token_file("p105")
        ))
        .expect_success("a run by hand");

    let removed = guest.remove_package();

    assert!(removed.succeeded(), "{}", removed.text());
    guest.run("while pgrep -x cas-sync; do sleep 0.1; done").expect_success("its end");
    assert_eq!(guest.remaining_product_files(), "", "{}", removed.text());
    assert!(
        removed.text().contains("`cas-sync provision` is running; waiting for its end"),
        "{}",
        removed.text()
    );
    let output = guest.run("cat /root/said").text();
    assert!(output.contains("p100: minted a token") && output.contains("20 users: 20 changed"), "{output}");
}
