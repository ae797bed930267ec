//! Removing everything: nobody on the machine keeps it from finishing, and it says what it waits for and what it left.

use cas_tests::guest::{Finished, Guest, Suite};

use super::{failed, host};

/// Runs `packaging/uninstall.sh` as it is.
pub(super) fn uninstall(guest: &Guest) -> Finished {
    let script = include_str!("../../../packaging/uninstall.sh");
    guest.write("/root/uninstall.sh", "root", "700", script.as_bytes());
    guest.run("/root/uninstall.sh")
}

/// What is left of the product, the admin's own configuration apart.
fn left(guest: &Guest) -> String {
    guest
        .run("find / /run -xdev -path /proc -prune -o '(' -iname '*claude?auth*' -o -name 'pam_cas*' -o -name 'cas-s*' ')' -print | grep -v -e ^/home/ -e ^/etc/claude-auth-sync$ -e ^/run/systemd/; systemctl list-units --all --no-legend --plain 'claude-auth-*' 'run-claude*'")
        .text()
}

/// One stands in the folder of all requests, and one never stops filling her own.
#[test]
fn nobody_keeps_everything_from_being_removed() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest
        .run("systemd-run --quiet --collect --unit=stands-there --uid=bob sh -c 'cd /run/claude-auth-sync && exec sleep 600'")
        .expect_success("a shell of somebody who is not even enrolled");
    guest
        .run("for i in 1 2 3 4; do systemd-run --quiet --collect --unit=fills-$i --uid=alice sh -c \"cd /run/claude-auth-sync/alice; mkdir -p d$i; cd d$i; while :; do mkdir -p a b c; touch a/x b/x c/x; done\"; done")
        .expect_success("and of somebody who is");

    uninstall(&guest).expect_success("removing everything");

    assert_eq!(left(&guest), "");
    assert_eq!(failed(&guest), "");
    guest.unit("su - alice -c true").expect_success("su");
}

#[test]
fn what_cannot_be_removed_is_named_at_the_end_with_the_reason() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest.run("mount --bind /etc/hostname /usr/bin/cas-session").expect_success("what rm cannot remove");
    guest
        .run("d=/run/systemd/system/claude-auth-sync@alice.timer.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf && systemctl daemon-reload")
        .expect_success("a timer that disenrolling cannot stop");

    let ended = uninstall(&guest);

    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.code, Some(1), "{said}");
    assert!(said.contains("alice is disenrolled, but not without a trace: "), "{said}");
    assert!(said.contains("'/usr/bin/cas-session': Device or resource busy"), "{said}");
    assert!(said.trim_end().ends_with("run this again"), "{said}");
    assert_eq!(left(&guest), "/usr/bin/cas-session\n", "everything else is gone");

    guest
        .run("umount /usr/bin/cas-session && rm -r /run/systemd/system/claude-auth-*")
        .expect_success("the remedy");
    uninstall(&guest).expect_success("again");
    assert_eq!(left(&guest), "");
    assert_eq!(failed(&guest), "");
}
