//! What an upgrade does with the directories in which the syncs of version 0.1.0 published, with
//! any content of users.

use cas_tests::claude_login::parsed;
use cas_tests::guest::{Guest, Suite};
use cas_tests::wait_until;

use super::{NextVersion, failed};

const USERS: &str = "/var/lib/claude-auth-sync/people";

/// Creates the directory of each user as version 0.1.0 left it, with a state in it.
#[track_caller]
fn with_directories(guest: &Guest, users: &[&str]) {
    guest
        .run(&format!("install -d -m 755 {USERS}; rm -rf /var/lib/claude-auth-sync/identities"))
        .expect_success("a directory");
    for user in users {
        let state = br#"{"schema":1,"user":"x","at_ms":1,"status":"OK","text":"of before","exit_code":0}"#;
        guest
            .run(&format!("install -d -o {user} -g $(id -g {user}) -m 700 {USERS}/{user}"))
            .expect_success("a directory");
        guest.write(&format!("{USERS}/{user}/state.json"), user, "600", state);
    }
}

fn text(guest: &Guest, user: &str) -> Option<String> {
    let json = parsed(&guest.run("cas-sync status --json || true").text());
    let rows = json["users"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["user"] == user)?;
    row["reason"].as_str().map(str::to_owned)
}

#[test]
fn upgrade_publishes_and_removes_earlier_states() {
    let next = NextVersion::new();
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    with_directories(&guest, &["alice", "bob", "carol"]);
    guest
        .run(&format!("cd {USERS}/alice && runuser -u alice -- sh -c 'mkdir -p a/b/c && ln -s /etc etc && ln -s .. up && mkfifo f && mkdir closed && touch closed/x && chmod 0 closed'"))
        .expect_success("a mess");
    guest
        .run(&format!("cd {USERS}/bob && rm state.json && runuser -u bob -- sh -c 'ln -s /etc/shadow state.json' && runuser -u bob -- perl -e 'for (1..3000) {{ mkdir \"d\"; chdir \"d\" or die }}'"))
        .expect_success("a deep tree");
    // One user whose account is deleted.
    guest.run("useradd --create-home gone").expect_success("an account");
    with_directories(&guest, &["alice", "carol", "gone"]);
    guest.run("userdel --remove gone").expect_success("removed");

    guest.install_package(&next.file());

    assert_eq!(guest.file_status(USERS), "", "{}", guest.run(&format!("find {USERS}")).text());
    for user in ["alice", "carol"] {
        assert!(
            text(&guest, user).is_some_and(|text| text.contains("of before")),
            "{:?}",
            text(&guest, user)
        );
    }
    assert!(
        text(&guest, "bob").is_some_and(|text| text.contains("no sync has published")),
        "{:?}",
        text(&guest, "bob")
    );
    assert!(guest.run("ls /etc/passwd /etc/shadow /etc/pam.d/sshd").succeeded());
    assert_eq!(failed(&guest), "");
}

#[test]
fn directory_that_cannot_be_emptied_is_named() {
    let next = NextVersion::new();
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    with_directories(&guest, &["alice", "bob", "carol"]);
    guest.run(&format!("runuser -u bob -- mkdir {USERS}/bob/m")).expect_success("a directory");
    for (user, directory) in [("alice", "alice"), ("bob", "bob/m")] {
        let directory = format!("{USERS}/{directory}");
        guest
            .run(&format!("systemd-run --quiet --collect --unit=covers-{user} /usr/local/bin/hostile-user cover {directory} $(id -u {user})"))
            .expect_success("a mount");
        wait_until("it is covered", || {
            guest.run(&format!("grep -q ' {directory} fuse' /proc/self/mounts")).succeeded()
        });
    }

    guest.install_package(&next.file());

    assert!(
        text(&guest, "carol").is_some_and(|text| text.contains("of before")),
        "{:?}",
        text(&guest, "carol")
    );
    assert_eq!(guest.run(&format!("ls {USERS}")).text(), "alice\nbob\n");
    let output = guest.remove_package().expect_success("removing").text();
    assert!(output.contains("something is mounted over it; `umount --lazy"), "{output}");
    assert!(output.contains("with directories of users that could not be emptied"), "{output}");
    guest.run("umount --lazy /var/lib/claude-auth-sync/people/alice; umount --lazy /var/lib/claude-auth-sync/people/bob/m; rm -r /var/lib/claude-auth-sync").expect_success("the remedy");
    assert_eq!(guest.remaining_product_files(), "");
}
