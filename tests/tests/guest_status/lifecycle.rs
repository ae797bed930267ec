//! The folder in which a person's syncs publish: when it is there, whose, and when it goes.

use cas_tests::claude_login::fresh;
use cas_tests::guest::{Guest, Suite};

use super::{everybody, published, row, run_service};

#[test]
fn it_comes_and_goes_with_the_enrollment_on_bookworm() {
    it_comes_and_goes_with_the_enrollment(Suite::Bookworm);
}

#[test]
fn it_comes_and_goes_with_the_enrollment_on_trixie() {
    it_comes_and_goes_with_the_enrollment(Suite::Trixie);
}

fn it_comes_and_goes_with_the_enrollment(suite: Suite) {
    let names = ["jean-luc", "a.b", "Zoe_1"];
    let guest = Guest::boot(suite);
    guest.install_product();
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
        assert_eq!(row(&everybody(&guest), name)["rank"], "well");
        // By hand, too; and where there is no folder nothing is published, and nothing is wrong.
        guest.run(&format!("rm {path}")).expect_success("removed");
        guest.sync(name).expect_success("a sync by hand");
        assert_eq!(row(&everybody(&guest), name)["rank"], "well");
        guest.run(&format!("rm -r {folder}")).expect_success("removed");
        let by_hand = guest.sync(name).expect_success("a sync by hand").text();
        assert!(!by_hand.contains("publish"), "{by_hand}");
        assert_eq!(row(&everybody(&guest), name)["rank"], "unknown");
        guest.enroll(name);
        run_service(&guest, name);
        assert_eq!(row(&everybody(&guest), name)["rank"], "well");
    }
    let parents =
        guest.run("stat -c '%U %a' /var/lib/claude-auth-sync /var/lib/claude-auth-sync/people").text();
    assert_eq!(parents, "root 755\nroot 755\n");
    guest.run("cas-sync unenroll a.b").expect_success("unenrolled");
    assert_eq!(guest.read(&published("a.b")), None);
    let left = guest.run("ls /var/lib/claude-auth-sync/people").text();
    assert_eq!(left, "Zoe_1\njean-luc\n");
    guest.remove_package().expect_success("removed");
    assert!(!guest.run("ls -d /var/lib/claude-auth-sync").succeeded(), "nothing of it is left");
}

#[test]
fn a_user_id_that_is_given_out_again_speaks_for_nobody_else() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_product();
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
    let reason = row(&everybody(&guest), "old")["reason"].to_string();
    assert!(reason.contains("the folder belongs to user id 1800, and old is 1801"), "{reason}");
    // Enrolling gives the folder to whoever has the name.
    guest.enroll("old");
    guest.put_login("old", &fresh("again"));
    run_service(&guest, "old");
    assert_eq!(row(&everybody(&guest), "old")["rank"], "well");
}

#[test]
fn a_home_that_is_not_there_is_published_and_what_was_known_stays() {
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
