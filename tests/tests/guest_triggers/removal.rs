//! Removing the package: nobody on the machine keeps it from finishing, and it says what it waits for and what it left.

use cas_tests::guest::Suite;

use super::{failed, host};

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

    guest.remove_package().expect_success("removing everything");

    assert_eq!(guest.left_of_product(), "");
    assert_eq!(failed(&guest), "");
    guest.unit("su - alice -c true").expect_success("su");
}

#[test]
fn what_cannot_be_removed_is_named_with_the_reason_and_keeps_dpkg_from_nothing() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest
        .run("mount --bind /etc/hostname /etc/tmpfiles.d/claude-auth-sync@alice.conf")
        .expect_success("what rm cannot remove");
    guest
        .run("d=/run/systemd/system/claude-auth-sync@alice.timer.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf && systemctl daemon-reload")
        .expect_success("a timer that unenrolling cannot stop");

    let said = guest.remove_package().expect_success("it does not fail for that").text();

    assert!(said.contains("alice is unenrolled, but not without a trace: "), "{said}");
    assert!(said.contains("claude-auth-sync@alice.conf': Device or resource busy"), "{said}");
    assert_eq!(
        guest.left_of_product(),
        "/etc/tmpfiles.d/claude-auth-sync@alice.conf\n",
        "everything else is gone"
    );
    assert_eq!(guest.run("dpkg --audit").text(), "");

    guest
        .run("umount /etc/tmpfiles.d/claude-auth-sync@alice.conf && rm -r /run/systemd/system/claude-auth-*")
        .expect_success("the remedy");
    guest.purge_package().expect_success("again");
    assert_eq!(guest.left_of_product(), "");
    assert_eq!(failed(&guest), "");
}
