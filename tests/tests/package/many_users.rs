//! Removal with many enrolled users takes much less than a second for each of them.

use cas_tests::guest::{Guest, Suite};
use cas_tests::size::sized;

use super::{check_logins, failed};

/// For each hundred users.
const MAX_CALLS: usize = 12;

/// Returns the number of users: more than one batch of systemctl calls.
fn users() -> usize {
    sized(250, 120)
}

/// Creates many users in the state after `cas-sync enroll`, by hundreds. From then on every call of
/// systemctl is recorded.
fn many_users() -> Guest {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.resume();
    guest.enroll("alice");
    guest
        .run(&format!(
            "cd /var/lib/claude-auth-sync/enrolled
             for i in $(seq {}); do
                n=p$i; u=$((20000 + i)); echo \"$n:x:$u:$u::/home/$n:/bin/sh\" >>/etc/passwd; echo \"$n:x:$u:\" >>/etc/group
                install -m 644 /dev/null $n; echo $u >../identities/$n; install -m 600 /dev/null ../published/$n
                timers=\"$timers claude-auth-sync@$n.timer\"; others=\"$others claude-auth-watch@$n.service\"
             done
             systemctl enable --quiet $timers $others && systemctl start $timers",
            users()
        ))
        .expect_success("a crowd");
    guest
        .run(
            "mv /usr/bin/systemctl /usr/bin/systemctl.real
             printf '#!/bin/sh\\necho \"$1\" >>/run/systemctl-calls\\nexec systemctl.real \"$@\"\\n' >/usr/bin/systemctl
             chmod 755 /usr/bin/systemctl",
        )
        .expect_success("a wrapper that counts");
    guest
}

/// Returns the arguments of the systemctl calls since the last call, one word per line.
fn calls(guest: &Guest) -> String {
    guest.run("cat /run/systemctl-calls 2>/dev/null; rm -f /run/systemctl-calls").text()
}

#[test]
fn unenroll_all_needs_few_commands_per_hundred_users() {
    let guest = many_users();
    // One of them cannot be stopped: that affects no other user, and is reported.
    guest
        .run("d=/run/systemd/system/claude-auth-sync@p7.timer.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf && systemctl.real daemon-reload")
        .expect_success("a timer that unenrolling cannot stop");

    let output = guest.run("cas-sync unenroll --all 2>&1");

    assert_eq!(output.code, Some(1), "{}", output.text());
    let text = output.text();
    assert_eq!(text.matches(" is no longer enrolled.").count(), users(), "alice and all but one");
    assert_eq!(text.matches("but not completely").count(), 1, "{text}");
    assert!(
        text.contains(
            "p7 is unenrolled, but not completely: `systemctl stop claude-auth-sync@p7.timer` failed"
        ),
        "{text}"
    );
    let calls = calls(&guest);
    let alone = calls.lines().filter(|word| *word == "stop").count();
    // Where systemctl fails, it is called again for each unit of that hundred.
    assert!(alone <= 3 * 100 + 6, "{alone} times stop");
    let others = calls.lines().count() - alone;
    assert!(others <= (users() / 100 + 1) * MAX_CALLS, "{others} calls: {calls}");
    assert_eq!(
        guest
            .run("ls /var/lib/claude-auth-sync/enrolled /var/lib/claude-auth-sync/published")
            .text()
            .lines()
            .filter(|line| line.starts_with('p'))
            .count(),
        0
    );
    let running = guest.run("systemctl.real list-units --plain --no-legend 'claude-auth-*@*'").text();
    assert_eq!(running.lines().count(), 1, "but for the one: {running}");
}

#[test]
fn removal_time_grows_linearly_with_users() {
    let guest = many_users();
    let removed = guest.remove_package().expect_success("removing");
    println!("{} users: removed in {:?}", users(), removed.took);
    assert_eq!(removed.text().matches(" is no longer enrolled.").count(), users() + 1);
    let calls = calls(&guest);
    // In addition to those of unenrolling, those of the package.
    let most = (users() / 100 + 1) * MAX_CALLS + 40;
    assert!(calls.lines().count() <= most, "{} calls: {calls}", calls.lines().count());
    println!("{} calls of systemctl", calls.lines().count());
    assert_eq!(guest.remaining_product_files(), "");
    assert_eq!(failed(&guest), "");
    check_logins(&guest, "without it");
}
