//! Users who send all the requests they can, and many users who send one each.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};
use cas_tests::size::sized;

use super::{TIMEOUT, failed, host, property, runs, wait_for_runs, wait_until};

const FILES: &str = "/run/claude-auth-requests";
const SERVICE: &str = "claude-auth-sync@alice.service";

/// The attack of each of the five. The first two are enrolled.
const FLOODERS: [(&str, &str); 5] = [
    ("mallory1", "flood"),
    ("mallory2", "flood"),
    ("mallory3", "hold"),
    ("mallory4", "flood"),
    ("mallory5", "hold"),
];

/// The number of timed requests of alice.
const REQUESTS: usize = 5;

/// The flood uses its share of the processors, so the request of alice is slower by this factor at
/// most.
const SLOWDOWN: u32 = 4;

/// The maximum additional delay of another user's request during a flood.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Starts users who request as fast as they can, and users who open and fill their request files.
fn flood(guest: &Guest) {
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    for (number, (user, how)) in FLOODERS.into_iter().enumerate() {
        guest.run(&format!("useradd --create-home {user}")).expect_success("useradd");
        if number < 3 {
            guest.run(&format!("cas-sync enroll --no-watch {user}")).expect_success("enrolling");
        }
        guest.start_hostile(user, &format!("{how} {FILES}"));
    }
}

/// Returns the times from a request of alice until systemd starts her sync, for several requests,
/// sorted.
fn delays(guest: &Guest) -> Vec<Duration> {
    let started_at = || property(guest, SERVICE, "ExecMainStartTimestampMonotonic");
    let mut delays = Vec::new();
    while delays.len() < REQUESTS {
        wait_until("none at work", || super::is_inactive(guest, "alice"));
        guest.forget_request_limits();
        let before = started_at();
        let request = format!("touch --no-create --no-dereference {FILES}/$(id -u)");
        let requests = guest
            .run(&format!("runuser -u alice -- sh -c 'date +%s%6N; {request}'"))
            .expect_success("a request");
        wait_until("the sync starts", || started_at() != before);
        let started = guest.run(&format!(
            "date -d \"$(systemctl show --timestamp=us --property=ExecMainStartTimestamp --value {SERVICE})\" +%s%6N"
        ));
        let [requests, started] = [requests, started]
            .map(|microseconds| -> u64 { microseconds.text().trim().parse().expect("microseconds") });
        delays.push(Duration::from_micros(started.saturating_sub(requests)));
    }
    delays.sort();
    delays
}

#[test]
fn request_flood_by_five_users_delays_no_other_request() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let login = new_login("good");
    guest.put_login("alice", &login);
    guest.run(&format!("systemctl start {SERVICE}")).expect_success("a backup");
    let quiet = delays(&guest);
    flood(&guest);
    let flooded_from = Instant::now();

    let flooded = delays(&guest);

    println!("without the flood {quiet:?}, with it {flooded:?}");
    let bound = quiet[REQUESTS / 2] * SLOWDOWN + MAX_DELAY;
    assert!(
        flooded[REQUESTS / 2] <= bound,
        "{flooded:?} is more than {bound:?}, without the flood {quiet:?}"
    );
    wait_until("the last sync is logged", || super::is_inactive(&guest, "alice"));
    let before = runs(&guest, "alice");
    guest.forget_request_limits();
    guest.put_login("alice", &cleared_login(&login));
    guest.ssh("alice", "true").expect_success("ssh");
    wait_for_runs(&guest, "alice", before + 1);
    // The first sync, one of each dispatcher (which has no limit of the previous one), and one a
    // minute.
    let minutes = usize::try_from(flooded_from.elapsed().as_secs() / 60).expect("a few minutes");
    for (user, _) in &FLOODERS[..3] {
        assert!(runs(&guest, user) <= 1 + (REQUESTS + 2) + minutes, "the limit holds for {user}");
    }
    // Requests to PID 1 are answered, and removal completes.
    guest.run("timeout 5 systemctl is-active dbus.socket").expect_success("PID 1 answers");
    for (user, how) in FLOODERS {
        guest.run(&format!("systemctl is-active hostile-{user}-{how}")).expect_success("the flood lasted");
    }
    assert_eq!(failed(&guest), "");
    guest.remove_package().expect_success("removing everything");
    wait_until("nothing is left", || guest.remaining_product_files().is_empty());
}

