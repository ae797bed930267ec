//! Users who send all the requests they can, and many users who send one each.

use std::time::{Duration, Instant};

use cas_tests::claude_login::{fresh, tombstone};
use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property, runs, wait_for_runs, wait_until};

const SOCKET: &str = "/run/claude-auth-sync/request.sock";
const FLOODERS: [&str; 5] = ["mallory1", "mallory2", "mallory3", "mallory4", "mallory5"];

/// Some connect as fast as they can, and some hold each connection that they get.
fn flood(guest: &Guest) {
    for (number, user) in FLOODERS.iter().enumerate() {
        guest.run(&format!("useradd --create-home {user}")).expect_success("useradd");
        if number < 2 {
            guest.run(&format!("cas-sync enroll --no-watch {user}")).expect_success("enrolling");
        }
        let keep =
            if number % 2 == 0 { "push @held, $s; splice(@held, 0, 900) if @held > 900" } else { "close $s" };
        let script = format!(
            "use Socket; my @held; my $a = sockaddr_un(\"{SOCKET}\"); while (1) {{ my $s; socket($s, PF_UNIX, SOCK_STREAM | 2048, 0) or next; \
             connect($s, $a) or next; syswrite($s, \"x\" x 100); {keep} }}"
        );
        guest
            .run(&format!(
                "systemd-run --quiet --collect --unit=flood-{user} --uid={user} perl -e '{script}'"
            ))
            .expect_success("a flood");
    }
}

#[test]
fn a_flood_by_five_users_delays_no_request_of_another() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let login = fresh("good");
    guest.put_login("alice", &login);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a backup");
    flood(&guest);
    let started_at = || property(&guest, "claude-auth-sync@alice.service", "ExecMainStartTimestampMonotonic");

    for expected in [3, 4] {
        guest.forget_request_limits();
        guest.put_login("alice", &tombstone(&login));
        let before = started_at();
        guest.ssh("alice", "true").expect_success("ssh");
        let login_ended = Instant::now();
        while started_at() == before {
            assert!(login_ended.elapsed() < Duration::from_secs(20), "her sync does not start");
        }
        println!("her sync started {:?} after her login", login_ended.elapsed());
        wait_for_runs(&guest, "alice", expected);
    }
    for user in &FLOODERS[..2] {
        assert!(runs(&guest, user) <= 5, "the limit holds for {user}");
    }
    // What asks PID 1 is answered, and removing all of it finishes.
    guest.run("timeout 5 systemctl is-active dbus.socket").expect_success("PID 1 answers");
    for user in FLOODERS {
        guest.run(&format!("systemctl is-active flood-{user}")).expect_success("the flood lasted");
    }
    assert_eq!(failed(&guest), "");
    guest.remove_package().expect_success("removing everything");
    assert_eq!(guest.left_of_product(), "");
}

/// Each of many gets their sync, also when all request one at the same time.
#[test]
fn each_of_sixty_users_gets_the_sync_they_request() {
    let guest = host(Suite::Bookworm, &[]);
    let users: Vec<String> = (1..=60).map(|number| format!("u{number}")).collect();
    for user in &users {
        guest
            .run(&format!("useradd --create-home {user} && cas-sync enroll --no-watch {user}"))
            .expect_success("enrolling");
    }
    wait_until("their first syncs", || total_runs(&guest) == users.len());
    guest
        .run(&format!(
            "for u in {}; do runuser -u $u -- perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un(\"{SOCKET}\")) or die' & done; wait",
            users.join(" ")
        ))
        .expect_success("sixty requests");
    wait_until("a sync for each", || total_runs(&guest) == 2 * users.len());
    for user in &users {
        assert_eq!(runs(&guest, user), 2, "{user}");
    }
    assert_eq!(failed(&guest), "");
}

fn total_runs(guest: &Guest) -> usize {
    let count = guest.run("cat /home/u*/.local/state/claude-auth-sync/sync.log 2>/dev/null | wc -l");
    count.text().trim().parse().expect("a number")
}
