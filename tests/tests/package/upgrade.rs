//! A new version, while people work.

use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::claude_login::{fresh, parsed, tombstone};
use cas_tests::guest::{Guest, Suite, Workplace};

use super::{
    NextVersion, PATIENCE, TARGET, UNITS, failed, lines_of_ours, people_get_in, property, wait_until,
};

const SERVICE: &str = UNITS[2];
const WATCH: &str = UNITS[3];

#[test]
fn an_upgrade_reaches_everybodys_units_and_nobodys_session_on_bookworm() {
    an_upgrade_while_people_work(Suite::Bookworm);
}

#[test]
fn an_upgrade_reaches_everybodys_units_and_nobodys_session_on_trixie() {
    an_upgrade_while_people_work(Suite::Trixie);
}

fn an_upgrade_while_people_work(suite: Suite) {
    let next = NextVersion::new();
    let desk = Workplace::with_product(suite, &[]);
    let guest = &desk.guest;
    guest.resume();
    desk.sign_in("alice");
    guest.enroll("alice");
    wait_until("the first sync", || property(guest, SERVICE, "ActiveState") == "inactive");
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    let mut claude = desk.converse("alice");
    assert!(claude.ask("before", PATIENCE).expect("it answers").answered());
    let watch = property(guest, WATCH, "MainPID");
    let requests = guest.status_of("/run/claude-auth-sync/alice/request.spare");
    guest.write("/etc/claude-auth-sync/config.toml", "root", "644", b"# the admin's own\n");

    let said = guest.install_package(&next.file());

    assert!(!said.contains("***"), "{said}");
    assert_eq!(guest.run("dpkg --audit").text(), "");
    for unit in UNITS.iter().chain(&[TARGET]) {
        assert_eq!(property(guest, unit, "NeedDaemonReload"), "no", "{unit}");
    }
    for unit in UNITS {
        assert!(property(guest, unit, "Description").ends_with(NextVersion::MARK), "{unit}");
        assert_eq!(property(guest, unit, "LoadState"), "loaded", "{unit}");
    }
    for unit in [UNITS[0], UNITS[1], WATCH] {
        assert_eq!(property(guest, unit, "ActiveState"), "active", "{unit}");
    }
    assert_ne!(property(guest, WATCH, "MainPID"), watch, "the watch is the new one");
    assert_eq!(lines_of_ours(guest), 1);
    assert_eq!(
        guest.status_of("/run/claude-auth-sync/alice/request.spare"),
        requests,
        "the mount was left alone"
    );
    assert_eq!(guest.read("/etc/claude-auth-sync/config.toml").as_deref(), Some(&b"# the admin's own\n"[..]));
    let again = guest.enroll("alice");
    assert!(again.contains("nothing had to be changed"), "{again}");

    assert!(claude.ask("after", PATIENCE).expect("it answers").answered(), "the session goes on");
    assert_eq!(claude.leave(PATIENCE).expect("it ends"), Some(0));
    assert!(terminal.at_prompt("echo still $((40 + 2))").contains("still 42"));
    terminal.leave();
    people_get_in(guest, "after the upgrade");
    // The new watch watches.
    let file = guest.login_of("alice");
    let process = property(guest, WATCH, "MainPID");
    let watches =
        format!("grep -q \"ino:$(printf %x $(stat -c %i /home/alice/.claude)) \" /proc/{process}/fdinfo/*");
    wait_until("it watches", || guest.run(&watches).succeeded());
    guest.put_login("alice", &tombstone(&file));
    let token = |file: &str| parsed(file)["claudeAiOauth"]["refreshToken"].clone();
    wait_until("the login is back", || token(&guest.login_of("alice")) == token(&file));
    assert_eq!(failed(guest), "");
}

/// It takes as long as the server keeps its answer back.
#[test]
fn an_upgrade_in_the_middle_of_a_refresh_waits_for_it_and_says_for_whom() {
    let next = NextVersion::new();
    let desk = Workplace::with_product(Suite::Bookworm, &[]);
    desk.guest.resume();
    desk.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || property(&desk.guest, SERVICE, "ActiveState") == "inactive");
    let spent = desk.sign_in_yesterday("alice");
    desk.anthropic.forget_requests();
    desk.anthropic.hold_refreshes(true);
    desk.guest.run(&format!("systemctl start --no-block {SERVICE}")).expect_success("a sync");
    assert!(desk.anthropic.wait_for(&Deadline::after(PATIENCE), |request| request.is_refresh()));
    let token = || parsed(&desk.guest.login_of("alice"))["claudeAiOauth"]["refreshToken"].clone();

    let said = thread::scope(|scope| {
        let upgrade = scope.spawn(|| desk.guest.install_package(&next.file()));
        wait_until("it is told to stop", || property(&desk.guest, SERVICE, "ActiveState") == "deactivating");
        thread::sleep(Duration::from_secs(3)); // for a signal to end what it can end
        assert!(!upgrade.is_finished());
        assert_eq!(token(), *spent.refresh_token, "the server has not answered");
        people_get_in(&desk.guest, "meanwhile");
        desk.anthropic.hold_refreshes(false);
        upgrade.join().expect("the admin's terminal")
    });

    assert_ne!(token(), *spent.refresh_token, "Claude Code has written down what it was given");
    assert!(said.contains("the sync of alice is at work; waiting for its end"), "{said}");
    assert_eq!(property(&desk.guest, TARGET, "ActiveState"), "active");
    assert_eq!(failed(&desk.guest), "");
    assert_eq!(desk.anthropic.requests().iter().filter(|request| request.is_refresh()).count(), 1);
}

/// One by `stop` lasts until something starts the target, and an upgrade does; one by `mask` is for good.
#[test]
fn an_upgrade_ends_no_pause_that_was_meant_for_good() {
    let next = NextVersion::new();
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &fresh("first"));
    guest.install_package(&next.file());
    assert_eq!(property(&guest, TARGET, "UnitFileState"), "masked");
    let running = "systemctl list-units --no-legend --plain --state=active,activating 'claude-auth-*@*'";
    assert_eq!(guest.run(running).text(), "");
    guest.resume();
    assert_eq!(guest.run(&format!("{running} | grep -c '@alice'")).text().trim(), "3");
    guest.run(&format!("systemctl stop {TARGET}")).expect_success("for now");
    guest.install_package(&next.file());
    assert_eq!(property(&guest, TARGET, "ActiveState"), "active");
}
