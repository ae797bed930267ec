//! A user's own state, at a real terminal.

use cas_tests::claude_login::{self, cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::run_service;

/// Returns what `cas-sync status` shows to a user at a terminal, without control sequences.
#[track_caller]
fn status_over_ssh(guest: &Guest, user: &str, command: &str) -> (Option<i32>, String) {
    let output = guest.ssh(user, command);
    (output.code, output.text())
}

#[test]
fn user_status_shows_state_and_next_sync_on_bookworm() {
    check_user_status(Suite::Bookworm);
}

#[test]
fn user_status_shows_state_and_next_sync_on_trixie() {
    check_user_status(Suite::Trixie);
}

fn check_user_status(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice"]);
    guest.resume();
    let login = new_login("first");
    guest.put_login("alice", &login);
    run_service(&guest, "alice");
    let (code, screen) = status_over_ssh(&guest, "alice", "cas-sync status");
    assert_eq!(code, Some(0), "{screen}");
    for part in [
        "Claude login of alice on ",
        ": OK\n",
        "uses        the login (/home/alice/.claude/.credentials.json)",
        "verified    never, as far as known; the last sync, ",
        "expires     access token expires in ",
        "backup      on this machine: this login, saved ",
        "on no other machine: backups are kept locally",
        "next        a sync in ",
        "; the watcher runs",
    ] {
        assert!(screen.contains(part), "{part} is missing in\n{screen}");
    }
    assert!(!screen.contains('\x1b') && !screen.contains("sk-ant"), "{screen}");

    let (code, json) = status_over_ssh(&guest, "alice", "cas-sync status --json");
    let own: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(
        (code, &own["exit_code"], &own["active"]["kind"]),
        (Some(0), &0.into(), &"login".into()),
        "{json}"
    );
    let hours = |member: &str| {
        let from_now = own[member].as_i64().expect(member) - own["at_ms"].as_i64().expect("a time");
        from_now / 3_600_000
    };
    assert!((0..=7).contains(&hours("next_sync_at_ms")), "{json}");
    assert_eq!((&own["watched"], &own["enrolled"]), (&true.into(), &true.into()), "{json}");

    // Another problem exists.
    let (code, screen) = status_over_ssh(&guest, "alice", "ANTHROPIC_API_KEY=sk-secret-key cas-sync status");
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("uses        an API key (ANTHROPIC_API_KEY in the environment)"), "{screen}");
    assert!(screen.contains("not used: the login (/home/alice/.claude/.credentials.json)"), "{screen}");
    assert!(!screen.contains("secret"), "{screen}");

    // A pause, and a login that cannot be restored.
    guest.run("systemctl stop claude-auth-sync.target").expect_success("a pause");
    guest.forget_state("alice");
    guest.put_login("alice", &cleared_login(&login));
    guest.run("systemctl start claude-auth-sync@alice.service").expect_success("a sync");
    let (code, screen) = status_over_ssh(&guest, "alice", "cas-sync status");
    assert_eq!(code, Some(79), "{screen}");
    assert!(
        screen.contains(": FAIL\n") && screen.contains("Claude Code is not logged in: the login was cleared"),
        "{screen}"
    );
    assert!(screen.contains("no sync is scheduled; the watcher does not run"), "{screen}");
}

#[test]
fn user_status_is_fitted_and_colored_on_a_terminal() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    run_service(&guest, "alice");
    let mut terminal = guest.ssh_terminal("alice");
    for columns in [80, 200] {
        let screen = terminal.at_prompt(&format!("stty cols {columns}; TERM=xterm cas-sync status"));
        assert!(screen.contains("\x1b[1mOK\x1b[0m"), "{screen:?}");
        let lines = screen.lines().filter(|line| line.starts_with("  "));
        let longest = lines.map(|line| line.trim_end().chars().count()).max().unwrap_or(0);
        assert!(longest <= columns && longest > columns * 2 / 5, "{columns}: {longest} {screen}");
    }
    for plain in ["NO_COLOR=1 TERM=xterm LC_ALL=C cas-sync status", "TERM=dumb LC_ALL=C cas-sync status"] {
        let screen = terminal.at_prompt(plain);
        assert!(screen.contains(": OK") && !screen.contains("\x1b[1m"), "{screen:?}");
    }
}

/// A systemd that hangs delays neither users, who use its bus, nor root, who uses its private
/// socket.
#[test]
fn unresponsive_systemd_does_not_block_status() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &claude_login::new_login("one"));
    guest.sync("alice").expect_success("the first sync");
    // By itself it would time out only after 25 seconds and more, without a message about systemd.
    let alice = "exec runuser -u alice -- env -i HOME=/home/alice PATH=/usr/bin:/bin timeout 100";
    guest.run("pkill -STOP -x dbus-daemon").expect_success("its bus hangs");
    let status = guest.run(&format!("{alice} cas-sync status"));
    let json = guest.run(&format!("{alice} cas-sync status --json"));
    guest.run("pkill -CONT -x dbus-daemon").expect_success("its bus continues");
    assert!(status.text().contains("unknown: systemd does not answer"), "{status:?}");
    assert_eq!(claude_login::parsed(&json.text())["next_unknown"], "systemd does not answer", "{json:?}");

    let systemd = Pid::from_raw(i32::try_from(guest.leader()).expect("a process"));
    kill(systemd, Signal::SIGSTOP).expect("systemd hangs");
    let report: Vec<_> = ["doctor alice --json", "sessions", "metrics", "status"]
        .map(|command| (command, guest.run(&format!("timeout 100 cas-sync {command}"))))
        .into();
    kill(systemd, Signal::SIGCONT).expect("systemd continues");
    for (command, output) in &report {
        assert!(output.code.is_some_and(|code| code != 124), "{command}: {output:?}");
    }
    let diagnosis = claude_login::parsed(&report[0].1.text());
    assert!(diagnosis.to_string().contains("systemd-not-responding"), "{diagnosis}");
    let units = diagnosis["inspections"][0]["checks"].as_array().expect("checks").iter();
    let inactive = units.into_iter().find(|check| check["id"] == "units-inactive").expect("the check");
    assert_eq!(
        (&inactive["state"], &inactive["reason"]),
        (&"unknown".into(), &"systemd does not answer".into())
    );
}
