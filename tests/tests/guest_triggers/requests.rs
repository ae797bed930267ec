//! A login requests a sync by the time of a file: what that starts, and what it does not.

use std::thread;
use std::time::{Duration, Instant};

use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property, runs, wait_for_runs, wait_until};

const DISPATCHER: &str = "claude-auth-request.service";
const REPAIR_LOCK: &str = "/home/alice/.local/state/claude-auth-sync/repair.lock";

/// Long enough for a second start, if a request led to one.
const SHORT_WAIT: Duration = Duration::from_secs(3);

fn is_running(guest: &Guest) -> bool {
    guest.is_locked("/home/alice/.local/state/claude-auth-sync/lock")
}

#[test]
fn login_request_starts_a_sync_outside_of_it_on_bookworm() {
    check_request_starts_a_sync(Suite::Bookworm);
}

#[test]
fn login_request_starts_a_sync_outside_of_it_on_trixie() {
    check_request_starts_a_sync(Suite::Trixie);
}

fn check_request_starts_a_sync(suite: Suite) {
    let guest = host(suite, &["alice"]);
    guest.put_login("alice", &new_login("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    wait_for_runs(&guest, "alice", 2);
    // Uses the messages of systemd itself: the journal may not know the unit of a line that a
    // process writes just before its end.
    let ended = "journalctl --sync; journalctl --quiet --output=cat -u claude-auth-sync@alice.service _PID=1";
    let finished = || guest.run(ended).text().matches("Finished claude-auth-sync@alice.service").count();
    wait_until("the first run and this one are over", || finished() == 2);
    assert!(guest.product_journal().lines().all(|line| line.starts_with("user=alice ")));
    assert_eq!(failed(&guest), "");
    guest.forget_request_limits();
    assert_eq!(property(&guest, DISPATCHER, "ActiveState"), "active");
    guest.request_sync("alice");
    wait_for_runs(&guest, "alice", 3);
    let uid = guest.run("id -u alice").text();
    let file = format!("/run/claude-auth-requests/{}", uid.trim());
    assert_eq!(guest.file_status(&file), "0 alice:root fifo");
    assert_eq!(guest.file_status("/run/claude-auth-requests"), "755 root:root directory");
}

/// The lock holds a run after its examination of the file, and a session of Claude Code writes a
/// new login meanwhile.
#[test]
fn request_during_a_run_starts_one_more() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.hold_lock(REPAIR_LOCK, 60);
    guest.run("systemctl start --no-block claude-auth-sync@alice.service").expect_success("a run");
    wait_until("a run at work", || is_running(&guest));
    guest.put_login("alice", &new_login("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    thread::sleep(SHORT_WAIT);
    guest.release_lock();
    wait_for_runs(&guest, "alice", 3);
    thread::sleep(SHORT_WAIT);
    assert_eq!(runs(&guest, "alice"), 3);
    assert_eq!(failed(&guest), "");
}

#[test]
fn requests_within_a_minute_start_one_sync_afterwards() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    guest.request_sync("alice");
    let first = Instant::now();
    wait_for_runs(&guest, "alice", 2);
    for _ in 0..50 {
        guest.request_sync("alice");
    }
    guest.request_sync("bob");
    wait_for_runs(&guest, "bob", 2);
    assert_eq!(runs(&guest, "alice"), 2);
    while runs(&guest, "alice") == 2 {
        assert!(first.elapsed() < Duration::from_secs(90));
        thread::sleep(Duration::from_millis(200));
    }
    assert!(first.elapsed() > Duration::from_secs(55), "{:?}", first.elapsed());
    wait_for_runs(&guest, "alice", 3);
    thread::sleep(SHORT_WAIT);
    assert_eq!(runs(&guest, "alice"), 3, "one sync for all of them");
    guest.request_sync("alice");
    guest.request_sync("bob");
    wait_until("both have been taken", || runs(&guest, "bob") == 3);
    // An upgrade stops the dispatcher too: it loses no request, nor does a pause.
    guest.forget_request_limits();
    wait_for_runs(&guest, "alice", 4);
    guest.run("systemctl stop claude-auth-sync.target").expect_success("a pause");
    guest.request_sync("bob");
    thread::sleep(SHORT_WAIT);
    assert_eq!(runs(&guest, "bob"), 3);
    guest.run("systemctl start claude-auth-sync.target").expect_success("the end of the pause");
    wait_for_runs(&guest, "bob", 4);
    assert_eq!(failed(&guest), "");
}

#[test]
fn service_that_finds_an_active_run_is_repeated_later() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.hold_lock(REPAIR_LOCK, 120);
    let by_hand = "systemd-run --quiet --collect --unit=by-hand --uid=alice cas-sync run";
    guest.run(by_hand).expect_success("a run by hand");
    wait_until("a run at work", || is_running(&guest));
    guest.request_sync("alice");
    wait_for_runs(&guest, "alice", 2);
    assert!(
        guest.product_journal().trim_end().ends_with("another run is at work"),
        "{}",
        guest.product_journal()
    );
    thread::sleep(SHORT_WAIT);
    assert_eq!(runs(&guest, "alice"), 2, "and is not started again and again");
    guest.release_lock();
    wait_until("the other run ends", || runs(&guest, "alice") == 3);
    // It has requested itself again; the limit ends with the next dispatcher.
    guest.forget_request_limits();
    wait_for_runs(&guest, "alice", 4);
    assert_eq!(failed(&guest), "");
}

#[test]
fn rapid_logins_exhaust_no_limit() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let login = new_login("good");
    guest.put_login("alice", &login);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a backup");
    for _ in 0..6 {
        guest.put_login("alice", &cleared_login(&login));
        guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
    }
    wait_until("the first is answered", || runs(&guest, "alice") == 3);
    wait_until("none at work", || super::is_inactive(&guest, "alice"));
    assert_eq!(runs(&guest, "alice"), 3, "{}", guest.product_journal());
    assert_eq!(failed(&guest), "");

    // Permanently rejected: the first login that finds it sends a request, and the others do not.
    guest.forget_state("alice");
    guest.put_login("alice", &cleared_login(&login));
    for _ in 0..6 {
        guest.forget_request_limits();
        guest.ssh("alice", "true").expect_success("ssh");
        thread::sleep(Duration::from_millis(500));
        wait_until("none at work", || super::is_inactive(&guest, "alice"));
    }
    assert!((1..=2).contains(&runs(&guest, "alice")), "{}", guest.product_journal());
    assert!(guest.product_journal().contains("user=alice FAIL"), "{}", guest.product_journal());
    assert_eq!(failed(&guest), "", "a required sign-in is not a failure of the machine");
}

