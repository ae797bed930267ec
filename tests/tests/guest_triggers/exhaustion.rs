//! Users who exhaust what all units share: the time of a stop, the descriptors of PID 1, `/tmp`.

use std::thread;
use std::time::Duration;

use cas_tests::claude_login::new_login;
use cas_tests::guest::Suite;

use super::{failed, host, property, wait_until};

/// The time limit of systemctl(1), far below the 15 minutes that a hanging sync took before.
const RESTART_LIMIT: u32 = 60;

/// More than PID 1 has open on a machine with few users, and far below what the attack made it
/// open.
const MAX_DESCRIPTORS: usize = 500;

/// A client that leaves a deep tree in `/tmp`, and records how deep.
const DEEP_CLIENT: &str = r#"#!/usr/bin/perl
if (@ARGV == 1 and $ARGV[0] eq "--version") { print "2.1.332 (Claude Code)\n"; exit 0 }
my $depth = 0; chdir "/tmp"; while ($depth < 30000 and mkdir "d" and chdir "d") { $depth++ }
open my $file, ">", "/home/alice/.local/depth" or die "$!"; print $file $depth;
"#;

/// The home of bob does not answer, so his sync and his watcher cannot be killed.
#[test]
fn hanging_home_does_not_delay_the_units_of_other_users() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    for user in ["alice", "bob"] {
        guest.run(&format!("cas-sync enroll {user}")).expect_success("a watcher");
    }
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    guest
        .run("runuser -u bob -- mkdir -p /home/bob/.claude && systemd-run --quiet --collect --unit=covers /usr/local/bin/hostile-user cover /home/bob/.claude $(id -u bob)")
        .expect_success("a mount that does not answer");
    wait_until("it is covered", || {
        guest.run("grep -q ' /home/bob/.claude fuse' /proc/self/mounts").succeeded()
    });
    let state = |unit: &str| property(&guest, unit, "ActiveState");
    guest.request_sync("bob");
    wait_until("his sync", || state("claude-auth-sync@bob.service") == "activating");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(state("claude-auth-sync@bob.service"), "activating", "it hangs");

    let before = property(&guest, "claude-auth-watch@alice.service", "MainPID");
    guest
        .run(&format!("timeout {RESTART_LIMIT} systemctl restart claude-auth-sync.target"))
        .expect_success("a restart, as at an upgrade");

    wait_until("alice's watcher is a new one", || {
        state("claude-auth-watch@alice.service") == "active"
            && property(&guest, "claude-auth-watch@alice.service", "MainPID") != before
    });
    assert_eq!(state("claude-auth-sync@alice.timer"), "active");
    assert_eq!(state("claude-auth-sync@bob.service"), "activating", "it still hangs");
    guest.run("systemctl stop covers").expect_success("the home answers");
    wait_until("his sync ends", || state("claude-auth-sync@bob.service") != "activating");
}

/// PID 1 removes the private `/tmp` of a unit with one descriptor for each level of directories.
#[test]
fn deep_tree_in_tmp_costs_pid_1_no_descriptors() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("good"));
    guest.run("runuser -u alice -- mkdir -p /home/alice/.local/bin").expect_success("a directory");
    guest.write("/home/alice/.local/bin/claude", "alice", "755", DEEP_CLIENT.as_bytes());
    guest
        .run("systemd-run --quiet --collect --unit=counts sh -c 'max=0; while :; do n=$(ls /proc/1/fd | wc -l); if [ $n -gt $max ]; then max=$n; echo $max >/run/max; fi; done'")
        .expect_success("a count");
    wait_until("a count", || guest.run("test -s /run/max").succeeded());

    // With verification, which runs the client.
    guest.run("rm -r /etc/claude-auth-sync/conf.d").expect_success("without the setting of the suites");
    guest.configure("store = \"local\"\n");
    guest.run("systemctl start claude-auth-sync@alice.service");

    thread::sleep(Duration::from_secs(2)); // for what PID 1 does after the end of a unit
    guest.run("systemctl stop counts").expect_success("counted");
    let number =
        |path: &str| -> usize { guest.run(&format!("cat {path}")).text().trim().parse().expect("a number") };
    let (depth, descriptors) = (number("/home/alice/.local/depth"), number("/run/max"));
    println!("{depth} levels, at most {descriptors} descriptors");
    assert!(depth > 10_000 && descriptors < MAX_DESCRIPTORS, "{depth} levels, {descriptors} descriptors");
    assert_eq!(guest.run("ls -d /tmp/systemd-private-*claude-auth-sync@* 2>/dev/null").text(), "");
}

#[test]
fn full_tmp_prevents_no_unit_from_starting() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("good"));
    guest
        .run("cas-sync enroll alice && mkdir -p /var/lib/prometheus/node-exporter")
        .expect_success("all units");
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", b"users:\n  alice:\n");
    guest
        .run("mount -t tmpfs -o mode=1777,nr_inodes=2000 tmpfs /tmp && runuser -u bob -- perl -e 'mkdir q(/tmp/x); while (open F, q(>/tmp/x/) . $i++) { close F }' && ! mkdir /tmp/y")
        .expect_success("bob fills /tmp");

    for unit in [
        "claude-auth-sync@alice.service",
        "claude-auth-watch@alice.service",
        "claude-auth-request.service",
        "claude-auth-metrics.service",
        "claude-auth-provision.service",
    ] {
        guest.run(&format!("systemctl restart {unit}")).expect_success(unit);
    }

    assert_eq!(failed(&guest), "");
}
