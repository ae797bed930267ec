//! Removing the package: no user can block it, and it names what it waits for and what it leaves.

use cas_tests::guest::Suite;

use super::{failed, host, wait_until};

/// One user has a process in the directory of the socket, and one fills her state directory without
/// end.
#[test]
fn users_cannot_block_the_removal() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest
        .run("systemd-run --quiet --collect --unit=stands-there --uid=bob sh -c 'cd /run/claude-auth-requests && exec sleep 600'")
        .expect_success("a shell of a user who is not enrolled");
    guest
        .run("for i in 1 2 3 4; do systemd-run --quiet --collect --unit=fills-$i --uid=alice sh -c \"cd /home/alice/.local/state/claude-auth-sync; mkdir -p d$i; cd d$i; while :; do mkdir -p a b c; touch a/x b/x c/x; done\"; done")
        .expect_success("and of an enrolled user");

    guest.remove_package().expect_success("removing everything");

    wait_until("nothing is left", || guest.remaining_product_files().is_empty());
    assert_eq!(failed(&guest), "");
    guest.unit("su - alice -c true").expect_success("su");
}

#[test]
fn file_that_cannot_be_removed_is_named_and_dpkg_completes() {
    let guest = host(Suite::Bookworm, &["alice"]);
    guest
        .run("mount --bind /etc/hostname /var/lib/claude-auth-sync/enrolled/alice")
        .expect_success("what rm cannot remove");
    guest
        .run("d=/run/systemd/system/claude-auth-sync@alice.timer.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf && systemctl daemon-reload")
        .expect_success("a timer that unenrolling cannot stop");

    let output = guest.remove_package().expect_success("it does not fail for that").text();

    assert!(output.contains("alice is unenrolled, but not completely: "), "{output}");
    assert!(
        output.contains("cannot remove /var/lib/claude-auth-sync/enrolled/alice: Device or resource busy"),
        "{output}"
    );
    wait_until("everything else is removed", || {
        guest.remaining_product_files() == "/var/lib/claude-auth-sync/enrolled\n"
    });
    assert_eq!(
        guest.run("find /var/lib/claude-auth-sync/enrolled -type f").text(),
        "/var/lib/claude-auth-sync/enrolled/alice\n"
    );
    assert_eq!(guest.run("dpkg --audit").text(), "");

    guest
        .run("umount /var/lib/claude-auth-sync/enrolled/alice && rm -r /run/systemd/system/claude-auth-*")
        .expect_success("the remedy");
    guest.purge_package().expect_success("again");
    wait_until("nothing is left", || guest.remaining_product_files().is_empty());
    assert_eq!(failed(&guest), "");
}
