//! Homes that never answer, completely or in part, as any user can create them with FUSE where
//! fuse.conf(5) has `user_allow_other`. Every command of root ends in time and names the user, and
//! no other user waits.

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{CommandResult, Guest, Suite};
use cas_tests::wait_until;
use serde_json::Value;

/// The directory over which each of them has mounted.
const HANGING: [(&str, &str); 4] = [
    ("alice", "/home/alice"),
    ("carol", "/home/carol/.local/state/claude-auth-sync"),
    ("dee", "/home/dee/.claude"),
    ("eve", "/home/eve/.config"),
];

/// Returns a guest on which these users and bob are enrolled and have had a sync each, before the
/// homes of the former began to hang.
#[track_caller]
fn fixture() -> Guest {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    guest.run("useradd --create-home dee && useradd --create-home eve").expect_success("accounts");
    for user in HANGING.map(|(user, _)| user).iter().chain(&["bob"]) {
        guest.enroll(user);
        guest.put_login(user, &new_login(user));
        guest
            .run(&format!("install -d -o {user} -g {user} -m 700 /home/{user}/.config"))
            .expect_success("a folder");
        guest.run(&format!("systemctl start claude-auth-sync@{user}.service")).expect_success("a sync");
    }
    for (user, directory) in HANGING {
        cover(&guest, user, directory);
    }
    guest
}

/// Mounts a file system that never answers, as the setuid fusermount3(1) does for the user.
#[track_caller]
fn cover(guest: &Guest, user: &str, directory: &str) {
    guest
        .run(&format!("systemd-run --quiet --collect --unit=covers-{user} /usr/local/bin/hostile-user cover {directory} $(id -u {user})"))
        .expect_success("a mount");
    let mounts = format!("grep -q ' {directory} fuse' /proc/self/mounts");
    wait_until("it is covered", || guest.run(&mounts).succeeded());
    // Not by timeout(1), which would wait for it.
    let looks = guest.run(&format!("ls {directory} >/dev/null 2>&1 & sleep 1; kill -0 $!"));
    looks.expect_success("it does not answer");
}

/// Runs a command of root, which must end by itself within this many seconds.
#[track_caller]
fn run_within(guest: &Guest, seconds: u32, command: &str) -> CommandResult {
    // In the background: timeout(1) would wait for a process that hangs in the kernel.
    let done = guest.run(&format!(
        "{command} >/tmp/said 2>&1 & p=$!; for _ in $(seq {}); do kill -0 $p 2>/dev/null || {{ wait $p; c=$?; cat /tmp/said; exit $c; }}; sleep 0.1; done; cat /tmp/said; cat /proc/$p/stack; exit 124",
        seconds * 10
    ));
    assert_ne!(done.code, Some(124), "`{command}` has not ended after {seconds} s: {}", done.text());
    done
}

#[test]
fn root_commands_end_and_name_hanging_homes() {
    let guest = fixture();
    // The syncs of those whose homes hang are ended, all of them at once.
    let publish = "for u in alice carol dee eve bob; do cas-sync internal publish-state $u & done; wait";
    run_within(&guest, 60, publish).expect_success("publishing");
    let status = run_within(&guest, 20, "cas-sync status --json").text();
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let row = |user: &str| {
        let rows = status["users"].as_array().expect("rows");
        rows.iter().find(|row| row["user"] == user).unwrap_or_else(|| panic!("{user}: {status}"))
    };
    for user in ["alice", "carol"] {
        let reason = row(user)["reason"].as_str().expect("a reason");
        assert!(reason.contains("does not answer within 10s"), "{user}: {reason}");
    }
    assert_eq!(row("bob")["severity"], "ok", "{status}");

    let metrics = run_within(&guest, 20, "cas-sync metrics").expect_success("metrics").text();
    assert!(metrics.contains("claude_auth_status_code{user=\"alice\"} 7\n"), "{metrics}");
    assert!(metrics.contains("claude_auth_status_code{user=\"bob\"} 0\n"), "{metrics}");

    // The same in the service, for whose sandbox systemd visits every mount outside of /home.
    guest
        .run("install -d /srv/homes /var/lib/prometheus/node-exporter && useradd --create-home --base-dir /srv/homes gina")
        .expect_success("an account");
    cover(&guest, "gina", "/srv/homes/gina");
    run_within(&guest, 60, "systemctl start claude-auth-metrics.service").expect_success("the service");
    let written = guest.read("/var/lib/prometheus/node-exporter/claude-auth.prom").expect("metrics");
    assert!(String::from_utf8_lossy(&written).contains("claude_auth_status_code{user=\"bob\"} 0\n"));

    let sessions = run_within(&guest, 60, "cas-sync sessions").text();
    assert!(sessions.contains("alice") && sessions.contains("does not answer within 10s"), "{sessions}");

    // The hanging homes are examined concurrently.
    let doctor = run_within(&guest, 150, "cas-sync doctor").text();
    for user in HANGING.map(|(user, _)| user) {
        let after = doctor.split(user).nth(1).unwrap_or_default();
        assert!(after.contains("does not answer within 90s"), "{user}: {doctor}");
    }
}

