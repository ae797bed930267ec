//! Installation by apt, on a machine without a network; and with PAM configuration that an
//! administrator has changed.

use cas_tests::claude_login::{new_login, parsed};
use cas_tests::guest::{Guest, Suite, login_path};
use cas_tests::programs::package;

use super::{TARGET, check_logins, failed, package_lines, property, wait_until};

/// As an administrator who was given the file.
const APT: &str = "cp /root/package.deb /tmp && apt-get install --quiet --yes /tmp/package.deb 2>&1";

#[test]
fn package_installs_and_enrolls_a_user_on_bookworm() {
    check_installation(Suite::Bookworm);
}

#[test]
fn package_installs_and_enrolls_a_user_on_trixie() {
    check_installation(Suite::Trixie);
}

fn check_installation(suite: Suite) {
    let guest = Guest::boot(suite);
    guest.put_package(&package());
    // The guest has neither a network nor package lists: whatever it depended on would be missing.
    let output = guest.run(APT).expect_success("apt install").text();
    assert!(!output.contains("***"), "{output}");
    guest.run("apt-get check").expect_success("nothing is missing");
    assert_eq!(guest.run("dpkg --audit").text(), "");

    assert_eq!(package_lines(&guest), 1);
    let stack = guest.run("grep -v '^#' /etc/pam.d/common-session").text();
    let place = |module: &str| stack.find(module).unwrap_or_else(|| panic!("{module} is not in {stack}"));
    assert!(place("pam_systemd.so") < place("pam_cas_session.so"), "{stack}");
    let noninteractive = guest.run("cat /etc/pam.d/common-session-noninteractive").text();
    assert!(!noninteractive.contains("pam_cas_session"), "cron and sudo open sessions too: {noninteractive}");
    assert_eq!(property(&guest, TARGET, "ActiveState"), "active");
    assert_eq!(property(&guest, TARGET, "UnitFileState"), "enabled");
    assert_eq!(
        property(&guest, "claude-auth-provision.timer", "ActiveState"),
        "active",
        "for a later roster"
    );
    assert_eq!(property(&guest, "claude-auth-request.service", "ActiveState"), "active");
    for program in ["cas-sync", "cas-session"] {
        let status = guest.file_status(&format!("/usr/bin/{program}"));
        assert_eq!(status, "711 root:root regular file");
    }
    assert_eq!(guest.file_status("/var/lib/claude-auth-sync/enrolled"), "755 root:root directory");
    assert_eq!(failed(&guest), "");

    // No login is changed yet.
    guest.disable_verification();
    guest.put_login("alice", &new_login("first"));
    let untouched = guest.file_identity(&login_path("alice"));
    check_logins(&guest, "without enrolled users");
    assert_eq!(guest.file_identity(&login_path("alice")), untouched);
    assert_eq!(guest.product_journal(), "");

    guest.enroll("alice");
    let log = "/home/alice/.local/state/claude-auth-sync/sync.log";
    wait_until("the first sync", || guest.run(&format!("grep OK {log}")).succeeded());
    let again = guest.run(APT).expect_success("apt install, once more").text();
    assert!(!again.contains("***"), "{again}");
    assert_eq!(package_lines(&guest), 1);
    assert_eq!(
        property(&guest, "claude-auth-sync@alice.timer", "ActiveState"),
        "active",
        "the user stays enrolled"
    );
    check_logins(&guest, "afterwards");
}

/// Its name before the product.
#[test]
fn legacy_script_name_runs_a_sync() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    let output = guest.ssh("alice", "claude-auth-sync").expect_success("as in an old crontab").text();
    assert!(output.starts_with("OK login complete"), "{output}");
    let output =
        guest.ssh("alice", "claude-auth-sync run --no-verify").expect_success("with arguments").text();
    assert!(output.starts_with("OK "), "{output}");
    assert_eq!(guest.ssh("alice", "cas-sync").code, Some(2), "under its own name it requires a command");
}

/// pam-auth-update does not change such files, and exits with 0.
#[test]
fn edited_pam_stack_is_reported_with_remedies() {
    let guest = Guest::boot(Suite::Bookworm);
    guest
        .run("pam-auth-update --package && sed -i '/^session.*pam_systemd.so/a session optional pam_echo.so file=/etc/greeting' /etc/pam.d/common-session")
        .expect_success("an admin's line within the marks");
    let edited = guest.read("/etc/pam.d/common-session").expect("it is there");

    let output = guest.install_package(&package());

    assert!(output.contains("*** claude-auth-sync: INSTALLED, BUT NOT ENABLED FOR LOGINS."), "{output}");
    assert!(output.contains("***         session optional pam_cas_session.so"), "{output}");
    assert!(output.contains("pam-auth-update --force"), "{output}");
    assert_eq!(
        guest.read("/etc/pam.d/common-session").expect("it is there"),
        edited,
        "the file is the admin's"
    );
    assert_eq!(guest.run("dpkg --audit").text(), "", "it is installed all the same");
    guest.disable_verification();
    guest.enroll("alice");
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    check_logins(&guest, "meanwhile");

    // Its first remedy.
    guest
        .run("systemctl stop claude-auth-sync.target && sed -i '/^session.*pam_systemd.so/a session optional pam_cas_session.so' /etc/pam.d/common-session")
        .expect_success("the line by hand");
    guest.put_login("alice", &cas_tests::claude_login::cleared_login(&login));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "a login restores it");
    let again = guest.install_package(&package());
    assert!(!again.contains("***"), "with the line there is no message: {again}");

    // Removing it cannot take that line away.
    let output = guest.remove_package().expect_success("removing").text();
    assert!(output.contains("pam_cas_session.so remains. It is harmless"), "{output}");
    assert_eq!(package_lines(&guest), 1);
    check_logins(&guest, "with the line and no module");

    // Its second remedy: the edits are discarded.
    guest
        .run("sed -i '/pam_echo.so/d; /pam_cas_session.so/d' /etc/pam.d/common-session")
        .expect_success("taking the edits back");
    let output = guest.install_package(&package());
    assert!(!output.contains("***"), "{output}");
    assert_eq!(package_lines(&guest), 1);
}

/// Its third remedy.
#[test]
fn discarded_pam_edits_let_pam_auth_update_add_the_line() {
    let guest = Guest::boot(Suite::Trixie);
    guest
        .run("pam-auth-update --package && sed -i '/^session.*pam_systemd.so/a session optional pam_echo.so file=/etc/greeting' /etc/pam.d/common-session")
        .expect_success("an admin's line within the marks");
    let output = guest.install_package(&package());
    assert!(output.contains("pam-auth-update --force"), "{output}");
    guest.run("pam-auth-update --force").expect_success("the printed remedy");
    assert_eq!(package_lines(&guest), 1);
    guest.remove_package().expect_success("removing");
    assert_eq!(package_lines(&guest), 0);
}

/// `pam-auth-update --disable`, or its dialog.
#[test]
fn disabled_module_stays_disabled_with_a_short_note() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_package(&package());
    guest.run("pam-auth-update --disable claude-auth-sync").expect_success("switching it off");
    assert_eq!(package_lines(&guest), 0);

    let output = guest.install_package(&package());

    assert!(
        output.contains("the module is not enabled, so logins are not restored") && !output.contains("***"),
        "{output}"
    );
    assert_eq!(package_lines(&guest), 0);
    guest.run("pam-auth-update --enable claude-auth-sync").expect_success("the printed remedy");
    assert_eq!(package_lines(&guest), 1);
}