/// Each user can request only the own sync, and a user who is not enrolled has no request file.
#[test]
fn request_of_another_or_unenrolled_user_starts_nothing() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let files = "/run/claude-auth-requests";
    let refused = |command: &str| {
        let output = guest.run(&format!("runuser -u bob -- sh -c '{command}' 2>&1"));
        assert!(!output.succeeded(), "{command}: {}", output.text());
    };
    let alice = format!("{files}/{}", guest.run("id -u alice").text().trim());
    refused(&format!("touch --no-create --no-dereference {alice}"));
    refused(&format!("touch --no-dereference {files}/$(id -u)"));
    refused(&format!("mkfifo {files}/$(id -u)"));
    refused(&format!("mv {alice} {files}/$(id -u)"));
    refused(&format!("ln -s /etc/passwd {files}/$(id -u)"));
    thread::sleep(SHORT_WAIT);
    assert_eq!(runs(&guest, "alice"), 1);
    guest.request_sync("alice");
    wait_for_runs(&guest, "alice", 2);

    // The file exists from enrolling to unenrolling, whatever its user does with it.
    guest
        .run(&format!("runuser -u alice -- sh -c 'chmod 777 {alice}; exec 3<>{alice}; echo 1000 >&3'"))
        .expect_success("data");
    guest.run("cas-sync enroll bob").expect_success("enrolling");
    let bob = format!("{files}/{}", guest.run("id -u bob").text().trim());
    wait_until("a request file", || guest.run(&format!("test -p {bob}")).succeeded());
    guest.run("cas-sync unenroll bob").expect_success("unenrolling");
    wait_until("no request file", || !guest.run(&format!("test -e {bob}")).succeeded());
    assert_eq!(failed(&guest), "");
}

/// A unit that is masked affects only its own user, and is not tried again and again. A request for
/// which systemd cannot be reached starts a sync later.
#[test]
fn refused_start_drops_one_request_and_unreachable_systemd_none() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    let refusals = || {
        let journal =
            guest.run(&format!("journalctl --sync; journalctl --quiet --output=cat -u {DISPATCHER}"));
        journal.text().matches("cannot start claude-auth-sync@alice.service: systemd refuses").count()
    };
    guest.run("systemctl mask --quiet --runtime claude-auth-sync@alice.service").expect_success("masked");
    guest.request_sync("alice");
    guest.request_sync("bob");
    wait_for_runs(&guest, "bob", 2);
    wait_until("the refusal is logged", || refusals() == 1);
    thread::sleep(SHORT_WAIT);
    assert_eq!((refusals(), runs(&guest, "alice")), (1, 1));

    guest.run("systemctl unmask --quiet --runtime claude-auth-sync@alice.service").expect_success("unmasked");
    guest.forget_request_limits();
    let sockets = "/run/systemd/private /run/dbus/system_bus_socket";
    guest.run(&format!("for socket in {sockets}; do mv $socket $socket.moved; done")).expect_success("moved");
    guest.request_sync("alice");
    thread::sleep(SHORT_WAIT);
    guest.run(&format!("for socket in {sockets}; do mv $socket.moved $socket; done")).expect_success("back");
    wait_for_runs(&guest, "alice", 2);
    assert_eq!(refusals(), 1);
}
