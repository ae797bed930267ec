//! Accounts that are renamed, removed, or share a uid: each is reported, and no credential moves to
//! another user.

use cas_tests::guest::{Guest, Suite};

use super::{snapshot, text_and_errors};

#[test]
fn deleted_or_renamed_account_is_a_finding() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.run("useradd --create-home --uid 2001 dee && cas-sync enroll dee").expect_success("a user");
    guest.run("useradd --create-home --uid 2002 eve && cas-sync enroll eve").expect_success("a user");
    guest.run("usermod -l dave dee && userdel -f -r eve").expect_success("an administrator's doing");
    // The uid and the home belong to another user now, whose state is OK.
    guest.run("useradd --create-home --uid 2002 --home-dir /home/eve mallory").expect_success("the same uid");
    let forged = "d=/home/eve/.local/state/claude-auth-sync; runuser -u mallory -- sh -c \"mkdir -p $d && printf %s '{\\\"at_ms\\\":$(date +%s)000,\\\"status\\\":\\\"OK\\\",\\\"text\\\":\\\"forged\\\"}' >$d/state.json\"";
    guest.run(forged).expect_success("a forged state");
    guest.publish("eve");

    let status = guest.run("cas-sync status --json");
    assert_ne!(status.code, Some(0), "{}", text_and_errors(&status));
    let text = status.text();
    assert!(text.contains("its uid 2001 now belongs to dave"), "{text}");
    assert!(text.contains("its uid 2002 now belongs to mallory"), "{text}");
    assert!(!text.contains("forged"), "{text}");
    let metrics = guest.run("cas-sync metrics").text();
    for user in ["dee", "eve"] {
        assert!(metrics.contains(&format!("claude_auth_status_code{{user=\"{user}\"}} 9")), "{metrics}");
    }
    let doctor = guest.run("cas-sync doctor");
    assert_ne!(doctor.code, Some(0), "{}", text_and_errors(&doctor));
    assert!(doctor.text().contains("cas-sync unenroll dee"), "{}", doctor.text());
    guest.run("cas-sync unenroll dee && cas-sync unenroll eve").expect_success("what is printed");
    assert!(!guest.run("cas-sync metrics").text().contains(" 9\n"));
}

#[test]
fn two_names_with_one_uid_do_not_share_a_credential() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", "sk-ant-oat01-of-alice");
    guest.run("useradd --create-home --non-unique --uid $(id -u alice) zoe").expect_success("a second name");
    let before = snapshot(&guest, "/var/lib/claude-auth-sync/enrolled");
    let refused = guest.run("cas-sync enroll zoe");
    assert_eq!(refused.code, Some(1), "{}", text_and_errors(&refused));
    assert!(text_and_errors(&refused).contains("also belongs to alice"), "{}", text_and_errors(&refused));
    assert_eq!(snapshot(&guest, "/var/lib/claude-auth-sync/enrolled"), before);
    let printed = |user: &str| guest.run(&format!("su - {user} -c 'cas-session environment'")).text();
    assert!(printed("alice").contains("sk-ant-oat01-of-alice"), "{}", printed("alice"));
    assert_eq!(printed("zoe"), "");
}
