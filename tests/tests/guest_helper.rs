//! The helper that a login starts: its identity, its files, and the effect of its caller's limits.

use std::time::Duration;

use cas_tests::{
    claude_login::{new_login, parsed},
    guest::{Guest, Suite, login_path},
};

const STATE: &str = ".local/state/claude-auth-sync";

/// Waits for the program to run as this user, and returns the kernel's description of it.
#[track_caller]
fn start_helper(guest: &Guest, user: &str) -> String {
    guest
        .run(&format!(
            "for i in $(seq 400); do pid=$(pgrep -u {user} cas-session) && break; sleep 0.01; done
             grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapPrm|CapEff|CapAmb|Umask):' /proc/$pid/status
             grep -E '^Max core' /proc/$pid/limits
             echo \"owner $(stat -c %U /proc/$pid/mem) in $(readlink /proc/$pid/cwd)\"
             echo \"descriptors $(ls /proc/$pid/fd | head -3 | xargs)\"
             tr '\\0' '\\n' </proc/$pid/environ"
        ))
        .expect_success("looking at the program")
        .text()
}

#[track_caller]
fn is_nobody_but(guest: &Guest, user: &str, seen: &str) {
    let id = |flag: &str| guest.run(&format!("id {flag} {user}")).text().trim().to_owned();
    let line = |name: &str| {
        let found = seen.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no {name} in {seen}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("Uid:"), vec![id("-u"); 4], "real, effective, saved and file system: {seen}");
    assert_eq!(line("Gid:"), vec![id("-g"); 4], "{seen}");
    let sorted = |groups: Vec<&str>| {
        let mut groups: Vec<u32> = groups.iter().map(|group| group.parse().expect("a number")).collect();
        groups.sort_unstable();
        groups
    };
    assert_eq!(sorted(line("Groups:")), sorted(id("-G").split_whitespace().collect()), "{seen}");
    for capabilities in ["CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(line(capabilities), ["0000000000000000"], "nothing to become root with: {seen}");
    }
    assert_eq!(line("NoNewPrivs:"), ["1"], "{seen}");
    assert_eq!(line("Umask:"), ["0077"], "{seen}");
    assert_eq!(line("Max core file size")[..2], ["0", "0"], "{seen}");
    assert!(seen.contains("owner root in /\n"), "a dumpable process's memory is its user's: {seen}");
    assert!(seen.ends_with("PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n"), "{seen}");
}

#[test]
fn helper_has_the_users_identity_and_cannot_regain_root() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("groupadd research && groupadd --gid 4242 night && usermod -aG research,night,video bob")
        .expect_success("groups");
    for user in ["alice", "bob"] {
        guest.back_up_and_clear(user, &new_login(user));
    }
    // The program waits after it has become the user, because another process holds the lock for a
    // restore.
    guest.hold_lock(&format!("/home/bob/{STATE}/repair.lock"), 60);

    let mut status_over_ssh = guest.ssh_terminal("bob");
    is_nobody_but(&guest, "bob", &start_helper(&guest, "bob"));
    status_over_ssh.wait_for("$ ");
    status_over_ssh.leave();

    // su keeps the caller's real user id and limits.
    let mut alices = guest.ssh_terminal("alice");
    alices.wait_for("$ ");
    alices.type_line(
        "umask 0; ulimit -c unlimited; exec 7</etc/passwd; export LC_ALL=de_DE LD_DEBUG=all; su bob",
    );
    alices.wait_for("Password: ");
    alices.type_line("bob-password");
    is_nobody_but(&guest, "bob", &start_helper(&guest, "bob"));
    alices.wait_for("$ ");
    alices.leave_inner_shell();
    alices.leave();
}