#[test]
fn enroll_and_unenroll_do_not_wait_for_homes() {
    let guest = fixture();
    guest.run("useradd --create-home frank").expect_success("an account");
    cover(&guest, "frank", "/home/frank");
    run_within(&guest, 30, "cas-sync enroll frank").expect_success("enrolling");
    for user in HANGING.map(|(user, _)| user) {
        run_within(&guest, 30, &format!("cas-sync enroll {user}")).expect_success("enrolling again");
    }
    run_within(&guest, 30, "cas-sync unenroll frank").expect_success("unenrolling");
    guest.write(
        "/etc/claude-auth-sync/roster.yaml",
        "root",
        "644",
        b"users:\n  alice:\n  bob:\n  carol:\n  dee:\n  eve:\n  frank:\n",
    );
    let provisioned = run_within(&guest, 90, "cas-sync provision");
    assert!(matches!(provisioned.code, Some(0 | 1)), "{provisioned:?}");
    assert!(guest.read("/var/lib/claude-auth-sync/enrolled/bob").is_some());
    run_within(&guest, 60, "cas-sync unenroll --all").expect_success("unenrolling");
    assert_eq!(
        guest
            .run("ls /var/lib/claude-auth-sync/enrolled /var/lib/claude-auth-sync/published")
            .text()
            .lines()
            .count(),
        3
    );
}

/// A prompt that calls `check` continues, and the process that hangs is left behind.
#[test]
fn user_commands_end_in_a_directory_that_hangs() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    guest.enroll("alice");
    guest.put_login("alice", &new_login("alice"));
    let cleared = cleared_login(&new_login("alice"));
    guest
        .run("install -d -m 1777 /srv/a && install -d -o bob /srv/a/.git && install -d -o alice /srv/a/own")
        .expect_success("directories");
    cover(&guest, "bob", "/srv/a/.git");
    let check = |directory: &str| {
        run_within(&guest, 10, &format!("runuser -u alice -- env --chdir={directory} cas-sync check"))
    };
    let unread = "were not read within 1s, so the credential that Claude Code uses here is not known; start `claude` in another directory";
    let found = check("/srv/a/own");
    assert!(found.code == Some(1) && found.text().contains(unread), "{found:?}");
    assert_eq!(check("/home/alice").code, Some(0));
    guest.put_login("alice", &cleared);
    let found = check("/srv/a/own");
    assert!(found.code == Some(79) && found.text().contains(unread), "{found:?}");
    for command in ["status", "doctor"] {
        let found =
            run_within(&guest, 60, &format!("runuser -u alice -- env --chdir=/srv/a/own cas-sync {command}"));
        assert!(
            found.text().split_whitespace().collect::<Vec<_>>().join(" ").contains("were not read within 1s"),
            "{found:?}"
        );
    }
}

#[test]
fn package_removal_does_not_wait_for_homes() {
    let guest = fixture();
    let removed = run_within(&guest, 120, "dpkg --force-unsafe-io --remove claude-auth-sync");
    removed.expect_success("removing");
    // The search for leftovers enters the homes.
    for (user, directory) in HANGING {
        guest
            .run(&format!("systemctl stop covers-{user}; umount --lazy {directory}"))
            .expect_success("an end of the mounts");
    }
    assert_eq!(guest.remaining_product_files(), "");
}
