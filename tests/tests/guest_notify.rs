//! The administrator's notify command, started by the sync's service.

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};

const PROGRAM: &[u8] = b"#!/bin/sh
{ cat; echo \"$CLAUDE_AUTH_STATE to $(id -un)\"; grep NoNewPrivs /proc/self/status; } >>\"$HOME/told\"
";

#[test]
fn notify_command_runs_once_per_change_as_the_user() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.write("/usr/local/bin/tell", "root", "755", PROGRAM);
    guest.configure("verify = false\n[notify]\ncommand = [\"/usr/local/bin/tell\"]\n");
    let told = || String::from_utf8(guest.read("/home/alice/told").unwrap_or_default()).expect("text");
    let sync = |login: &str| {
        guest.put_login("alice", login);
        // An exit with 79 means that the sync has completed.
        guest.run("systemctl start claude-auth-sync@alice.service").expect_success("the service");
    };
    let login = new_login("first");
    guest.stop_watch("alice");
    guest
        .run("rm -f /home/alice/.local/state/claude-auth-sync/*.json")
        .expect_success("removing the backups");
    sync(&cleared_login(&login));
    sync(&cleared_login(&login));
    let first = told();
    let lines: Vec<_> = first.lines().collect();
    assert!(lines.first().is_some_and(|line| line.starts_with("Claude Code: your login is lost")), "{first}");
    assert_eq!(lines.get(1..), Some(&["action-required to alice", "NoNewPrivs:\t1"][..]), "{first}");
    sync(&login);
    let second = told().replacen(&first, "", 1);
    assert!(
        second.starts_with("Claude Code: there is nothing left for you to do\nnone to alice\n"),
        "{second}"
    );
    assert!(guest.read("/home/bob/told").is_none(), "no other user is notified");
    let status = guest.file_status("/home/alice/told");
    assert!(status.ends_with("alice:alice regular file"), "{status}");
}

/// Returns the lines of the manual's example that define how mail is sent.
fn example() -> &'static str {
    let page = include_str!("../../docs/user/shells.md");
    let example = page.split("[notify]\n").nth(1).expect("an example");
    let manual = include_str!("../../docs/man/claude-auth-sync.toml.5.scd");
    let line = example.lines().next().expect("a line");
    assert!(line.contains("msmtp") && manual.contains(line), "the manual page has the same: {line}");
    line
}

/// Returns a user's mails by their subjects, after waiting for this many.
#[track_caller]
fn mails(guest: &Guest, user: &str, wanted: usize) -> Vec<String> {
    let delivered = || guest.run(&format!("grep '^Subject: ' /var/mail/{user}")).text();
    // The mailer delivers a mail a moment after it was sent.
    for _ in 0..200 {
        if delivered().lines().count() >= wanted {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let queue = guest.run("exim4 -bpc").text();
    assert_eq!(queue.trim(), "0", "the queue is empty");
    delivered().lines().map(str::to_owned).collect()
}

/// Sent from the hardened service, to the mailer of the machine, by a program that uses SMTP. A
/// program that must gain rights to queue a mail cannot.
#[test]
fn documented_notify_example_mails_once_per_change() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("cd /etc && rm systemd/system/exim4.service systemd/system-generators/systemd-sysv-generator && systemctl daemon-reload && systemctl start exim4")
        .expect_success("a mailer");
    guest.configure(&format!("verify = false\n[notify]\n{}\n", example()));
    guest.stop_watch("alice");
    let log = || {
        guest.run("cat /home/alice/.local/state/claude-auth-sync/sync.log; cat /var/log/exim4/mainlog").text()
    };
    let sync = |login: &str| {
        guest.put_login("alice", login);
        guest.run("systemctl start claude-auth-sync@alice.service").expect_success("the service");
    };
    let login = new_login("first");
    let (lost, good) = ("Subject: Claude Code: action-required", "Subject: Claude Code: none");
    sync(&cleared_login(&login));
    sync(&cleared_login(&login));
    assert_eq!(mails(&guest, "alice", 1), [lost], "{}", log());
    sync(&login);
    sync(&login);
    assert_eq!(mails(&guest, "alice", 2), [lost, good], "{}", log());
    let box_of_alice = guest.run("cat /var/mail/alice").text();
    assert!(box_of_alice.contains("Claude Code: your login is lost"), "{box_of_alice}");
    assert!(box_of_alice.contains("run `cas-sync login`"), "{box_of_alice}");
    assert!(guest.read("/var/mail/bob").is_none(), "no other user is notified");

    // The usual `mail` runs sendmail, which is setuid root and fails in the unit. The log reports
    // it.
    let by_mail = "[\"/bin/sh\", \"-c\", \"mail -s Lost $CLAUDE_AUTH_USER\"]";
    guest.configure(&format!("verify = false\n[notify]\ncommand = {by_mail}\n"));
    guest
        .run("rm -f /home/alice/.local/state/claude-auth-sync/*.json")
        .expect_success("removing the backups");
    sync(&cleared_login(&login));
    assert!(log().contains("WARN notify.command: /bin/sh ended with"), "{}", log());
    assert_eq!(mails(&guest, "alice", 2), [lost, good], "{}", log());
}
