//! The real Claude Code inside the unit: everything works as in a session, and nothing interrupts
//! it.

use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::Login;
use cas_tests::claude_login::parsed;
use cas_tests::guest::{ClaudeGuest, Suite, is_cleared};
use serde_json::Value;

use super::{TIMEOUT, failed, home, is_inactive, property, wait_for_runs, wait_until};

const SERVICE: &str = "claude-auth-sync@alice.service";

#[test]
fn unit_refreshes_a_login_in_any_home_on_bookworm() {
    check_refresh_in_the_unit(Suite::Bookworm);
}

#[test]
fn unit_refreshes_a_login_in_any_home_on_trixie() {
    check_refresh_in_the_unit(Suite::Trixie);
}

/// The client creates its lock next to `~/.claude`, and renames over `~/.claude.json` in the home
/// itself.
fn check_refresh_in_the_unit(suite: Suite) {
    let machine = workplace(suite);
    machine.guest
        .run("mkdir -p /srv/people && useradd --create-home --base-dir /srv/people --gid games dora && runuser -u dora -- mkdir -m 700 /srv/people/dora/.claude")
        .expect_success("useradd");
    for user in ["alice", "dora"] {
        machine.guest.run(&format!("cas-sync enroll --no-watch {user}")).expect_success("enrolling");
        wait_until("the first sync", || is_inactive(&machine.guest, user));
        let spent = sign_in_yesterday(&machine, user);
        machine.anthropic.forget_requests();
        let service = format!("claude-auth-sync@{user}.service");
        machine.guest.run(&format!("systemctl start {service}")).expect_success("a sync");
        assert!(is_new(&file(&machine, user), &spent), "{user}");
        assert_eq!(refreshes(&machine), 1, "{user}");
        let at_home = home(&machine.guest, user);
        let left = machine.guest.run(&format!("cd {at_home} && ls -A . .claude")).text();
        assert!(left.contains(".claude.json\n"), "the client keeps its settings there: {left}");
        assert!(!left.contains("lock") && !left.contains(".tmp"), "{left}");
        assert!(
            machine.guest.product_journal().contains(&format!("user={user} OK")),
            "{}",
            machine.guest.product_journal()
        );
    }
    assert_eq!(failed(&machine.guest), "");
}

/// The refresh takes as long as the server holds its answer: here some seconds, during an outage
/// two minutes.
#[test]
fn stop_of_a_sync_waits_for_its_refresh() {
    let machine = workplace(Suite::Bookworm);
    machine.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || is_inactive(&machine.guest, "alice"));
    // A pause does not stop a running sync.
    for (stop, state) in [(SERVICE, "deactivating"), ("claude-auth-sync.target", "activating")] {
        let spent = start_sync_during_refresh(&machine);
        machine.guest.run(&format!("systemctl stop --no-block {stop}")).expect_success("stopping");
        thread::sleep(Duration::from_secs(3)); // for a signal to end what it can end
        assert_eq!(property(&machine.guest, SERVICE, "ActiveState"), state, "{stop}");
        assert!(!is_new(&file(&machine, "alice"), &spent), "the server has not answered");
        machine.anthropic.hold_refreshes(false);
        wait_until("it has stopped", || is_inactive(&machine.guest, "alice"));
        assert!(is_new(&file(&machine, "alice"), &spent), "{stop}");
        assert_eq!(failed(&machine.guest), "", "{stop}");
        machine.guest.run("systemctl start claude-auth-sync.target").expect_success("on again");
    }
}

/// The stop takes as long as the server delays its response, so the script names what it waits for.
#[test]
fn removal_waits_for_a_refresh_and_names_the_user() {
    let machine = workplace(Suite::Bookworm);
    machine.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || is_inactive(&machine.guest, "alice"));
    let spent = start_sync_during_refresh(&machine);
    let ended = thread::scope(|scope| {
        let removing = scope.spawn(|| machine.guest.remove_package());
        wait_until("the stop signal", || property(&machine.guest, SERVICE, "ActiveState") == "deactivating");
        thread::sleep(Duration::from_secs(3)); // for whatever does not wait to be done
        assert!(!removing.is_finished() && !is_new(&file(&machine, "alice"), &spent));
        machine.anthropic.hold_refreshes(false);
        removing.join().expect("the admin's terminal")
    });
    assert!(is_new(&file(&machine, "alice"), &spent));
    let output = ended.expect_success("removing everything").text();
    assert!(output.contains("the sync of alice is running; waiting for its end"), "{output}");
    assert!(!machine.guest.run("command -v cas-sync").succeeded());
}

