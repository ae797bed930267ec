//! From an empty server and a roster with three lines to three working users.

use cas_tests::guest::{ClaudeGuest, Suite, VARIABLE};
use serde_json::json;

use super::{delete_role, enrolled, provision_with, roster, snapshot, text_and_errors, token_file};

#[test]
fn roster_with_three_users_provisions_them_on_bookworm() {
    check_three_new_users(Suite::Bookworm);
}

#[test]
fn roster_with_three_users_provisions_them_on_trixie() {
    check_three_new_users(Suite::Trixie);
}

fn check_three_new_users(suite: Suite) {
    let host = ClaudeGuest::with_product(suite, &[]);
    let bao = host.start_store();
    delete_role(&bao);
    let guest = &host.guest;
    guest.resume();
    guest.run("useradd --create-home dave").expect_success("a fourth user");
    let before = snapshot(guest, "/home/dave");
    host.sign_in("alice");
    host.sign_in("bob");

    roster(guest, "users:\n  alice:\n    tier: 2\n  bob:\n  carol:\n");
    let done = provision_with(guest, bao.root_token(), "").expect_success("provisioning");
    assert!(
        text_and_errors(&done).contains("alice: minted a token (there is no token); enrolled"),
        "{}",
        text_and_errors(&done)
    );
    assert_eq!(enrolled(guest), "alice\nbob\ncarol\n");
    for user in ["alice", "bob", "carol"] {
        assert_eq!(guest.file_status(&token_file(user)), format!("600 {user}:{user} regular file"));
        let timer = guest.run(&format!("systemctl is-active claude-auth-sync@{user}.timer")).text();
        assert_eq!(timer, "active\n");
    }

    // Two users work by their logins, and a cleared one is restored from the user's own document.
    for user in ["alice", "bob"] {
        assert!(host.claude(user).answered());
        // The first sync began when the user was enrolled; another one would be skipped.
        let first = format!(
            "while [ $(systemctl is-active claude-auth-sync@{user}.service) = activating ]; do sleep 0.1; done"
        );
        guest.run(&first).expect_success("the end of the first sync");
        guest.sync(user).expect_success("backing up");
        guest.forget_state(user);
        guest.put_login(
            user,
            "{\"claudeAiOauth\":{\"accessToken\":\"\",\"refreshToken\":\"\",\"expiresAt\":0}}",
        );
        let output = host.claude(user);
        assert!(output.answered(), "{output:?}\n{}", guest.product_journal());
    }
    // One user works by a setup token that an administrator stored.
    let path = "secret/data/workstation/claude-users/carol";
    bao.admin().send_ok("POST", path, &json!({ "data": { "setup_token": "sk-ant-oat01-for_carol" } }));
    guest.forget_state("carol");
    assert_eq!(guest.variable_over_ssh("carol").as_deref(), Some("sk-ant-oat01-for_carol"));

    // The fourth user is not affected.
    let environment = guest.ssh("dave", "env").expect_success("a login").text();
    assert!(!environment.contains(VARIABLE), "{environment}");
    let after = snapshot(guest, "/home/dave");
    let ours = |text: &str| text.contains("claude-auth-sync");
    assert!(!ours(&after) && before.lines().count() == after.lines().count(), "{before}{after}");
    assert!(!guest.product_journal().contains("user=dave"), "{}", guest.product_journal());

    // Again without an administrator's token: there is nothing to do, and nothing is done.
    let before =
        snapshot(guest, "/home/*/.config /var/lib/claude-auth-sync /etc/systemd/system /etc/tmpfiles.d");
    let again = guest.run("cas-sync provision").expect_success("the hourly run");
    assert!(
        again.text().contains("3 users: nothing was changed (3 requests to the store"),
        "{}",
        again.text()
    );
    let after =
        snapshot(guest, "/home/*/.config /var/lib/claude-auth-sync /etc/systemd/system /etc/tmpfiles.d");
    assert_eq!(before, after);
}
