//! A user whose Claude login was overwritten logs in by ssh, and it is restored before the first
//! command runs.

use cas_tests::{
    claude_login::{HOUR_MS, cleared_login, new_login, parsed, valid_login},
    guest::{Guest, Suite, login_path},
    now_ms,
};

#[test]
fn ssh_login_restores_an_overwritten_login_on_bookworm() {
    check_login_restored_at_the_prompt(Suite::Bookworm);
}

#[test]
fn ssh_login_restores_an_overwritten_login_on_trixie() {
    check_login_restored_at_the_prompt(Suite::Trixie);
}

fn check_login_restored_at_the_prompt(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);

    // The state in the first command of the session, not some time later.
    let seen = guest.ssh("alice", "cat .claude/.credentials.json").expect_success("ssh").text();

    assert_eq!(parsed(&seen), parsed(&login), "every key, including those of other tools, is unchanged");
    assert_eq!(guest.read_login("alice"), seen);
    assert_eq!(guest.file_status(&login_path("alice")), "600 alice:alice regular file");
    let litter = guest.run("ls -A ~alice/.claude ~alice | grep -E 'lock|tmp'").text();
    assert_eq!(litter, "", "no lock and no temporary file stays behind");
    let journal = guest.product_journal();
    assert_eq!(journal.matches("user=alice RECOVERED").count(), 1, "{journal}");
    assert!(
        !journal.contains("refresh-of") && !journal.contains("access-of"),
        "no secret in the journal: {journal}"
    );
}

#[test]
fn keys_of_other_tools_added_after_the_backup_are_kept() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    let mut broken = parsed(&guest.read_login("alice"));
    broken["mcpOAuth"]["wiki|1"] = "signed in a minute ago".into();
    guest.put_login("alice", &broken.to_string());

    guest.ssh("alice", "true").expect_success("ssh");

    let mut expected = parsed(&login);
    expected["mcpOAuth"]["wiki|1"] = "signed in a minute ago".into();
    assert_eq!(parsed(&guest.read_login("alice")), expected);
}

#[test]
fn missing_or_truncated_login_file_is_restored() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    for damage in ["rm $f", "rm -r ~alice/.claude", ": >$f", "printf '{\"claudeAiOauth\": {\"acc' >$f"] {
        guest.back_up_and_clear("alice", &login);
        guest.run(&format!("f={}; {damage}", login_path("alice"))).expect_success("damaging the file");

        guest.ssh("alice", "true").expect_success("ssh");

        let oauth = |text: &str| parsed(text)["claudeAiOauth"].clone();
        assert_eq!(oauth(&guest.read_login("alice")), oauth(&login), "after {damage}");
        assert_eq!(guest.file_status(&login_path("alice")), "600 alice:alice regular file", "after {damage}");
    }
}

#[test]
fn valid_login_is_not_written_by_repeated_logins() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("kept"));
    guest.sync("alice").expect_success("the first backup");
    guest.put_login("alice", &new_login("in-use"));
    let before = guest.file_identity(&login_path("alice"));
    for _ in 0..3 {
        guest.ssh("alice", "true").expect_success("ssh");
    }
    assert_eq!(guest.file_identity(&login_path("alice")), before);
}

#[test]
fn expired_login_is_left_to_claude_code() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("kept"));
    guest.sync("alice").expect_success("the first backup");
    guest.put_login("alice", &valid_login("refreshable", now_ms() - HOUR_MS));
    let before = guest.file_identity(&login_path("alice"));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
}

#[test]
fn newest_generation_is_restored_and_never_an_older_one() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let (older, newer) =
        (valid_login("older", now_ms() + 2 * HOUR_MS), valid_login("newer", now_ms() + 7 * HOUR_MS));
    guest.put_login("alice", &older);
    guest.sync("alice").expect_success("backup of the older");
    guest.back_up_and_clear("alice", &newer);

    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&newer));

    // The older login is written by hand, as a copied home would do: it is valid and not changed.
    guest.put_login("alice", &older);
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&older));
}

#[test]
fn login_without_a_backup_is_logged_and_not_changed() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let broken = cleared_login(&new_login("lost"));
    guest.put_login("alice", &broken);
    let seen = guest.ssh("alice", "echo here").expect_success("ssh");
    assert_eq!((seen.text().as_str(), seen.stderr.as_slice()), ("here\n", &b""[..]));
    assert_eq!(guest.read_login("alice"), broken);
    let journal = guest.product_journal();
    assert!(journal.contains("user=alice WARN") || journal.contains("user=alice FAIL"), "{journal}");
}

#[test]
fn login_after_a_reboot_is_repaired() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    guest.apply_tmpfiles_as_after_reboot("/run/claude-auth-requests");
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
}

#[test]
fn unenrolled_user_is_not_affected() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    let before = guest.file_identity(&login_path("alice"));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
    assert!(guest.read("/var/lib/claude-auth-sync/enrolled/alice").is_none());
}