/// Each of many users gets a sync, also when all request one at the same time. Each costs three
/// units and one inotify instance of the kernel, in a process of its own; PID 1 watches nothing for
/// them.
#[test]
fn each_of_many_users_gets_the_requested_sync() {
    let number = sized(300, 60);
    let guest = host(Suite::Bookworm, &[]);
    let before = inotify_instances(&guest, "1");
    guest
        .run(&format!(
            "for i in $(seq {number}); do n=u$i; u=$((20000 + i)); echo \"$n:x:$u:$u::/home/$n:/bin/sh\" >&3; echo \"$n:x:$u:\" >&4; \
               mkdir -m 700 /home/$n; echo >/home/$n/.profile; chown -R $u:$u /home/$n; done 3>>/etc/passwd 4>>/etc/group"
        ))
        .expect_success("accounts");
    let roster: String = (1..=number).map(|number| format!("  u{number}:\n")).collect();
    guest.configure("store = \"local\"\n");
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", format!("users:\n{roster}").as_bytes());
    guest.run("cas-sync provision").expect_success("enrolling all of them");
    wait_until("the first syncs are over", || {
        guest
            .run("systemctl list-units --plain --no-legend --state=activating 'claude-auth-sync@*'")
            .text()
            .is_empty()
    });
    let first = run_counts(&guest);

    guest
        .run(&format!("for i in $(seq {number}); do runuser -u u$i -- touch --no-create --no-dereference {FILES}/$((20000 + i)) & done; wait"))
        .expect_success("a request of each");

    let requested = Instant::now();
    let count = |user: &str| first.get(user).copied().unwrap_or(0);
    loop {
        let now = run_counts(&guest);
        if now.len() == number && now.iter().all(|(user, runs)| *runs > count(user)) {
            break;
        }
        // Two syncs a second are started on any machine, one of the suites included.
        let served = now.iter().filter(|(user, runs)| **runs > count(user)).count();
        let limit = TIMEOUT + Duration::from_millis(500) * u32::try_from(number).expect("a few hundred");
        assert!(requested.elapsed() < limit, "{served} of {number} got a sync within {limit:?}");
        thread::sleep(Duration::from_millis(200));
    }
    for (user, runs) in run_counts(&guest) {
        // A start that systemd does not confirm within five seconds is repeated.
        assert!((1..=2).contains(&(runs - count(&user))), "{user}: {runs} runs");
    }
    assert_eq!(failed(&guest), "");

    let units = guest.run("systemctl list-unit-files --no-legend 'claude-auth-*@*'; systemctl list-units --all --plain --no-legend 'claude-auth-*@u1.*'").text();
    let of_one = units.lines().filter(|line| line.contains("@u1.")).count();
    let watched = inotify_instances(&guest, "1");
    let watch = property(&guest, "claude-auth-watch@u1.service", "MainPID");
    let of_watch = inotify_instances(&guest, &watch);
    println!(
        "{number} users: {of_one} units and {of_watch} inotify instance of their own each; PID 1 had {before} inotify instances and has {watched}"
    );
    assert!(of_one <= 3, "{units}");
    assert_eq!((watched, of_watch), (before, 1));
    guest
        .run("systemd-analyze security --threshold=20 claude-auth-request.service")
        .expect_success("at most 2.0");
}

/// Returns the number of logged runs of each user.
fn run_counts(guest: &Guest) -> HashMap<String, usize> {
    let counted = guest.run("cd /home && wc -l u*/.local/state/claude-auth-sync/sync.log 2>/dev/null").text();
    let line = |line: &str| {
        let (count, path) = line.trim().split_once(' ')?;
        let (user, _) = path.split_once('/')?;
        Some((user.to_owned(), count.parse().ok()?))
    };
    counted.lines().filter_map(line).collect()
}

/// Returns the number of inotify instances of a process.
fn inotify_instances(guest: &Guest, process: &str) -> usize {
    // A descriptor that is closed meanwhile is an error of ls.
    let descriptors =
        guest.run(&format!("test -d /proc/{process}/fd && ls -l /proc/{process}/fd; true")).text();
    assert!(!descriptors.is_empty(), "no descriptors of {process}");
    descriptors.matches("anon_inode:inotify").count()
}