/// Ended by an out-of-memory killer, or by an administrator. The client in the middle of its
/// refresh continues.
#[test]
fn end_of_the_sync_does_not_interrupt_the_refresh() {
    let machine = workplace(Suite::Bookworm);
    machine.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || is_inactive(&machine.guest, "alice"));
    let spent = start_sync_during_refresh(&machine);
    machine
        .guest
        .run(&format!("systemctl kill --kill-who=main --signal=KILL {SERVICE}"))
        .expect_success("killing");
    wait_until("systemd has seen it", || property(&machine.guest, SERVICE, "ActiveState") == "failed");
    machine.guest.run(&format!("systemctl stop {SERVICE}")).expect_success("stopping what is left");
    assert!(!is_new(&file(&machine, "alice"), &spent));
    machine.anthropic.hold_refreshes(false);
    wait_until("the client has written", || is_new(&file(&machine, "alice"), &spent));
    assert_eq!(refreshes(&machine), 1);
    machine.guest.run(&format!("systemctl start {SERVICE}")).expect_success("the next sync");
    assert_eq!(failed(&machine.guest), "");
}

/// The login that requests the sync is the one whose session refreshes meanwhile.
#[test]
fn sync_leaves_a_refresh_in_progress_to_the_session() {
    let machine = workplace(Suite::Bookworm);
    machine.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_for_runs(&machine.guest, "alice", 1);
    let spent = sign_in_yesterday(&machine, "alice");
    machine.anthropic.forget_requests();
    // The request waits until the session refreshes: Claude Code waits at most eight seconds for
    // the refresh of another client, which is short on a busy machine.
    let signal = |name: &str| format!("systemctl kill --signal={name} claude-auth-request.service");
    machine.guest.run(&signal("STOP")).expect_success("stopping the dispatcher");
    let output = thread::scope(|scope| {
        let held = machine.anthropic.has_held_refreshes();
        let session = scope.spawn(|| machine.claude("alice"));
        assert!(machine.anthropic.wait_for(&Deadline::after(TIMEOUT), |request| request.is_refresh()));
        machine.guest.run(&signal("CONT")).expect_success("the request is seen");
        wait_for_runs(&machine.guest, "alice", 2);
        drop(held);
        session.join().expect("the session's thread")
    });
    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    let journal = machine.guest.product_journal();
    assert!(
        journal.lines().last().is_some_and(|line| line.contains("Claude Code is refreshing it")),
        "{journal}"
    );
    assert!(is_new(&file(&machine, "alice"), &spent));
    assert_eq!((refreshes(&machine), failed(&machine.guest)), (1, String::new()));
}

/// Creates a workstation with running units and without enrolled users.
fn workplace(suite: Suite) -> ClaudeGuest {
    let machine = ClaudeGuest::with_product(suite, &[]);
    machine.guest.configure("[claude.environment]\nNODE_EXTRA_CA_CERTS = \"/etc/anthropic-stand-in.pem\"\n");
    machine.guest.resume();
    machine
}

/// As [`ClaudeGuest::sign_in_yesterday`], for any home.
fn sign_in_yesterday(machine: &ClaudeGuest, user: &str) -> Login {
    if user == "alice" {
        return machine.sign_in_yesterday(user);
    }
    let login = machine.sign_in_yesterday("bob");
    let into = format!("{}/.claude/.credentials.json", home(&machine.guest, user));
    machine
        .guest
        .run(&format!("install -m 600 -o {user} ~bob/.claude/.credentials.json {into}"))
        .expect_success("the login file");
    login
}

/// Starts a sync whose client has sent its refresh token and has no answer yet.
#[track_caller]
fn start_sync_during_refresh(machine: &ClaudeGuest) -> Login {
    let spent = sign_in_yesterday(machine, "alice");
    machine.anthropic.forget_requests();
    machine.anthropic.hold_refreshes(true);
    machine.guest.run(&format!("systemctl start --no-block {SERVICE}")).expect_success("a sync");
    assert!(machine.anthropic.wait_for(&Deadline::after(TIMEOUT), |request| request.is_refresh()));
    spent
}

fn refreshes(machine: &ClaudeGuest) -> usize {
    machine.anthropic.requests().iter().filter(|request| request.is_refresh()).count()
}

fn file(machine: &ClaudeGuest, user: &str) -> Value {
    let path = format!("{}/.claude/.credentials.json", home(&machine.guest, user));
    parsed(&String::from_utf8(machine.guest.read(&path).expect("a login file")).expect("text"))
}

/// Returns true if the file has the generation after `spent`.
fn is_new(file: &Value, spent: &Login) -> bool {
    !is_cleared(file) && file["claudeAiOauth"]["refreshToken"] != spent.refresh_token
}
