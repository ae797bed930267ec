//! The table.

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};

use super::{row, run_service, status_of_all};

#[test]
fn status_lists_all_users_without_reading_homes() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    let login = new_login("first");
    for user in ["alice", "bob"] {
        guest.put_login(user, &login);
        run_service(&guest, user);
    }
    guest.forget_state("alice");
    guest.put_login("alice", &cleared_login(&login));
    run_service(&guest, "alice");
    guest.run("mv /home /homes-are-gone && mkdir /home").expect_success("no home is there");

    let table = guest.run("LC_ALL=C cas-sync status");
    assert_eq!(table.code, Some(79), "that of the worst");
    let table = table.text();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("USER   STATUS  SYNC  VERIFIED  EXPIRES  LAST MESSAGE"), "{table}");
    assert!(lines[1].starts_with("alice  FAIL "), "{table}");
    assert!(lines[2].starts_with("carol  SKIP    -     -         -        no sync has published"), "{table}");
    assert!(lines[3].starts_with("bob    OK "), "{table}");
    assert_eq!(lines[4], "3 enrolled, 2 not ok");
    assert!(table.is_ascii() && !table.contains('\x1b'), "{table}");

    let seen = status_of_all(&guest);
    assert_eq!((&seen["schema"], &seen["exit_code"]), (&1.into(), &79.into()));
    assert_eq!(row(&seen, "alice")["severity"], "failed");
    assert_eq!(row(&seen, "alice")["last_sync"]["exit_code"], 79);
    assert_eq!(row(&seen, "bob")["last_sync"]["credential"]["kind"], "login");
    assert_eq!(row(&seen, "carol")["exit_code"], 75);

    assert_eq!(guest.run("cas-sync status bob").code, Some(0), "bob alone is fine");
    let stranger = guest.run("cas-sync status root 2>&1");
    assert_eq!(stranger.code, Some(1));
    assert!(stranger.text().contains("\"root\" is not enrolled"), "{}", stranger.text());
    let others = guest.run("runuser -u bob -- cas-sync status alice 2>&1");
    assert_eq!(others.code, Some(1));
    assert!(others.text().contains("cannot show other users: only root can"), "{}", others.text());
}
