//! A machine that loses power while dpkg runs: everything is killed at one system call after the
//! other. Logins work at each point, and dpkg's own remedies complete the operation.

use cas_tests::guest::{Guest, PACKAGE, Suite};
use cas_tests::programs::package;

use super::{NextVersion, TARGET, check_logins, failed, package_lines, property, wait_until};

/// The point of the kill: at one system call of any of its processes.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// A program is started.
    Starts(&'static str),
    /// The file is installed.
    Moves(&'static str),
    /// dpkg installs its n-th file.
    Renames(u32),
    /// dpkg removes its n-th file.
    Unlinks(u32),
}
use Point::{Moves, Renames, Starts, Unlinks};

const INSTALLING: [Point; 6] = [
    Renames(15),
    Renames(60),
    Starts("/usr/bin/systemctl"),
    Starts("/usr/bin/deb-systemd-helper"),
    Starts("/usr/sbin/pam-auth-update"),
    Moves("/etc/pam.d/common-session.pam-new"),
];

const UPGRADING: [Point; 4] =
    [Renames(2), Renames(40), Starts("/usr/bin/deb-systemd-invoke"), Starts("/usr/sbin/pam-auth-update")];

const REMOVING: [Point; 6] = [
    Starts("/usr/sbin/pam-auth-update"),
    Moves("/etc/pam.d/common-session.pam-new"),
    Starts("/usr/bin/cas-sync"),
    Starts("/usr/bin/deb-systemd-invoke"),
    Unlinks(20),
    Starts("/usr/bin/deb-systemd-helper"),
];

#[test]
fn interrupted_installation_is_completed_on_bookworm() {
    check_interrupted_installation(Suite::Bookworm);
}

#[test]
fn interrupted_installation_is_completed_on_trixie() {
    check_interrupted_installation(Suite::Trixie);
}

fn check_interrupted_installation(suite: Suite) {
    let guest = Guest::boot(suite);
    guest.put_package(&package());
    for point in INSTALLING {
        is_killed(&guest, "--install /root/package.deb", point);
        check_logins(&guest, &format!("after installing was killed at {point:?}"));
        complete_installation(&guest, point);
        let output = guest.purge_package().expect_success("purging").text();
        if matches!(point, Moves(_)) {
            // pam-auth-update cannot distinguish its interrupted change from an edit; the remedy is
            // named.
            assert!(
                output.contains("pam_cas_session.so remains") && output.contains("pam-auth-update --force"),
                "{output}"
            );
            guest
                .run("pam-auth-update --force && rm /etc/pam.d/common-*.pam-old")
                .expect_success("the printed remedy, and its backup files");
        }
        assert_eq!(guest.remaining_product_files(), "", "{point:?}");
    }
}

#[test]
fn interrupted_upgrade_is_completed_on_bookworm() {
    check_interrupted_upgrade(Suite::Bookworm);
}

#[test]
fn interrupted_upgrade_is_completed_on_trixie() {
    check_interrupted_upgrade(Suite::Trixie);
}

fn check_interrupted_upgrade(suite: Suite) {
    let next = NextVersion::new();
    let guest = Guest::boot_with_product(suite);
    guest.resume();
    guest.disable_verification();
    guest.enroll("alice");
    guest.put_package(&next.file());
    for point in UPGRADING {
        is_killed(&guest, "--install /root/package.deb", point);
        check_logins(&guest, &format!("after an upgrade was killed at {point:?}"));
        complete_installation(&guest, point);
        // Ten new versions in a quarter of an hour would exceed the watcher's limit of starts.
        guest.run("systemctl reset-failed 'claude-auth-*'").expect_success("forgetting its starts");
        let output = guest.enroll("alice");
        assert!(output.contains("was enrolled already"), "{point:?}: {output}");
        guest
            .run("systemctl is-active claude-auth-sync@alice.timer claude-auth-watch@alice.service")
            .expect_success(&format!("what runs for alice, killed at {point:?}"));
    }
}

#[test]
fn interrupted_removal_is_completed_on_bookworm() {
    check_interrupted_removal(Suite::Bookworm);
}

#[test]
fn interrupted_removal_is_completed_on_trixie() {
    check_interrupted_removal(Suite::Trixie);
}

fn check_interrupted_removal(suite: Suite) {
    let guest = Guest::boot(suite);
    for point in REMOVING {
        guest.install_package(&package());
        guest.disable_verification();
        guest.enroll("alice");
        is_killed(&guest, &format!("--remove {PACKAGE}"), point);
        check_logins(&guest, &format!("after removing was killed at {point:?}"));
        guest.run("dpkg --configure --pending 2>&1").expect_success("dpkg's own remedy");
        check_logins(&guest, &format!("and what was begun was ended, {point:?}"));
        guest.remove_package().expect_success("again");
        assert_eq!(guest.remaining_product_files(), "", "{point:?}");
        assert_eq!(guest.run("dpkg --audit").text(), "", "{point:?}");
        assert_eq!(failed(&guest), "", "{point:?}");
    }
}

/// Runs dpkg with these arguments up to this point, and kills it with all its children there.
#[track_caller]
fn is_killed(guest: &Guest, arguments: &str, point: Point) {
    let (calls, path, count) = match point {
        Starts(path) => ("execve", path, 1),
        Moves(path) => ("rename", path, 1),
        Renames(count) => ("rename", "", count),
        Unlinks(count) => ("unlink", "", count),
    };
    let path = if path.is_empty() { String::new() } else { format!("--trace-path={path}") };
    guest
        .run(&format!(
            "rm -f /root/trace; systemd-run --quiet --collect --unit=at-work --property=KillSignal=SIGKILL --setenv=DEBIAN_FRONTEND=noninteractive \
             strace --follow-forks --output=/root/trace --trace={calls} {path} --inject={calls}:signal=SIGSTOP:when={count} \
             dpkg --force-unsafe-io --force-confold {arguments}"
        ))
        .expect_success("starting dpkg");
    let is_there = || guest.run("grep -q 'stopped by SIGSTOP' /root/trace").succeeded();
    let has_ended = || property(guest, "at-work.service", "ActiveState") == "inactive";
    wait_until("dpkg is there", || is_there() || has_ended());
    assert!(is_there(), "dpkg has ended without ever coming to {point:?}");
    guest.run("systemctl kill --signal=KILL at-work.service").expect_success("killing");
    wait_until("all of it is dead", || {
        !matches!(property(guest, "at-work.service", "ActiveState").as_str(), "active" | "deactivating")
    });
    guest.run("systemctl reset-failed at-work.service 2>/dev/null");
}

/// Does what an administrator does who finds the machine in this state.
#[track_caller]
fn complete_installation(guest: &Guest, point: Point) {
    let output = guest.run("dpkg --configure --pending 2>&1");
    // A package that was unpacked in part must be unpacked again, and dpkg says so.
    let wants_reinstalling = output.text().replace('\n', " ").contains("you should  reinstall it");
    assert!(output.succeeded() || wants_reinstalling, "{point:?}: {}", output.text());
    check_logins(guest, &format!("and what was begun was ended, {point:?}"));
    guest
        .run("dpkg --force-unsafe-io --force-confold --install /root/package.deb 2>&1")
        .expect_success("again");
    assert_eq!(guest.run("dpkg --audit").text(), "", "{point:?}");
    assert_eq!(package_lines(guest), 1, "{point:?}");
    assert_eq!(property(guest, TARGET, "ActiveState"), "active", "{point:?}");
    assert_eq!(failed(guest), "", "{point:?}");
}
