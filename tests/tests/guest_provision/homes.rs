//! Homes with symlinks or without write access: their users are skipped with the reason, and all
//! others are provisioned.

use super::{enrolled, provision, roster, site, snapshot, text_and_errors, token_file, token_lookup, tokens};

/// The change of a home, by its owner unless it requires root, and the expected message.
const HOMES: [(&str, &str, &str); 9] = [
    ("to-bob", "rm -rf .config; ln -s /home/bob/.config .config", "/home/to-bob/.config belongs to user id"),
    ("to-etc", "rm -rf .config; ln -s /etc .config", "belongs to user id 0; change its owner to to-etc"),
    (
        "fifo",
        "mkdir -p .config/claude-auth-sync; mkfifo .config/claude-auth-sync/vault-token",
        "not a regular file",
    ),
    (
        "link",
        "mkdir -p .config/claude-auth-sync; ln -s /home/bob/stolen .config/claude-auth-sync/vault-token",
        "symbolic link",
    ),
    ("folder", "mkdir -p .config/claude-auth-sync/vault-token", "not a regular file"),
    ("file", "rm -rf .config; echo >.config", "/home/file/.config is not a directory"),
    ("closed", "mkdir .config; chmod 000 .config", "Permission denied"),
    ("foreign", "ROOT: install -d -m 777 .config/claude-auth-sync", "belongs to user id 0"),
    (
        "full",
        "ROOT: mount -t tmpfs -o size=32k,mode=700 full . && cd ~full && touch x && chown full: . x && { head -c 64k /dev/zero >zeros 2>/dev/null || true; }",
        "No space left on device",
    ),
];

#[test]
fn hostile_home_affects_no_file_outside_and_no_other_user() {
    let host = site();
    let guest = &host.guest;
    guest.run("install -d -m 777 -o bob -g bob ~bob/.config").expect_success("a folder that all may write");
    let mut text = String::from("users:\n  alice:\n");
    for (user, done, _) in HOMES {
        guest.run(&format!("useradd --create-home {user}")).expect_success("a user");
        let done = match done.strip_prefix("ROOT: ") {
            Some(with_root_user) => format!("cd ~{user} && {with_root_user}"),
            None => format!("runuser -u {user} -- sh -c 'cd ~ && {done}'"),
        };
        guest.run(&done).expect_success(user);
        text.push_str(&format!("  {user}:\n"));
    }
    guest.run("userdel full; useradd full --home-dir /home/full --no-create-home && chown full: /home/full /home/full/*").expect_success("its owner");
    roster(guest, &text);
    let elsewhere = "/etc /home/bob -path /etc/tmpfiles.d -prune -o -path /etc/systemd -prune -o -path /etc/claude-auth-sync -prune -o";
    let before = snapshot(guest, elsewhere);
    let number = tokens(&host.bao);

    let done = provision(&host, "");

    assert_eq!(done.code, Some(1), "{}", text_and_errors(&done));
    for (user, _, expected) in HOMES {
        let line = done.text().lines().find(|line| line.starts_with(&format!("{user}: "))).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("no line is about {user}:\n{}", text_and_errors(&done)));
        assert!(line.contains("skipped: ") && line.contains(expected), "{line}");
        assert!(guest.product_journal().contains(&format!("user={user} WARN provisioning: skipped: ")));
    }
    assert_eq!(enrolled(guest), "alice\n");
    assert!(token_lookup(&host, "alice").is_some());
    assert_eq!(snapshot(guest, elsewhere), before, "nothing of others was touched");
    assert_eq!(tokens(&host.bao), number + 1, "no token was minted that is not stored");

    // Once a home is repaired, its user is provisioned like the others.
    guest.run(&format!("rm {}", token_file("fifo"))).expect_success("the remedy");
    provision(&host, "--user fifo").expect_success("again");
    assert!(token_lookup(&host, "fifo").is_some());
}

/// The run waits only briefly for a user who stops the process that reads the home.
#[test]
fn unresponsive_home_does_not_delay_other_users() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    let stop = br#"
        while (1) {
            for (glob "/proc/[0-9]*/cmdline") {
                open F, $_ or next;
                next unless <F> =~ /token-agent/;
                kill "STOP", $1 if m#(\d+)#;
            }
        }"#;
    guest.write("/home/alice/stop.pl", "alice", "600", stop);
    guest
        .run("systemd-run --quiet --collect --unit=stopper --uid=alice perl /home/alice/stop.pl")
        .expect_success("a user who stops every process that takes her user id");

    let done = provision(&host, "");

    assert_eq!(done.code, Some(1), "{}", text_and_errors(&done));
    assert!(
        done.text().contains("alice: skipped: the home does not answer within 10s"),
        "{}",
        text_and_errors(&done)
    );
    assert_eq!(enrolled(guest), "bob\n");
    assert_eq!(guest.run("pgrep --full [k]eep-vault-token").text(), "", "nothing of it is left");
    guest.run("systemctl stop stopper").expect_success("the end of the stops");
    provision(&host, "").expect_success("then");
    assert_eq!(enrolled(guest), "alice\nbob\n");
}
