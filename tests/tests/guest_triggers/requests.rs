//! A login that wants the sync to look leaves a request: what comes of it, and what does not.

use std::thread;
use std::time::Duration;

use cas_tests::claude_login::{fresh, parsed, tombstone};
use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property, runs, wait_for_runs, wait_until};

const FOLDER: &str = "/run/claude-auth-sync/alice";
const REPAIR_LOCK: &str = "/home/alice/.local/state/claude-auth-sync/repair.lock";

/// Long enough for hundreds of starts, if one led to the next.
const A_WHILE: Duration = Duration::from_secs(3);

/// But for the spare that a person has as long as no login of theirs asked for anything.
fn in_folder(guest: &Guest) -> String {
    guest
        .run(&format!("ls -A --ignore=request.spare {FOLDER}"))
        .text()
        .replace('\n', " ")
        .trim_end()
        .to_owned()
}

#[track_caller]
fn as_alice(guest: &Guest, script: &str) {
    guest.run(&format!("runuser -u alice -- sh -c 'cd {FOLDER} && {script}'")).expect_success(script);
}

fn is_locked(guest: &Guest) -> bool {
    !guest.run("flock -n /home/alice/.local/state/claude-auth-sync/lock true").succeeded()
}

#[test]
fn a_request_of_a_login_is_answered_outside_of_the_login_on_bookworm() {
    a_request_is_answered(Suite::Bookworm);
}

#[test]
fn a_request_of_a_login_is_answered_outside_of_the_login_on_trixie() {
    a_request_is_answered(Suite::Trixie);
}

fn a_request_is_answered(suite: Suite) {
    let guest = host(suite, &["alice"]);
    guest.put_login("alice", &fresh("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    wait_for_runs(&guest, "alice", 2);
    assert_eq!(in_folder(&guest), "request.settled");
    // By what systemd says itself: of a line that a process writes just before its end the journal may not know the unit.
    let ended = "journalctl --sync; journalctl --quiet --output=cat -u claude-auth-sync@alice.service _PID=1";
    let finished = || guest.run(ended).text().matches("Finished claude-auth-sync@alice.service").count();
    wait_until("the first run and this one are over", || finished() == 2);
    assert!(guest.product_journal().lines().all(|line| line.starts_with("user=alice ")));
    assert_eq!(failed(&guest), "");
}

/// The lock keeps a run at the place where it looks; a session of Claude Code writes a new login meanwhile.
#[test]
fn a_request_during_a_run_leads_to_one_more() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.hold_lock(REPAIR_LOCK, 60);
    guest.run("systemctl start --no-block claude-auth-sync@alice.service").expect_success("a run");
    wait_until("a run at work", || is_locked(&guest));
    guest.put_login("alice", &fresh("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    assert!(in_folder(&guest).contains("request"), "it waits: {}", in_folder(&guest));
    guest.release_lock();
    wait_for_runs(&guest, "alice", 3);
    assert_eq!(in_folder(&guest), "request.settled");
}

#[test]
fn a_service_that_finds_a_person_at_it_leaves_it_to_them_and_comes_again() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.hold_lock(REPAIR_LOCK, 60);
    let by_hand = "systemd-run --quiet --collect --unit=by-hand --uid=alice cas-sync run";
    guest.run(by_hand).expect_success("a run by hand");
    wait_until("a run at work", || is_locked(&guest));
    as_alice(&guest, "touch request");
    wait_for_runs(&guest, "alice", 2);
    assert!(
        guest.product_journal().trim_end().ends_with("another run is at work"),
        "{}",
        guest.product_journal()
    );
    thread::sleep(A_WHILE);
    assert_eq!(runs(&guest, "alice"), 2, "and is not started again and again");
    assert_eq!(in_folder(&guest), "request.taken");
    guest.release_lock();
    wait_for_runs(&guest, "alice", 4);
    assert_eq!(in_folder(&guest), "request.settled", "theirs, and one that answers");
    // The same without any request: the other one says so, and that is all.
    guest.hold_lock(REPAIR_LOCK, 60);
    guest.run(by_hand).expect_success("a run by hand");
    wait_until("a run at work", || is_locked(&guest));
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("SKIP is no failure");
    assert!(guest.product_journal().contains("user=alice SKIP"));
    guest.release_lock();
    wait_for_runs(&guest, "alice", 6);
    thread::sleep(A_WHILE);
    assert_eq!(runs(&guest, "alice"), 6);
    assert_eq!(failed(&guest), "");
}

#[test]
fn logins_in_quick_succession_exhaust_nothing() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let login = fresh("good");
    guest.put_login("alice", &login);
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a backup");
    for _ in 0..6 {
        guest.put_login("alice", &tombstone(&login));
        guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(parsed(&guest.login_of("alice")), parsed(&login));
    }
    wait_until("all answered", || in_folder(&guest) == "request.settled");
    wait_until("none at work", || super::is_inactive(&guest, "alice"));
    assert!((3..=8).contains(&runs(&guest, "alice")), "{}", guest.product_journal());
    assert_eq!(property(&guest, "claude-auth-sync@alice.path", "ActiveState"), "active");
    assert_eq!(failed(&guest), "");

    // Broken for good: the first login that finds it so asks, and the others have nothing to add.
    guest.forget_state("alice");
    guest.put_login("alice", &tombstone(&login));
    for _ in 0..6 {
        guest.ssh("alice", "true").expect_success("ssh");
        wait_until("none at work", || super::is_inactive(&guest, "alice"));
    }
    assert_eq!(runs(&guest, "alice"), 1, "{}", guest.product_journal());
    assert!(guest.product_journal().contains("user=alice FAIL"), "{}", guest.product_journal());
    assert_eq!(failed(&guest), "", "that somebody must sign in is no failure of the machine");
}

#[test]
fn what_cannot_be_a_request_starts_one_run_and_no_more() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let mut expected = 1;
    // Each in one step: the run takes it away as soon as it is there.
    for thing in [
        "mkdir request",
        "mkdir -p tree/a/b && touch tree/c && mv tree request",
        "mkfifo request",
        "ln -s /etc request",
    ] {
        as_alice(&guest, thing);
        expected += 1;
        wait_for_runs(&guest, "alice", expected);
        thread::sleep(A_WHILE);
        assert_eq!(runs(&guest, "alice"), expected, "{thing}");
    }
    assert!(guest.run("ls /etc/passwd").succeeded());
    // A configuration with which no run can begin does not make one begin again and again.
    guest.configure("store = \"valt\"\n");
    let failures = || guest.product_journal().matches("user=alice FAIL").count();
    as_alice(&guest, "touch request");
    wait_until("a run", || failures() == 1);
    thread::sleep(A_WHILE);
    assert_eq!(failures(), 1, "{}", guest.product_journal());
    guest.run("rm /etc/claude-auth-sync/config.toml").expect_success("mended");
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("the next run");
    assert_eq!(in_folder(&guest), "request.settled");
    assert_eq!(failed(&guest), "");
}

