//! The timers: every six hours, with an offset per user.

use std::collections::BTreeSet;

use cas_tests::guest::{Guest, Suite};

use super::{enroll, host, property, runs, wait_for_runs, wait_until};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const SIX_HOURS: u64 = 6 * 3600;

fn timer(user: &str) -> String {
    format!("claude-auth-sync@{user}.timer")
}

/// Returns when a user's timer elapses next, in seconds since the epoch.
#[track_caller]
fn next(guest: &Guest, user: &str) -> u64 {
    let output = property(guest, &timer(user), "NextElapseUSecRealtime");
    let seconds = guest.run(&format!("date -d '{output}' +%s")).expect_success("a time").text();
    seconds.trim().parse().unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn timer_offset_is_fixed_per_user() {
    let guest = host(Suite::Bookworm, &USERS);
    let times = || USERS.map(|user| next(&guest, user));
    let first = times();
    assert_eq!(BTreeSet::from(first).len(), USERS.len(), "{first:?}");
    let now = guest.run("date +%s").text().trim().parse::<u64>().expect("a time");
    for time in first {
        assert!(time % SIX_HOURS <= 3600, "within the hour after 0, 6, 12 and 18 o'clock: {first:?}");
        assert!(time > now && time <= now + SIX_HOURS + 3600, "{now} {first:?}");
    }
    for change in ["daemon-reload", "daemon-reexec", "restart claude-auth-sync.target"] {
        guest.run(&format!("systemctl {change}")).expect_success(change);
        assert_eq!(times(), first, "after {change}");
    }
    assert_eq!(property(&guest, &timer("alice"), "Persistent"), "yes");
}

/// A machine that was off has a stamp of two days ago; the offset within the hour is omitted here.
#[test]
fn timer_catches_up_after_a_shutdown() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let stamp = "/var/lib/systemd/timers/stamp-claude-auth-sync@alice.timer";
    guest
        .run(
            "d=/etc/systemd/system/claude-auth-sync@.timer.d; mkdir $d && printf '[Timer]\\nRandomizedDelaySec=0\\n' >$d/at-once.conf && systemctl daemon-reload",
        )
        .expect_success("without the offset");
    guest.run("systemctl restart claude-auth-sync@alice.timer").expect_success("restarting");
    assert_eq!(runs(&guest, "alice"), 1, "it has not missed any");
    guest
        .run(&format!(
            "systemctl stop {0} && touch -d '2 days ago' {stamp} && systemctl start {0}",
            timer("alice")
        ))
        .expect_success("two days later");
    wait_for_runs(&guest, "alice", 2);
}

/// The clock is wrong until a time server sets it. Without a time service nothing waits.
#[test]
fn no_sync_starts_while_the_clock_is_set() {
    let guest = host(Suite::Bookworm, &[]);
    enroll(&guest, "alice");
    assert_eq!(property(&guest, "time-sync.target", "ActiveState"), "inactive", "a sync has pulled it in");
    let setter = "[Unit]\nWants=time-sync.target\nBefore=time-sync.target\n\
                  [Service]\nType=oneshot\nExecStart=sleep 600\n";
    guest.write("/run/systemd/system/sets-the-clock.service", "root", "644", setter.as_bytes());
    guest
        .run("systemctl daemon-reload && systemctl start --no-block sets-the-clock")
        .expect_success("a boot");
    let jobs = || guest.run("systemctl list-jobs --no-legend --plain").text();
    wait_until("it is being set", || jobs().contains("sets-the-clock.service start running"));

    guest.run("systemctl start --no-block claude-auth-sync@alice.service").expect_success("a sync");

    assert!(jobs().contains("claude-auth-sync@alice.service start waiting"), "{}", jobs());
    guest.run("systemctl stop sets-the-clock").expect_success("it is set");
    wait_for_runs(&guest, "alice", 2);
}
