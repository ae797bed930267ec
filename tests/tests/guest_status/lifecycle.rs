//! The published directory of a user: when it exists, who owns it, and when it is removed.

use cas_tests::claude_login::fresh;
use cas_tests::guest::{Guest, Suite};

use super::{everybody, published, row, run_service};

#[test]
fn published_state_follows_the_enrollment_on_bookworm() {
    it_comes_and_goes_with_the_enrollment(Suite::Bookworm);
}

#[test]
fn published_state_follows_the_enrollment_on_trixie() {
    it_comes_and_goes_with_the_enrollment(Suite::Trixie);
}

fn it_comes_and_goes_with_the_enrollment(suite: Suite) {
    let names = ["jean-luc", "a.b", "Zoe_1"];
    let guest = Guest::boot_with_product(suite);
    for name in names {
        guest.run(&format!("useradd --badname --create-home {name}")).expect_success(name);
        guest.enroll(name);
        guest.put_login(name, &fresh(name));
        assert_eq!(row(&everybody(&guest), name)["rank"], "unknown");
        run_service(&guest, name);
        let path = published(name);
        let folder = path.trim_end_matches("/state.json");
        let modes = guest.run(&format!("stat -c '%U %a' {folder} {path}")).expect_success("both").text();
        assert_eq!(modes, format!("{name} 700\n{name} 600\n"));
        assert_eq!(row(&everybody(&guest), name)["rank"], "ok");
        // Also by hand; without the directory nothing is published, and that is not an error.
        guest.run(&format!("rm {path}")).expect_success("removed");
        guest.sync(name).expect_success("a sync by hand");
        assert_eq!(row(&everybody(&guest), name)["rank"], "ok");
        guest.run(&format!("rm -r {folder}")).expect_success("removed");
        let by_hand = guest.sync(name).expect_success("a sync by hand").text();
        assert!(!by_hand.contains("publish"), "{by_hand}");
        assert_eq!(row(&everybody(&guest), name)["rank"], "unknown");
        guest.enroll(name);
        run_service(&guest, name);
        assert_eq!(row(&everybody(&guest), name)["rank"], "ok");
    }
    let parents =
        guest.run("stat -c '%U %a' /var/lib/claude-auth-sync /var/lib/claude-auth-sync/people").text();
    assert_eq!(parents, "root 755\nroot 755\n");
    guest.run("cas-sync unenroll a.b").expect_success("unenrolled");
    assert_eq!(guest.read(&published("a.b")), None);
    let left = guest.run("ls /var/lib/claude-auth-sync/people").text();
    assert_eq!(left, "Zoe_1\njean-luc\n");
    guest.remove_package().expect_success("removed");
    assert_eq!(guest.run("ls -A /var/lib/claude-auth-sync").text(), "identities\n", "until a purge");
}

#[test]
fn reused_user_id_does_not_inherit_published_state() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.run("useradd --create-home --uid 1800 old").expect_success("an account");
    guest.enroll("old");
    guest.put_login("old", &fresh("old"));
    run_service(&guest, "old");
    guest
        .run("systemctl stop 'claude-auth-*@old.*'; pkill -u old; userdel --force --remove old && useradd --create-home --uid 1800 new")
        .expect_success("the number goes on");
    guest.run("useradd --create-home --uid 1801 old").expect_success("the name comes back");
    // The new owner of the number may write there now, and says something in another's name.
    guest.write(&published("old"), "new", "600", br#"{"at_ms":1,"status":"OK","exit_code":0}"#);
    let old = |guest: &Guest| row(&everybody(guest), "old").clone();
    let reused = "the name was enrolled for uid 1800 and its account has uid 1801";
    assert_eq!(old(&guest)["rank"], "gone");
    assert!(old(&guest)["reason"].as_str().is_some_and(|reason| reason.contains(reused)), "{}", old(&guest));
    let refused = guest.run("cas-sync enroll old 2>&1");
    assert!(refused.code == Some(1) && refused.text().contains("--adopt old"), "{}", refused.text());
    // Adopting assigns the directory to the account, without the other account's files.
    guest.run("cas-sync provision --adopt old").expect_success("an administrator's word");
    assert_eq!(old(&guest)["rank"], "unknown");
    guest.put_login("old", &fresh("again"));
    run_service(&guest, "old");
    assert_eq!(old(&guest)["rank"], "ok");
}

#[test]
fn missing_home_is_published_with_the_known_state() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &fresh("first"));
    run_service(&guest, "alice");
    guest.run("mv /home/alice /home/away").expect_success("the home is gone");
    run_service(&guest, "alice");
    let seen = everybody(&guest);
    let row = row(&seen, "alice");
    assert_eq!((&row["rank"], &row["exit_code"]), (&"skipped".into(), &0.into()), "{row}");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("the home is not there")), "{row}");
    assert_eq!(row["last_sync"]["credential"]["kind"], "login", "{row}");
}
