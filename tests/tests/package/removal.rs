//! Removal during sessions: no file of the package stays, and no file of the users is changed.

use cas_tests::claude_login::{cleared_login, new_login, parsed, valid_login};
use cas_tests::guest::{Guest, Suite, login_path};
use cas_tests::programs::package;

use super::{TARGET, UNITS, check_logins, failed, package_lines, property, wait_until};

/// Returns every byte below /home, with times and owners.
fn homes(guest: &Guest) -> String {
    guest
        .run("cd /home && find . -printf '%p %M %u:%g %T@\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum")
        .expect_success("looking at the homes")
        .text()
}

/// Creates an enrolled user whose sync is idle.
#[track_caller]
fn managed_users(suite: Suite) -> Guest {
    let guest = Guest::boot_with_product(suite);
    guest.resume();
    guest.put_login("alice", &new_login("first"));
    for user in ["alice", "bob"] {
        guest.enroll(user);
        let log = format!("/home/{user}/.local/state/claude-auth-sync/sync.log");
        let service = format!("claude-auth-sync@{user}.service");
        wait_until("the first sync", || {
            guest.run(&format!("test -s {log}")).succeeded()
                && property(&guest, &service, "ActiveState") == "inactive"
        });
    }
    guest
}

#[test]
fn remove_and_purge_leave_only_documented_files_on_bookworm() {
    check_remove_and_purge(Suite::Bookworm);
}

#[test]
fn remove_and_purge_leave_only_documented_files_on_trixie() {
    check_remove_and_purge(Suite::Trixie);
}

fn check_remove_and_purge(suite: Suite) {
    let guest = managed_users(suite);
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    terminal.at_prompt("cd /run/claude-auth-requests");
    wait_until("the requested sync", || property(&guest, UNITS[1], "ActiveState") == "inactive");
    let before = homes(&guest);

    let output = guest.remove_package().expect_success("removing").text();

    assert!(
        output.contains("alice is no longer enrolled") && output.contains("bob is no longer enrolled"),
        "{output}"
    );
    assert!(
        output.contains("Homes, the store and the configuration in /etc/claude-auth-sync were not changed."),
        "{output}"
    );
    assert_eq!(homes(&guest), before);
    assert_eq!(guest.remaining_product_files(), "");
    assert!(guest.read("/etc/claude-auth-sync/config.toml").is_some(), "the admin's");
    assert_eq!(failed(&guest), "");
    assert!(terminal.at_prompt("echo still $((40 + 2))").contains("still 42"), "in a folder that is no more");
    terminal.leave();
    check_logins(&guest, "without it");

    // A name may be given to another account before a later installation, which has no enrolled
    // users.
    assert_eq!(
        guest.run("cd /var/lib/claude-auth-sync && grep . */*").text().lines().next(),
        Some("identities/alice:1000")
    );
    guest.install_package(&package());
    assert_eq!(property(&guest, TARGET, "ActiveState"), "active");
    assert_eq!(package_lines(&guest), 1);
    assert_eq!(guest.run("systemctl list-units --all --no-legend 'claude-auth-*@*'").text(), "");
    guest.enroll("alice");
    assert_eq!(property(&guest, UNITS[0], "ActiveState"), "active");

    guest.purge_package().expect_success("purging");
    assert_eq!(guest.remaining_product_files(), "");
    assert_eq!(
        guest.run("ls -d /etc/claude-auth-sync /var/lib/dpkg/info/claude-auth-sync* 2>/dev/null").text(),
        ""
    );
    assert_eq!(
        guest.run("find /etc /var/lib -xdev -iname '*claude*' -not -path '/var/lib/dpkg/*'").text(),
        ""
    );
    assert_eq!(
        guest.run("dpkg-query -W -f '${Status}' claude-auth-sync 2>&1").code,
        Some(1),
        "dpkg knows it no more"
    );
    assert_eq!(failed(&guest), "");
    check_logins(&guest, "without a trace of it");
}

/// A purge must also work after a removal, during a pause, and for deleted users.
#[test]
fn purge_removes_a_pause_and_files_of_deleted_users() {
    let guest = managed_users(Suite::Bookworm);
    guest.run("userdel --force bob 2>/dev/null").expect_success("without unenrolling him");
    guest.run(&format!("systemctl mask --now --quiet {TARGET}")).expect_success("a pause for good");
    guest.remove_package().expect_success("removing");
    assert_eq!(guest.remaining_product_files(), "");
    guest.purge_package().expect_success("purging");
    assert_eq!(guest.remaining_product_files(), "");
    assert_eq!(failed(&guest), "");
    guest.install_package(&package());
    assert_eq!(property(&guest, TARGET, "ActiveState"), "active");
}

/// Other tools may also use a roster, so it is kept and named.
#[test]
fn roster_is_kept_by_a_purge_and_named() {
    let guest = Guest::boot_with_product(Suite::Trixie);
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", b"users:\n  alice:\n");
    let output = guest.purge_package().expect_success("purging").text();
    let named = "except for the following; remove it by hand:\n  /etc/claude-auth-sync/roster.yaml, which does not belong to the package";
    assert!(output.contains(named) && !output.contains("rmdir"), "{output}");
    assert_eq!(guest.read("/etc/claude-auth-sync/roster.yaml").as_deref(), Some(&b"users:\n  alice:\n"[..]));
    assert_eq!(guest.remaining_product_files(), "");
}

/// The local history survives the package: a user who is enrolled again has the backups.
#[test]
fn user_enrolled_again_finds_the_backups() {
    let guest = Guest::with_product(Suite::Trixie, &["alice"]);
    let login = valid_login("first", cas_tests::now_ms() + 4 * 3600 * 1000);
    guest.back_up_and_clear("alice", &login);
    guest.purge_package().expect_success("purging");
    let broken = guest.file_identity(&login_path("alice"));
    check_logins(&guest, "without it");
    assert_eq!(guest.file_identity(&login_path("alice")), broken, "no program restores it now");

    guest.install_product();
    guest.enroll("alice");
    guest.put_login("alice", &cleared_login(&login));
    check_logins(&guest, "with it again");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
}
