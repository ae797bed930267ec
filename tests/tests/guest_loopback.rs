//! `http://` to this machine from inside the hardened unit, which sees little of /proc: a listener
//! of another user is refused.

use cas_tests::claude_login::new_login;
use cas_tests::guest::{Guest, Suite};

/// Answers one connection, and records what it received.
const LISTENER: &str = "perl -MIO::Socket::INET -e \"my \\$s = IO::Socket::INET->new(LocalAddr => q(127.0.0.1), LocalPort => 8200, \
    Listen => 5, ReuseAddr => 1) or die; open my \\$f, q(>), q(/tmp/listens); my \\$c = \\$s->accept; sysread \\$c, my \\$t, 4096; \
    open my \\$h, q(>), q(/tmp/heard); print \\$h \\$t\"";

#[test]
fn token_is_kept_from_another_user_by_the_unit_on_bookworm() {
    check_token_not_sent_to_another_user(Suite::Bookworm);
}

#[test]
fn token_is_kept_from_another_user_by_the_unit_on_trixie() {
    check_token_not_sent_to_another_user(Suite::Trixie);
}

fn check_token_not_sent_to_another_user(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice"]);
    guest.stop_watch("alice");
    guest.configure("verify = false\nstore = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:8200\"\n");
    guest.put_login("alice", &new_login("alice"));
    guest
        .run("install -d -m 700 -o alice -g alice ~alice/.config/claude-auth-sync")
        .expect_success("a folder");
    guest.write("/home/alice/.config/claude-auth-sync/vault-token", "alice", "600", b"hvs.canary\n");
    for (user, is_sent) in [("bob", false), ("root", true)] {
        guest.run("rm -f /tmp/listens /tmp/heard").expect_success("nothing heard yet");
        guest
            .run(&format!("runuser -u {user} -- {LISTENER} >/dev/null 2>&1 </dev/null & until [ -e /tmp/listens ]; do sleep 0.1; done"))
            .expect_success("listening");
        guest.run("systemctl start claude-auth-sync@alice.service || :").expect_success("the sync");
        guest
            .run("for i in $(seq 100); do [ -e /tmp/heard ] && exit; sleep 0.1; done; exit 1")
            .expect_success("heard");
        let output = guest.run("cat /tmp/heard").text();
        assert_eq!(output.contains("hvs.canary"), is_sent, "{user}: {output}");
        let journal = guest.product_journal();
        let refusals = journal.matches("listens there, not root or vault.agent_user").count();
        assert!(refusals > 0, "{journal}");
        assert!(is_sent || output.is_empty(), "{output}");
    }
}
