//! The file in which root publishes a user's state: when it exists, and when it is removed.

use cas_tests::claude_login::new_login;
use cas_tests::guest::{Guest, Suite};
use cas_tests::wait_until;

use super::{published, row, run_service, status_of_all};

#[test]
fn published_state_follows_the_enrollment_on_bookworm() {
    check_published_state_follows_enrollment(Suite::Bookworm);
}

#[test]
fn published_state_follows_the_enrollment_on_trixie() {
    check_published_state_follows_enrollment(Suite::Trixie);
}

fn check_published_state_follows_enrollment(suite: Suite) {
    let names = ["jean-luc", "a.b", "Zoe_1"];
    let guest = Guest::boot_with_product(suite);
    for name in names {
        guest.run(&format!("useradd --badname --create-home {name}")).expect_success(name);
        guest.enroll(name);
        guest.put_login(name, &new_login(name));
        assert_eq!(row(&status_of_all(&guest), name)["rank"], "unknown");
        run_service(&guest, name);
        let path = published(name);
        assert_eq!(guest.file_status(&path), "600 root:root regular file");
        assert_eq!(row(&status_of_all(&guest), name)["rank"], "ok");
        // By hand without a request file: the next service publishes, and that is not an error.
        guest.run(&format!("rm {path}")).expect_success("removed");
        let by_hand = guest.sync(name).expect_success("a sync by hand").text();
        assert!(!by_hand.contains("publish"), "{by_hand}");
        assert_eq!(row(&status_of_all(&guest), name)["rank"], "unknown");
        run_service(&guest, name);
        assert_eq!(row(&status_of_all(&guest), name)["rank"], "ok");
        // A user who has removed it has no state.
        guest.run(&format!("rm ~{name}/.local/state/claude-auth-sync/state.json")).expect_success("removed");
        guest.publish(name);
        assert_eq!(row(&status_of_all(&guest), name)["rank"], "unknown");
        run_service(&guest, name);
    }
    let parents =
        guest.run("stat -c '%U %a' /var/lib/claude-auth-sync /var/lib/claude-auth-sync/published").text();
    assert_eq!(parents, "root 755\nroot 755\n");
    guest.run("cas-sync unenroll a.b").expect_success("unenrolled");
    assert_eq!(guest.read(&published("a.b")), None);
    let left = guest.run("ls /var/lib/claude-auth-sync/published").text();
    assert_eq!(left, "Zoe_1\njean-luc\n");
    guest.publish("a.b");
    assert_eq!(guest.read(&published("a.b")), None, "nothing is published of a user who is not enrolled");
    guest.remove_package().expect_success("removed");
    assert_eq!(guest.run("ls -A /var/lib/claude-auth-sync").text(), "identities\n", "until a purge");
}

#[test]
fn reused_user_id_does_not_inherit_published_state() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.run("useradd --create-home --uid 1800 old").expect_success("an account");
    guest.enroll("old");
    guest.put_login("old", &new_login("old"));
    run_service(&guest, "old");
    guest
        .run("systemctl stop 'claude-auth-*@old.*'; pkill -u old; userdel --force --remove old && useradd --create-home --uid 1800 new")
        .expect_success("reusing the user id");
    guest.run("useradd --create-home --uid 1801 old").expect_success("creating the name again");
    // The name was enrolled for a uid that another user has now, and neither of the two accounts is
    // used.
    guest.publish("old");
    let old = |guest: &Guest| row(&status_of_all(guest), "old").clone();
    let reused = "the name was enrolled for uid 1800, and its account has uid 1801";
    assert_eq!(old(&guest)["rank"], "gone");
    assert!(old(&guest)["reason"].as_str().is_some_and(|reason| reason.contains(reused)), "{}", old(&guest));
    let refused = guest.run("cas-sync enroll old 2>&1");
    assert!(refused.code == Some(1) && refused.text().contains("--adopt old"), "{}", refused.text());
    let former = String::from_utf8(guest.read(&published("old")).expect("it is there")).expect("JSON");
    assert!(former.contains("\"uid\":1800") && former.contains("unreadable"), "{former}");
    // Adopting removes what was published for the other account.
    guest.run("cas-sync provision --adopt old").expect_success("an administrator's word");
    assert_eq!(old(&guest)["rank"], "unknown");
    // A publication there would not count.
    guest.write(&published("old"), "root", "600", former.as_bytes());
    let reason = old(&guest)["reason"].to_string();
    assert!(reason.contains("it was published for user id 1800, and old is 1801"), "{reason}");
    guest.put_login("old", &new_login("again"));
    run_service(&guest, "old");
    assert_eq!(old(&guest)["rank"], "ok");
}

#[test]
fn missing_home_is_published_with_the_known_state() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    run_service(&guest, "alice");
    guest.run("mv /home/alice /home/away").expect_success("moving the home");
    run_service(&guest, "alice");
    let seen = status_of_all(&guest);
    let row = row(&seen, "alice");
    assert_eq!((&row["rank"], &row["exit_code"]), (&"skipped".into(), &0.into()), "{row}");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("the home is missing")), "{row}");
    assert_eq!(row["last_sync"]["credential"]["kind"], "login", "{row}");
}

/// With a running dispatcher, as on every machine that is not paused.
#[test]
fn result_of_a_command_by_hand_is_published() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    run_service(&guest, "alice");
    guest.resume();
    guest
        .run("systemctl stop claude-auth-watch@alice.service claude-auth-sync@alice.timer")
        .expect_success("quiet");
    let runs = || guest.product_journal().lines().filter(|line| line.contains("user=alice ")).count();
    let before = row(&status_of_all(&guest), "alice")["last_sync"]["at_ms"].as_u64();
    let synced = runs();
    guest.sync("alice").expect_success("a sync by hand");
    let at = || row(&status_of_all(&guest), "alice")["last_sync"]["at_ms"].as_u64();
    wait_until("it is published", || at() > before);
    let state = guest.read("/home/alice/.local/state/claude-auth-sync/state.json").expect("a state");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    assert_eq!(at(), state["at_ms"].as_u64(), "what the command found");
    assert_eq!(runs(), synced + 1, "the service only published: {}", guest.product_journal());

    // A start that an administrator asks for does everything.
    run_service(&guest, "alice");
    assert_eq!(runs(), synced + 2, "{}", guest.product_journal());
}