#[test]
fn helper_files_are_private_to_the_user() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    guest
        .run(&format!(
            "cp /home/alice/{STATE}/history.json /tmp/ && rm -r /home/alice/.local /home/alice/.claude"
        ))
        .expect_success("a new home");
    guest
        .run(&format!("install -d -o alice -g alice -m 700 /home/alice/.local /home/alice/.local/state /home/alice/{STATE} && install -o alice -g alice -m 600 /tmp/history.json /home/alice/{STATE}/"))
        .expect_success("a good backup");
    guest.run("install -d -o alice -g alice -m 700 /home/alice/.config").expect_success("a folder");

    guest.record_requests();
    guest.unit("umask 0; su alice -c true").expect_success("su under a careless umask");
    assert_eq!(parsed(&guest.read_login("alice"))["claudeAiOauth"], parsed(&login)["claudeAiOauth"]);
    assert_eq!(guest.recorded_requests("alice"), 1);
    assert_eq!(guest.accessible_to_others("alice", "/home/alice"), "");

    guest.run(&format!("rm -r /home/alice/.local {}", login_path("alice"))).expect_success("a new home");
    guest.put_login("alice", &login);
    guest.put_token("alice", "sk-ant-oat01-alice");
    let sync = "systemd-run --quiet --pipe --wait --collect --uid=alice --property=UMask=0000 cas-sync run";
    guest.run(sync).expect_success("a sync under a careless umask");
    assert_eq!(guest.accessible_to_others("alice", "/home/alice"), "");
    assert!(guest.read(&format!("/home/alice/{STATE}/sync.log")).is_some());
}

#[test]
fn caller_limits_of_su_damage_no_file() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    let limits = [
        "-S -f 0",
        "-f 0",
        "-S -n 12",
        "-n 12",
        "-S -v 100000",
        "-S -u 1",
        "-u 1",
        "-S -t 1",
        "-S -s 64",
        "-l 0",
        "-S -d 1000",
    ];
    for limit in limits {
        guest.back_up_and_clear("alice", &login);
        let broken = guest.read_login("alice");
        let su = format!("ulimit {limit}; su alice -c 'echo in'");
        let with_us = guest.unit(&su);
        guest.disable_module();
        let without_us = guest.unit(&su);
        guest.run("pam-auth-update --package --enable claude-auth-sync").expect_success("enabling again");
        assert_eq!(
            with_us.text(),
            without_us.text(),
            "ulimit {limit}: {}",
            String::from_utf8_lossy(&with_us.stderr)
        );
        assert!(
            with_us.took < without_us.took + Duration::from_secs(20),
            "ulimit {limit}: {:?}",
            with_us.took
        );
        let left = parsed(&guest.read_login("alice"));
        assert!(left == parsed(&login) || left == parsed(&broken), "ulimit {limit}: {left}");
        // Any process can raise a soft limit again.
        if limit.starts_with("-S") {
            assert_eq!(left, parsed(&login), "ulimit {limit}: restored anyway");
        }
        let litter = guest
            .run("find /home/alice '(' -name '*.tmp.*' -o -name '.*.cas-*' ')' -o -name '*.lock' -path '*claude/*'")
            .text();
        assert_eq!(litter, "", "ulimit {limit}");
        guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(
            parsed(&guest.read_login("alice")),
            parsed(&login),
            "ulimit {limit}: the next login restores it"
        );
        guest.run(&format!("rm -rf /home/alice/{STATE} /home/alice/.claude")).expect_success("clearing up");
    }
}

#[test]
fn token_is_set_under_any_caller_limits_of_su() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", "sk-ant-oat01-alice");
    for limit in ["-f 0", "-n 12", "-u 1", "-S -v 100000", "-t 2", "-l 0"] {
        let seen = guest.unit(&format!("ulimit {limit}; su alice -c 'echo $CLAUDE_CODE_OAUTH_TOKEN'"));
        assert_eq!(
            seen.text(),
            "sk-ant-oat01-alice\n",
            "ulimit {limit}: {}",
            String::from_utf8_lossy(&seen.stderr)
        );
    }
}
