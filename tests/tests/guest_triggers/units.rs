//! The units: their rating by systemd, the users for which they work, and how all of them are
//! paused.

use std::thread;
use std::time::Duration;

use cas_tests::claude_login::new_login;
use cas_tests::guest::Suite;

use super::{failed, home, host, is_inactive, property, runs, wait_for_runs, wait_until};

const UNITS: [&str; 3] =
    ["claude-auth-sync@alice.timer", "claude-auth-sync@alice.service", "claude-auth-watch@alice.service"];

#[test]
fn systemd_reports_no_problem_with_the_units_on_bookworm() {
    check_unit_files(Suite::Bookworm);
}

#[test]
fn systemd_reports_no_problem_with_the_units_on_trixie() {
    check_unit_files(Suite::Trixie);
}

fn check_unit_files(suite: Suite) {
    let guest = host(suite, &["alice"]);
    for unit in UNITS.iter().chain(&["claude-auth-sync.target", "claude-auth-request.service"]) {
        let verified =
            guest.run(&format!("systemd-analyze verify --man=no {unit} 2>&1")).expect_success(unit);
        assert_eq!(verified.text(), "", "{unit}");
    }
    // Everything that a boot starts, in one transaction: an ordering cycle would be reported.
    let boot = guest.run("systemd-analyze verify --man=no default.target 2>&1").text();
    assert!(!boot.contains("cycle") && !boot.contains("claude"), "{boot}");
    for service in &UNITS[1..] {
        // In tenths; guest_hardening has the exact values.
        guest.run(&format!("systemd-analyze security --threshold=20 {service}")).expect_success(service);
    }
    guest
        .run("systemd-analyze security --threshold=20 claude-auth-request.service")
        .expect_success("the dispatcher");
    for (name, value) in KEEPS_REFRESH_RUNNING {
        assert_eq!(property(&guest, UNITS[1], name), value, "{name}");
    }
}

/// The client that exchanges a refresh token runs in the unit of the sync, and must not be killed
/// with it.
const KEEPS_REFRESH_RUNNING: [(&str, &str); 5] = [
    ("KillMode", "process"),
    ("SendSIGKILL", "no"),
    ("OOMPolicy", "continue"),
    ("OOMScoreAdjust", "-500"),
    ("ManagedOOMPreference", "avoid"),
];

/// Home, primary group and the name itself are those of the user database.
#[test]
fn units_work_for_unusual_names_and_homes_on_bookworm() {
    check_units_for_unusual_users(Suite::Bookworm);
}

#[test]
fn units_work_for_unusual_names_and_homes_on_trixie() {
    check_units_for_unusual_users(Suite::Trixie);
}

fn check_units_for_unusual_users(suite: Suite) {
    let guest = host(suite, &[]);
    let users = [
        ("dora", "--base-dir /srv/people --gid users"),
        ("jean-luc", "--base-dir /srv/people --gid games"),
        ("a.b", "--home-dir /var/lib/homes/a.b"),
        (r"DOM\eve", "--home-dir /opt/eve"),
        ("user@realm", ""),
        ("4you", ""),
        ("_x", ""),
    ];
    for (user, options) in users {
        guest
            .run(&format!(
                "mkdir -p /srv/people /var/lib/homes; useradd --badname --create-home {options} '{user}'"
            ))
            .expect_success("useradd");
        guest.run(&format!("cas-sync enroll --no-watch '{user}'")).expect_success("enrolling");
        wait_until(user, || runs(&guest, user) > 0 && is_inactive(&guest, user));
        let before = runs(&guest, user);
        guest.request_sync(user);
        wait_for_runs(&guest, user, before + 1);
        let whose =
            guest.run(&format!("id -un '{user}'; id -gn '{user}'")).text().trim_end().replace('\n', ":");
        let log = format!("{}/.local/state/claude-auth-sync/sync.log", home(&guest, user));
        assert_eq!(guest.file_status(&log), format!("600 {whose} regular file"));
    }
    assert_eq!(failed(&guest), "");
}

