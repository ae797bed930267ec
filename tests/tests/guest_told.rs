//! The admin's program that is told of changes, started by the sync's own service.

use cas_tests::claude_login::{fresh, tombstone};
use cas_tests::guest::{Guest, Suite};

const PROGRAM: &[u8] = b"#!/bin/sh
{ cat; echo \"$CLAUDE_AUTH_STATE to $(id -un)\"; grep NoNewPrivs /proc/self/status; } >>\"$HOME/told\"
";

#[test]
fn the_service_tells_it_as_the_person_once_for_each_change() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.write("/usr/local/bin/tell", "root", "755", PROGRAM);
    guest.configure("verify = false\n[notify]\ncommand = [\"/usr/local/bin/tell\"]\n");
    let told = || String::from_utf8(guest.read("/home/alice/told").unwrap_or_default()).expect("text");
    let sync = |login: &str| {
        guest.put_login("alice", login);
        // Ended with 79 it has done what it is for.
        guest.run("systemctl start claude-auth-sync@alice.service").expect_success("the service");
    };
    let login = fresh("first");
    guest.stop_watch("alice");
    guest.run("rm -f /home/alice/.local/state/claude-auth-sync/*.json").expect_success("no copy");
    sync(&tombstone(&login));
    sync(&tombstone(&login));
    let first = told();
    let lines: Vec<_> = first.lines().collect();
    assert!(lines.first().is_some_and(|line| line.starts_with("Claude Code: your login is lost")), "{first}");
    assert_eq!(lines.get(1..), Some(&["must-act to alice", "NoNewPrivs:\t1"][..]), "{first}");
    sync(&login);
    let second = told().replacen(&first, "", 1);
    assert!(
        second.starts_with("Claude Code: there is nothing left for you to do\ngood to alice\n"),
        "{second}"
    );
    assert!(guest.read("/home/bob/told").is_none(), "nobody else is told of hers");
    let status = guest.status_of("/home/alice/told");
    assert!(status.ends_with("alice:alice regular file"), "{status}");
}
