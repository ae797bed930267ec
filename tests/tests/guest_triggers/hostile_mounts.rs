//! Five users place file systems that never answer in the paths of root and of PID 1, in everything
//! below `/run` and `/var/lib/claude-auth-sync` that they can write, and flood the requests.
//! Version 0.1.0 had PID 1 look up a file in a directory of a user, which froze it.

use std::thread;
use std::time::{Duration, Instant};

use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{CommandResult, Guest, Suite};

use super::{failed, host, runs, wait_until};

const FILES: &str = "/run/claude-auth-requests";
const STATE: &str = "/var/lib/claude-auth-sync";
const HOSTILE: [&str; 5] = ["mallory1", "mallory2", "mallory3", "mallory4", "mallory5"];

/// What each of them does with the request files.
const FLOODS: [(&str, &str); 5] = [
    ("mallory1", "hold"),
    ("mallory2", "flood"),
    ("mallory3", "flood"),
    ("mallory4", "hold"),
    ("mallory5", "flood"),
];

/// The time in which PID 1 must answer.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(1);

/// A login takes no longer than without them, except for the share of five busy programs of two
/// processors.
const SLOWDOWN: u32 = 4;

/// The commands that examine users time out for each of those who do not answer; this is more than
/// for all of them.
const COMMAND_TIMEOUT: u32 = 60;

/// Returns everything of the product below `/run` and `/var/lib` that a user can write or put a
/// file into.
fn writable_paths(guest: &Guest, user: &str) -> String {
    guest
        .run(&format!(
            "runuser -u {user} -- find /run/claude-auth-requests {STATE} -writable ! -type p 2>/dev/null"
        ))
        .text()
}

/// Returns true if root's lookup of a user's name blocks until `culprit` ends. This shows that the
/// guest can produce the problem. A process that waits there cannot even be killed.
#[track_caller]
fn is_lookup_blocked(guest: &Guest, path: &str, culprit: &str) {
    guest
        .run(&format!("systemd-run --quiet --collect --unit=looks stat --dereference {path}"))
        .expect_success("a lookup");
    thread::sleep(Duration::from_secs(2));
    guest.run("systemctl is-active looks").expect_success("the lookup has not returned");
    guest.run(&format!("systemctl stop {culprit}")).expect_success("the end of the mount");
    wait_until("the lookup returns", || !guest.run("systemctl is-active looks").succeeded());
}

#[track_caller]
fn does_pid_1_answer(guest: &Guest, when: &str) {
    CommandResult::run_within(IMMEDIATE_LIMIT, when, || guest.run("systemctl is-active dbus.socket"))
        .expect_success(when);
}

#[test]
fn hostile_mounts_stop_neither_pid_1_nor_root_on_bookworm() {
    check_hostile_mounts(Suite::Bookworm);
}

#[test]
fn hostile_mounts_stop_neither_pid_1_nor_root_on_trixie() {
    check_hostile_mounts(Suite::Trixie);
}

fn check_hostile_mounts(suite: Suite) {
    let guest = host(suite, &["alice", "carol"]);
    let login = new_login("good");
    guest.put_login("alice", &login);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a backup");
    let quiet = login_time(&guest);
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    let mut has_directories = false;
    for user in HOSTILE {
        guest
            .run(&format!("useradd --create-home {user} && cas-sync enroll {user}"))
            .expect_success("enrolling");
        wait_until("the first sync", || runs(&guest, user) > 0 && super::is_inactive(&guest, user));
        let attacked = format!("{STATE}/people/{user}");
        let writable = writable_paths(&guest, user);
        assert!(
            writable.lines().all(|path| path.starts_with(&attacked)),
            "attacked is all that can be: {writable}"
        );
        has_directories |= !writable.is_empty();
    }

    start_attacks(&guest, has_directories);

    does_pid_1_answer(&guest, "PID 1 under attack");
    let attacked = login_time(&guest);
    println!("a login took {quiet:?} without them, and takes {attacked:?}");
    assert!(attacked <= quiet * SLOWDOWN, "{attacked:?} instead of {quiet:?}");
    guest.put_login("alice", &cleared_login(&login));
    guest.ssh("alice", "true").expect_success("a login that is restored");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
    commands_finish(&guest);
    guest
        .run("systemctl daemon-reload && systemctl restart claude-auth-sync.target")
        .expect_success("systemd");
    does_pid_1_answer(&guest, "PID 1 after a restart of the units");
    guest.request_sync("alice");
    let before = runs(&guest, "carol");
    guest.request_sync("carol");
    wait_until("another user's sync", || runs(&guest, "carol") > before);

    let began = Instant::now();
    guest.remove_package().expect_success("removing everything");
    println!("removed in {:?}", began.elapsed());
    does_pid_1_answer(&guest, "PID 1 after removing");
    guest.ssh("alice", "true").expect_success("ssh without it");
    assert_eq!(guest.run("dpkg --audit").text(), "");
    assert_eq!(failed(&guest), "");
    assert_eq!(guest.remaining_product_files(), "");
    for (user, how) in FLOODS {
        guest.run(&format!("systemctl is-active hostile-{user}-{how}")).expect_success("the attack lasted");
    }
}

/// Symlinks to file systems that never answer, in the directory that a user can write, if there is
/// one; and the floods.
fn start_attacks(guest: &Guest, has_directories: bool) {
    for user in HOSTILE {
        let proof = format!("/home/{user}/proof");
        let own = format!("{STATE}/people/{user}");
        let unit = guest.start_hostile(user, &format!("link {proof}"));
        wait_until("a link", || guest.run(&format!("test -L {proof}")).succeeded());
        is_lookup_blocked(guest, &proof, &unit);
        if !has_directories {
            continue;
        }
        guest.run(&format!("runuser -u {user} -- rm -f {own}/state.json")).expect_success("room");
        guest.start_hostile(user, &format!("link {own}/state.json {own}/request"));
        wait_until("the links are there", || guest.run(&format!("test -L {own}/request")).succeeded());
    }
    for (user, how) in FLOODS {
        guest.start_hostile(user, &format!("{how} {FILES}"));
    }
}

/// Runs the commands of an administrator. Whether they report the hostile users is not checked
/// here.
fn commands_finish(guest: &Guest) {
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", roster().as_bytes());
    let bounded =
        |command: &str| guest.run(&format!("timeout --signal=KILL {COMMAND_TIMEOUT} {command} 2>&1"));
    for command in [
        "cas-sync status",
        "cas-sync metrics",
        "cas-sync doctor",
        "cas-sync doctor mallory1",
        "cas-sync provision",
        "cas-sync enroll carol",
        "cas-sync enroll mallory1",
        "cas-sync enroll mallory2",
        "cas-sync unenroll mallory5",
        "cas-sync enroll mallory5",
    ] {
        let ended = bounded(command);
        println!("{command}: {:?} after {:?}", ended.code, ended.took);
        assert!(ended.code.is_some_and(|code| code < 100), "{command}: {:?} {}", ended.code, ended.text());
    }
    let output = bounded("cas-sync status").text();
    assert!(output.contains("alice") && output.contains("carol"), "{output}");
}

fn roster() -> String {
    let users: String =
        HOSTILE.iter().chain(&["alice", "carol"]).map(|user| format!("  {user}:\n")).collect();
    format!("users:\n{users}")
}

/// Returns the median duration of some logins of alice.
fn login_time(guest: &Guest) -> Duration {
    let mut times: Vec<_> = (0..5).map(|_| guest.ssh("alice", "true").expect_success("ssh").took).collect();
    times.sort();
    times[times.len() / 2]
}
