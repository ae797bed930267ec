//! Interrupted runs: a probe may be interrupted, a refresh is not.

use std::thread;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::MessageAnswer::Silence;
use cas_tests::claude_client::BackgroundRun;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::leaks::{find_client, scratch_directory};
use super::*;

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a process id")), signal).expect("a signal");
}

#[test]
fn client_killed_during_a_probe_changes_nothing() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    fixture.anthropic().answer_messages(&login.access_token, Some(Silence));
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT] {
        fixture.anthropic().forget_requests();
        let before = file_states(&alice);
        let running = alice.sync().start().expect("a start");
        assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), |request| request.is_message()));
        send(find_client(running.pid()), signal);
        let output = running.end(LIMIT).expect("an end");
        assert_eq!(output.exit_code, TRY_LATER, "{signal}: {}", output.stdout);
        assert!(output.stdout.starts_with("WARN "), "{signal}: {}", output.stdout);
        assert_eq!(file_states(&alice), before, "{signal}");
    }
}

#[test]
fn killed_verification_leaves_no_files() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    fixture.anthropic().answer_messages(&login.access_token, Some(Silence));
    let before = file_states(&alice);
    let running = alice.sync().start().expect("a start");
    assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), |request| request.is_message()));
    let client = find_client(running.pid());
    let scratch = scratch_directory(client);
    running.kill();
    send(client, Signal::SIGKILL);
    wait_for_exit(client);
    fs::remove_dir_all(scratch).expect("the leftover directory");
    assert_eq!(file_states(&alice), before);
    fixture.anthropic().answer_messages(&login.access_token, None);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert_eq!(file_states(&alice), before);
}

/// Waits for a process that is not a child of this one; a zombie has no command line.
fn wait_for_exit(pid: u32) {
    let deadline = Deadline::after(LIMIT);
    while fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        assert!(!deadline.is_expired(), "process {pid} does not end");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a sync and waits until it refreshes: the server has consumed the old token and delays the
/// response.
fn start_sync_during_refresh(fixture: &ClaudeFixture, alice: &ClaudeUser<'_>) -> (Login, BackgroundRun) {
    let spent = sign_in(fixture, alice, -1);
    fixture.anthropic().hold_refreshes(true);
    let running = alice.sync().start().expect("a start");
    assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), |request| request.is_refresh()));
    (spent, running)
}

#[test]
fn terminated_sync_completes_its_refresh_first() {
    for version in [cas_tests::claude_client::NEWEST, cas_tests::claude_client::OLDER] {
        let fixture = fixture_with(version);
        let alice = fixture.create_user("alice").expect("alice");
        let (spent, running) = start_sync_during_refresh(&fixture, &alice);
        let client = find_client(running.pid());
        let scratch = scratch_directory(client);
        let stat = fs::read_to_string(format!("/proc/{client}/stat")).expect("a status");
        let group = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(2)).expect("a group");
        assert_eq!(group, client.to_string(), "what is typed at a terminal is not meant for it");

        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            send(running.pid(), signal);
        }
        thread::sleep(Duration::from_millis(300)); // a process that they end has ended
        fixture.anthropic().hold_refreshes(false);
        let output = running.end(LIMIT).expect("an end");

        assert!(!scratch.exists());
        assert_eq!(output.exit_code, None, "then the sync ends as it was asked to: {}", output.stdout);
        let new = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
        assert!(!new.is_empty() && new != spent.refresh_token && has_sibling(&alice), "{version}");
        fixture.anthropic().forget_requests();
        let next = sync(&alice);
        assert_eq!((next.exit_code, refreshes(&fixture)), (OK_MESSAGE, 0), "{version}: {}", next.stdout);
        assert!(backed_up(&alice).contains(&new), "{version}");
    }
}

#[test]
fn client_completes_its_refresh_after_the_sync_is_killed() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let (spent, running) = start_sync_during_refresh(&fixture, &alice);
    let client = find_client(running.pid());
    let scratch = scratch_directory(client);
    running.kill();
    fixture.anthropic().hold_refreshes(false);
    let deadline = Deadline::after(LIMIT);
    let check_refresh = || oauth(&alice)["refreshToken"] != spent.refresh_token;
    while !check_refresh() && !deadline.is_expired() {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(check_refresh() && oauth(&alice)["refreshToken"] != "" && has_sibling(&alice));
    // The client still sends its question; the next run finds a valid login.
    let output = sync(&alice);
    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert_eq!(refreshes(&fixture), 1);
    wait_for_exit(client);
    fs::remove_dir_all(scratch).expect("the leftover directory");
}
