//! The directories in which version 0.1.0 published, of users whose name belongs to another account
//! now.

use cas_tests::guest::{Guest, Suite};

use super::printed;

const USERS: &str = "/var/lib/claude-auth-sync/people";

/// Root empties a directory as its owner. The groups of its name belong to the new account.
#[test]
fn reused_name_gives_the_former_user_no_groups() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest
        .run(&format!(
            "groupadd closed; useradd --uid 3001 former; useradd --uid 3002 --groups closed eve; \
             install -d -m 755 {USERS}; install -d -o former -g former -m 700 {USERS}/eve; \
             install -d -o root -g closed -m 770 {USERS}/eve/of-the-group; touch {USERS}/eve/of-the-group/kept"
        ))
        .expect_success("the directory of the former user");
    let migrated = guest.run("cas-sync internal migrate-published-states");
    assert!(!migrated.succeeded());
    let output = printed(&migrated);
    assert!(output.contains("cannot empty") && output.contains("user id 3001"), "{output}");
    let left = guest.run(&format!("find {USERS} -mindepth 1 | sort")).text();
    assert_eq!(left, format!("{USERS}/eve\n{USERS}/eve/of-the-group\n{USERS}/eve/of-the-group/kept\n"));
}

/// The owner could trace a program that they can read.
#[test]
fn directory_is_emptied_without_other_programs() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest
        .run(&format!(
            "chmod 700 /usr/bin/find /usr/bin/chmod; \
             install -d -m 755 {USERS}; install -d -o alice -g alice -m 700 {USERS}/alice; \
             cd {USERS}/alice; runuser -u alice -- sh -c 'mkdir -p a/b/c; touch a/b/file; ln -s /etc a/etc; mkdir -m 0 closed'"
        ))
        .expect_success("the directory of a user");
    guest.run("cas-sync internal migrate-published-states").expect_success("removing it");
    assert_eq!(guest.file_status(USERS), "");
    assert!(guest.run("ls /etc/passwd").succeeded());
}