#[test]
fn a_request_that_cannot_be_taken_away_hurts_nobody_else_and_not_for_ever() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    let unit = |kind: &str| property(&guest, &format!("claude-auth-sync@alice.{kind}"), "ActiveState");
    as_alice(&guest, "touch request && chmod 500 .");
    wait_until("systemd has enough", || unit("path") == "failed" && unit("service") == "failed");
    let loop_ended_at = runs(&guest, "alice");
    assert!((10..=21).contains(&loop_ended_at), "{loop_ended_at}");
    thread::sleep(A_WHILE);
    assert_eq!(runs(&guest, "alice"), loop_ended_at);
    let journal =
        guest.run("journalctl --sync; journalctl --quiet -o cat -u claude-auth-sync@alice.service").text();
    assert!(
        journal.contains("the request /run/claude-auth-sync/alice/request stays"),
        "the remedy: {journal}"
    );

    guest.put_login("bob", &fresh("bobs"));
    guest.ssh("bob", "true").expect_success("ssh");
    wait_for_runs(&guest, "bob", 2);

    // Ten minutes later the limit is forgotten. Then the timer starts the service, and that brings the path unit back.
    as_alice(&guest, "chmod 700 .");
    guest.run("systemctl reset-failed claude-auth-sync@alice.service").expect_success("ten minutes");
    assert_eq!(unit("path"), "failed");
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("what the timer does");
    assert_eq!((unit("path"), in_folder(&guest)), ("active".into(), "request.settled".into()));
    let before = runs(&guest, "alice");
    as_alice(&guest, "touch request");
    wait_for_runs(&guest, "alice", before + 1);
    assert_eq!(failed(&guest), "");
}

#[test]
fn a_folder_that_is_filled_keeps_nobody_elses_request_out_on_bookworm() {
    a_folder_that_is_filled_keeps_nobody_elses_request_out(Suite::Bookworm);
}

#[test]
fn a_folder_that_is_filled_keeps_nobody_elses_request_out_on_trixie() {
    a_folder_that_is_filled_keeps_nobody_elses_request_out(Suite::Trixie);
}

/// All requests share one file system, and anybody can take the last of its room.
fn a_folder_that_is_filled_keeps_nobody_elses_request_out(suite: Suite) {
    let guest = host(suite, &["alice", "bob"]);
    let fill = "cd /run/claude-auth-sync/bob && runuser -u bob -- perl -e 'for (1..9000) { mkdir \"d$_\" or exit 1 }'";
    let mut expected = 1;
    for is_booted in [false, true] {
        if is_booted {
            guest.forget_as_a_reboot_does("/run/claude-auth-sync");
            guest.run("systemctl restart claude-auth-sync.target").expect_success("and what a boot starts");
        }
        assert!(!guest.run(fill).succeeded(), "until there is no room");
        assert!(!guest.run(&format!("runuser -u alice -- touch {FOLDER}/any")).succeeded(), "none at all");
        for name in ["one", "another"] {
            guest.put_login("alice", &fresh(&format!("{name}{expected}")));
            guest.ssh("alice", "true").expect_success("ssh");
            expected += 1;
            wait_for_runs(&guest, "alice", expected);
            assert_eq!(in_folder(&guest), "request.settled");
        }
    }

    let refused = guest.run("cas-sync enroll --no-watch carol");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.code, Some(1), "{said}");
    assert!(said.contains("/run/claude-auth-sync/bob") && said.contains("`cas-sync unenroll bob`"), "{said}");
    guest.run("cas-sync unenroll bob").expect_success("as it says");
    super::enroll(&guest, "carol");
    assert_eq!(failed(&guest), "");
}