#[test]
fn home_that_is_read_only_in_the_unit_names_the_remedy() {
    let guest = host(Suite::Bookworm, &[]);
    guest
        .run("mkdir /usr/people && useradd --create-home --base-dir /usr/people dora")
        .expect_success("useradd");
    let output = guest.run("cas-sync enroll --no-watch dora").expect_success("enrolling").text();
    let remedy = "run `systemctl edit claude-auth-sync@.service`, and add `ReadWritePaths=/usr/people/dora` below `[Service]`";
    assert!(output.contains(remedy), "{output}");
    let service = "claude-auth-sync@dora.service";
    assert!(!guest.run(&format!("systemctl start {service}")).succeeded(), "it cannot keep its state");
    guest
        .run("printf '[Service]\\nReadWritePaths=/usr/people/dora\\n' >/tmp/edited && EDITOR='cp /tmp/edited' SYSTEMD_EDITOR='cp /tmp/edited' script -qec 'systemctl edit claude-auth-sync@.service' /dev/null")
        .expect_success("the printed remedy");
    guest.run(&format!("systemctl start {service}")).expect_success("with the remedy");
    assert_eq!(runs(&guest, "dora"), 1);
}

/// Claude Code checks whether the process that holds a lock is running.
#[test]
fn unit_sees_only_the_users_own_processes() {
    let guest = host(Suite::Bookworm, &["alice"]);
    for user in ["alice", "bob"] {
        guest
            .run(&format!("systemd-run --quiet --collect --unit=session-of-{user} --uid={user} sleep 600"))
            .expect_success("a process");
    }
    guest
        .run("d=/run/systemd/system/claude-auth-sync@.service.d; mkdir $d && printf '[Service]\\nExecStart=\\nExecStart=sh -c \"ps -eo user=,comm= | sort -u >seen\"\\nWorkingDirectory=~\\n' >$d/look.conf && systemctl daemon-reload && systemctl start claude-auth-sync@alice.service")
        .expect_success("a look around");
    let seen = String::from_utf8(guest.read("/home/alice/seen").expect("written")).expect("text");
    assert!(seen.contains("alice    sleep") && !seen.contains("bob") && !seen.contains("root"), "{seen}");
}

#[test]
fn user_whose_name_fits_no_unit_is_enrolled_with_a_warning() {
    let guest = host(Suite::Bookworm, &[]);
    for user in ["jörg", "x$", "DOM+eve"] {
        guest.run(&format!("useradd --badname --create-home '{user}'")).expect_success("useradd");
        let output = guest.run(&format!("cas-sync enroll '{user}'")).expect_success("enrolling").text();
        assert!(
            output.contains(&format!("{user} is enrolled"))
                && output.contains("run `cas-sync run` as the user"),
            "{output}"
        );
        guest.run(&format!("cas-sync unenroll '{user}'")).expect_success("unenrolling");
    }
    assert_eq!(failed(&guest), "");
    assert_eq!(guest.run("systemctl list-units --all --no-legend 'claude-auth-*@*'").text(), "");
}

#[test]
fn stopping_one_unit_pauses_the_machine_until_it_is_started() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    let running = || {
        guest.run("systemctl list-units --no-legend --plain --state=active 'claude-auth-*@*' | wc -l").text()
    };
    assert_eq!(running().trim(), "2", "two timers");
    guest.run("systemctl stop claude-auth-sync.target").expect_success("a pause");
    assert_eq!(running().trim(), "0");
    guest.put_login("alice", &new_login("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    // Enrolling a user, or a sync by hand, does not end a pause.
    let output = guest.run("cas-sync enroll carol").expect_success("enrolling").text();
    assert!(
        output.contains("carol is enrolled") && output.contains("systemctl start claude-auth-sync.target"),
        "{output}"
    );
    guest.run("systemctl start claude-auth-sync@bob.service").expect_success("by hand");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(running().trim(), "0");
    assert_eq!((runs(&guest, "alice"), runs(&guest, "carol")), (1, 0));
    guest.run("systemctl disable claude-auth-watch@carol.service").expect_success("not today");

    guest.run("systemctl start claude-auth-sync.target").expect_success("the end of the pause");
    assert_eq!(running().trim(), "3");
    guest.ssh("alice", "true").expect_success("the next login");
    wait_for_runs(&guest, "alice", 2);
    let output = guest.run("cas-sync enroll --no-watch alice").expect_success("again").text();
    assert_eq!(output, "alice was enrolled already; nothing was changed.\n");
    assert_eq!(failed(&guest), "");
}
