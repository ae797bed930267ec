//! Problems that root fixes: the session stack, units, the roster, requests, the configuration.

use cas_tests::{
    claude_login,
    guest::{Guest, Suite},
};

use super::row::{self, Row, Who, diagnosis, finding, row, run_as};

/// Restores the PAM stack. No command of doctor overwrites edits in it.
const RESTORE_STATE: &str = "cp /root/stack /etc/pam.d/common-session";

pub(crate) const ROWS: [Row; 22] = [
    row("configuration-unknown-key", "echo 'stroe = \"local\"' >/etc/claude-auth-sync/conf.d/10-slip.toml"),
    row("configuration-unknown-key", "printf '[vault]\\nadress = \"x\"\\n' >/etc/claude-auth-sync/conf.d/11-slip.toml").as_root(),
    // The editor of the test removes the mistake.
    row("configuration-invalid", "echo 'store = 7' >/etc/claude-auth-sync/conf.d/12-slip.toml"),
    row("not-enrolled", "rm /var/lib/claude-auth-sync/enrolled/alice"),
    row("units-disabled", "systemctl disable claude-auth-sync@alice.timer"),
    row("units-disabled", "systemctl disable claude-auth-sync@alice.timer").as_root(),
    row("units-overridden", "printf '[Timer]\\nOnBootSec=1h\\n[Install]\\nWantedBy=timers.target\\n' >/etc/systemd/system/claude-auth-sync@.timer; systemctl daemon-reload"),
    row("units-inactive", "systemctl stop claude-auth-sync@alice.timer"),
    row("units-inactive", "systemctl stop claude-auth-watch@alice.service").as_root(),
    row("sync-failed", "echo 'store = 7' >/etc/claude-auth-sync/conf.d/12-slip.toml; systemctl start claude-auth-sync@alice.service; rm /etc/claude-auth-sync/conf.d/12-slip.toml"),
    // Alice asks over the bus; root asks systemd itself.
    row("systemd-not-responding", "pkill -STOP -x dbus-daemon").otherwise("pkill -CONT -x dbus-daemon"),
    row("target-stopped", "systemctl stop claude-auth-sync.target"),
    row("target-masked", "systemctl stop claude-auth-sync.target; systemctl mask claude-auth-sync.target").as_root(),
    row("account-missing", "useradd --create-home dee && cas-sync enroll dee && userdel -f dee").as_root(),
    row("roster-unreadable", "printf 'users:\\n  alice:\\n    claude-auth: 7\\n' >/etc/claude-auth-sync/roster.yaml").as_root(),
    row("request-service-inactive", "systemctl stop claude-auth-request.service").as_root(),
    row("pam-line-missing", "pam-auth-update --package --remove claude-auth-sync"),
    row("pam-line-missing", "cp /etc/pam.d/common-session /root/stack; sed -i 's/^.*pam_cas_session.so/# &/' /etc/pam.d/common-session").as_root().otherwise(RESTORE_STATE),
    row("pam-line-edited", "sed -i 's/^session.*pam_cas_session.so/session required pam_cas_session.so/' /etc/pam.d/common-session").otherwise(RESTORE_STATE),
    row("pam-line-edited", "sed -i '/pam_cas_session.so/d; s/^.*pam_systemd.so/session optional pam_cas_session.so\\n&/' /etc/pam.d/common-session").as_root().otherwise(RESTORE_STATE),
    row("pam-line-edited", "sed -i 's/^session.*pam_cas_session.so/&\\n&/' /etc/pam.d/common-session").as_root().otherwise(RESTORE_STATE),
    // The guest has no package server, so the file is restored from a copy.
    row("pam-module-missing", "module=$(ls /usr/lib/*/security/pam_cas_session.so); echo $module >/root/where; mv $module /root/module")
        .otherwise("mv /root/module $(cat /root/where)"),
];

/// Returns a guest in which all units run for alice.
fn fixture() -> Guest {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &claude_login::new_login("one"));
    guest.resume();
    guest.enroll("alice");
    // A pause of the machine has ended, and the units that it held start.
    let editor = "#!/bin/sh\nsed -i -e '/store = 7/d' -e 's/claude-auth: 7/claude_auth: true/' \"$1\"\n";
    guest.write("/usr/local/bin/editor", "root", "755", editor.as_bytes());
    guest
}

#[test]
fn machine_problem_is_fixed_by_the_printed_remedy() {
    row::check_rows(&fixture(), &ROWS, "");
}

#[test]
fn fix_as_root_repairs_units_and_enrollments() {
    let guest = fixture();
    let broken =
        "systemctl stop claude-auth-sync@alice.timer; systemctl disable claude-auth-watch@alice.service";
    guest.run(broken).expect_success("breaking it");
    let dry = run_as(&guest, Who::Root, "cas-sync doctor --fix --dry-run").text();
    assert!(dry.contains("Would start claude-auth-sync@alice.timer.\n"), "{dry}");
    assert!(finding(&diagnosis(&guest, Who::Root), "units-inactive").is_some());

    let output = run_as(&guest, Who::Root, "cas-sync doctor --fix");

    assert_eq!(output.code, Some(0), "{output:?}");
    let after = diagnosis(&guest, Who::Root);
    assert!(
        finding(&after, "units-inactive").is_none() && finding(&after, "units-disabled").is_none(),
        "{after}"
    );
    // Alice may not, and the output is only the remedy.
    guest.run("systemctl stop claude-auth-sync@alice.timer").expect_success("stopping it");
    let output = run_as(&guest, Who::Alice, "cas-sync doctor --fix");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.text().contains("      sudo systemctl start claude-auth-sync@alice.timer\n"),
        "{output:?}"
    );
}

/// The syncs wait for each other, so starting them one after the other never ends.
#[test]
fn fix_as_root_runs_the_syncs_of_all_users() {
    let guest = fixture();
    guest.enroll("bob");
    let meet = "#!/bin/sh\ntouch /run/meet-$1\nuntil [ -e /run/meet-alice ] && [ -e /run/meet-bob ]; do sleep 0.05; done\n";
    guest.write("/usr/local/bin/meet", "root", "755", meet.as_bytes());
    for user in ["alice", "bob"] {
        let good = claude_login::new_login(user);
        guest.stop_watch(user);
        guest.back_up_and_clear(user, &good);
    }
    guest
        .run("mkdir -p /etc/systemd/system/claude-auth-sync@.service.d && printf '[Service]\\nExecStartPre=+/usr/local/bin/meet %%i\\n' >/etc/systemd/system/claude-auth-sync@.service.d/meet.conf && systemctl daemon-reload")
        .expect_success("syncs that meet");
    let output = run_as(&guest, Who::Root, "timeout 60 cas-sync doctor --fix");
    let after = diagnosis(&guest, Who::Root);
    assert!(finding(&after, "login-cleared").is_none(), "{output:?} {after}");
}
