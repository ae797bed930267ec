//! The program that a login starts: who it is while it runs, what it leaves behind, and which homes it can work in.

use std::time::Duration;

use cas_tests::{
    claude_login::{fresh, parsed, tombstone},
    guest::{Guest, Suite, VARIABLE, login_path},
};

const STATE: &str = ".local/state/claude-auth-sync";

/// Makes the program wait at a moment when it has become the user: somebody else holds the lock it needs to mend.
#[track_caller]
fn hold_the_repair_lock(guest: &Guest, user: &str) {
    guest
        .run(&format!("systemd-run --quiet --unit=holder flock /home/{user}/{STATE}/repair.lock sleep 60"))
        .expect_success("holding the lock");
    guest
        .run(&format!("for i in $(seq 100); do flock -n /home/{user}/{STATE}/repair.lock true || exit 0; sleep 0.02; done; exit 1"))
        .expect_success("the lock is held");
}

/// Waits for the program to run as this user and tells what the kernel says of it.
#[track_caller]
fn the_program_at_work(guest: &Guest, user: &str) -> String {
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
fn it_is_the_user_with_the_users_groups_and_can_never_be_root_again() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("groupadd research && groupadd --gid 4242 night && usermod -aG research,night,video bob")
        .expect_success("groups");
    for user in ["alice", "bob"] {
        guest.back_up_and_break(user, &fresh(user));
    }
    hold_the_repair_lock(&guest, "bob");

    let mut by_ssh = guest.ssh_terminal("bob");
    is_nobody_but(&guest, "bob", &the_program_at_work(&guest, "bob"));
    by_ssh.wait_for("$ ");
    by_ssh.leave();

    // su keeps the real user id of whoever called it, and all of their limits.
    let mut alices = guest.ssh_terminal("alice");
    alices.wait_for("$ ");
    alices.type_line(
        "umask 0; ulimit -c unlimited; exec 7</etc/passwd; export LC_ALL=de_DE LD_DEBUG=all; su bob",
    );
    alices.wait_for("Password: ");
    alices.type_line("bob-password");
    is_nobody_but(&guest, "bob", &the_program_at_work(&guest, "bob"));
    alices.wait_for("$ ");
    alices.leave_inner_shell();
    alices.leave();
}

/// Everything below these places that is not for this user alone.
fn open_to_others(guest: &Guest, user: &str, home: &str) -> String {
    guest
        .run(&format!(
            "cd '{home}' && find .claude .config .local /run/claude-auth-sync/{user} ! -type l \\( -perm /077 -o ! -user {user} \\) -printf '%M %u %p\\n'"
        ))
        .expect_success("looking for what others can see")
        .text()
}

#[test]
fn everything_it_writes_is_for_its_user_alone() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = fresh("first");
    guest.back_up_and_break("alice", &login);
    guest
        .run(&format!(
            "cp /home/alice/{STATE}/history.json /tmp/ && rm -r /home/alice/.local /home/alice/.claude"
        ))
        .expect_success("a new home");
    guest
        .run(&format!("install -d -o alice -g alice -m 700 /home/alice/.local /home/alice/.local/state /home/alice/{STATE} && install -o alice -g alice -m 600 /tmp/history.json /home/alice/{STATE}/"))
        .expect_success("a good copy");
    guest.run("install -d -o alice -g alice -m 700 /home/alice/.config").expect_success("a folder");

    guest.unit("umask 0; su alice -c true").expect_success("su under a careless umask");
    assert_eq!(parsed(&guest.login_of("alice"))["claudeAiOauth"], parsed(&login)["claudeAiOauth"]);
    let request = guest.status_of("/run/claude-auth-sync/alice/request");
    assert_eq!(request, "600 alice:alice regular empty file");
    assert_eq!(open_to_others(&guest, "alice", "/home/alice"), "");

    guest.run(&format!("rm -r /home/alice/.local {}", login_path("alice"))).expect_success("a new home");
    guest.put_login("alice", &login);
    guest.put_token("alice", "sk-ant-oat01-alice");
    let sync = "systemd-run --quiet --pipe --wait --collect --uid=alice --property=UMask=0000 cas-sync run";
    guest.run(sync).expect_success("a sync under a careless umask");
    assert_eq!(open_to_others(&guest, "alice", "/home/alice"), "");
    assert!(guest.read(&format!("/home/alice/{STATE}/sync.log")).is_some());
}

/// Somebody whose login is broken finds it whole, and their token, in their very first command.
#[track_caller]
fn is_looked_after(guest: &Guest, user: &str, home: &str) {
    let login = fresh(user);
    let owner = guest.run(&format!("id -un {user}; id -gn {user}")).text().trim_end().replace('\n', ":");
    let put = |text: &str| {
        guest
            .run_with_input(
                &format!("d='{home}/.claude'; install -d -m 700 \"$d\" && cat >\"$d/.credentials.json\" && chmod 600 \"$d/.credentials.json\" && chown -R {owner} \"$d\""),
                text.as_bytes(),
            )
            .expect_success("putting a login");
    };
    guest.enroll(user);
    put(&login);
    guest.sync(user).expect_success("the first backup");
    put(&tombstone(&login));
    let seen = guest.ssh(user, "cat ~/.claude/.credentials.json").expect_success("ssh").text();
    assert_eq!(parsed(&seen), parsed(&login), "{user}");

    guest
        .run(&format!(
            "d='{home}/.config/claude-auth-sync'; install -d -m 700 '{home}/.config' \"$d\" && echo {VARIABLE}=sk-ant-oat01-of_{user} | tr . - >\"$d/claude-oauth.env\" && chmod 600 \"$d/claude-oauth.env\" && chown -R {owner} '{home}/.config'"
        ))
        .expect_success("putting a token");
    let token = format!("sk-ant-oat01-of_{}", user.replace('.', "-"));
    assert_eq!(guest.variable_by_ssh(user), Some(token), "{user}");
    assert_eq!(open_to_others(guest, user, home), "");
}

#[test]
fn names_homes_and_primary_groups_of_every_kind_are_looked_after() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_product();
    guest.run("install -d /srv/people/staff && groupadd staffers").expect_success("a place for homes");
    let people = [
        ("ada.lovelace", "/home/ada.lovelace", "staffers"),
        ("jean-luc", "/srv/people/staff/jean-luc", "users"),
        ("Grace", "/srv/people/Grace Hopper", "staffers"),
        ("_x9", "/home/_x9", "nogroup"),
    ];
    for (user, home, group) in people {
        guest
            .run(&format!(
                "useradd --badname --create-home --home-dir '{home}' --gid {group} --shell /bin/bash '{user}'"
            ))
            .expect_success("useradd");
        is_looked_after(&guest, user, home);
    }
}

#[test]
fn a_home_that_is_open_to_a_supplementary_group_alone_works() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_product();
    // The way to the home leads through a folder that only members of a project may enter.
    guest
        .run("groupadd project && usermod -aG project bob && install -d -m 710 -g project /srv/project && usermod --move-home --home /srv/project/bob bob")
        .expect_success("a home in a project's folder");
    is_looked_after(&guest, "bob", "/srv/project/bob");
}

/// As on NFS with root_squash: root may not look into the home, its user may.
#[test]
fn a_home_that_only_its_user_can_read_works() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_product();
    guest
        .run(
            "chmod 700 /home/alice && install -d /etc/systemd/system/ssh.service.d && \
             printf '[Service]\\nCapabilityBoundingSet=~CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH\\n' >/etc/systemd/system/ssh.service.d/squash.conf && \
             systemctl daemon-reload && systemctl restart ssh",
        )
        .expect_success("an sshd whose root is nobody special to file systems");
    let kept =
        guest.run("grep ^CapBnd: /proc/$(systemctl show --value --property=MainPID ssh)/status").text();
    let bounding = u64::from_str_radix(kept.trim_start_matches("CapBnd:").trim(), 16).expect("a bit mask");
    assert_eq!(bounding & 0b110, 0, "CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are gone: {kept}");
    is_looked_after(&guest, "alice", "/home/alice");
}

#[test]
fn whatever_limits_the_caller_of_su_has_set_nothing_is_torn_and_su_works_as_without_us() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = fresh("first");
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
        guest.back_up_and_break("alice", &login);
        let broken = guest.login_of("alice");
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
            with_us.took < without_us.took + Duration::from_secs(3),
            "ulimit {limit}: {:?}",
            with_us.took
        );
        let left = parsed(&guest.login_of("alice"));
        assert!(left == parsed(&login) || left == parsed(&broken), "ulimit {limit}: {left}");
        // A soft limit is anybody's to raise again.
        if limit.starts_with("-S") {
            assert_eq!(left, parsed(&login), "ulimit {limit}: mended all the same");
        }
        let litter = guest
            .run("find /home/alice '(' -name '*.tmp.*' -o -name '.*.cas-*' ')' -o -name '*.lock' -path '*claude/*'")
            .text();
        assert_eq!(litter, "", "ulimit {limit}");
        guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(
            parsed(&guest.login_of("alice")),
            parsed(&login),
            "ulimit {limit}: the next login mends it"
        );
        guest.run(&format!("rm -rf /home/alice/{STATE} /home/alice/.claude")).expect_success("clearing up");
    }
}

#[test]
fn a_token_arrives_whatever_limits_the_caller_of_su_has_set() {
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

#[test]
fn an_env_file_that_is_no_plain_file_of_the_users_is_refused_in_time() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let token = format!("{VARIABLE}=sk-ant-oat01-planted");
    let line = format!("echo {token}");
    let rows = [
        "mkfifo $e".to_owned(),
        "mkfifo $e; (exec 3<>$e; sleep 9) >/dev/null 2>&1 & sleep 0.1".to_owned(), // somebody writes it, and says nothing
        "ssh-agent -a $e >/tmp/agent".to_owned(),                                  // a socket
        "mknod $e c 1 5".to_owned(),                                               // /dev/zero
        "mknod $e c 5 0".to_owned(),                                               // /dev/tty
        "mkdir $e".to_owned(),
        "ln -s /etc/shadow $e".to_owned(),
        "ln -s $e $e".to_owned(),
        "ln -s /proc/self/environ $e".to_owned(),
        format!("{line} >$d/own; chown alice:alice $d/own; chmod 600 $d/own; ln -s own $e"),
        format!("{line} >$d/own; chown alice:alice $d/own; chmod 600 $d/own; ln $d/own $e"),
        format!("{line} >$e; chmod 644 $e; OWNER=bob"),
        format!("{line} >$e; chmod 644 $e; OWNER=root"),
        format!("{line} >$e; MODE=660"),
        format!("{line} >$e; MODE=602"),
        format!("{line} >$e; MODE=000"),
        format!("{line} >$e; truncate -s 10G $e"),
        format!("printf '{token}\\0\\n' >$e"),
        format!("printf '{token}\\r\\n' >$e"),
        format!("printf '\\357\\273\\277{token}\\n' >$e"),
        format!("printf '{token}\\n{token}\\n' >$e"),
        format!("printf '\\n{token}\\n' >$e"),
    ];
    for row in &rows {
        guest
            .run(&format!(
                "d=/home/alice/.config/claude-auth-sync; e=$d/claude-oauth.env; rm -rf $d; install -d -o alice -g alice -m 700 /home/alice/.config $d
                 OWNER=alice; MODE=600; {row}; chown -h $OWNER $e; [ -L $e ] || chmod $MODE $e"
            ))
            .expect_success(row);
        let before = said_about(&guest, "alice");
        let seen = guest.ssh("alice", &format!("echo in; printenv {VARIABLE}"));
        assert_eq!(seen.text(), "in\n", "{row}");
        assert!(seen.took < Duration::from_millis(1500), "{row}: {:?}", seen.took);
        let said = said_about(&guest, "alice").split_off(before.len());
        assert_eq!(said.len(), 1, "{row}: {said:#?}");
        let line = said.concat();
        assert!(line.contains("WARN") && line.contains("env file not used"), "{row}: {line}");
        assert!(!line.contains("planted"), "{row}: {line}");
    }
    guest.run("rm -rf /home/alice/.config").expect_success("clearing up");
    guest.put_token("alice", "sk-ant-oat01-own");
    assert_eq!(
        guest.variable_by_ssh("alice").as_deref(),
        Some("sk-ant-oat01-own"),
        "and a plain one is taken"
    );
}

/// What either part of the product has said about somebody.
fn said_about(guest: &Guest, user: &str) -> Vec<String> {
    let said = guest
        .run(&format!("journalctl --sync; journalctl --quiet --output=cat --no-pager --grep='user={user} '"))
        .text();
    said.lines().map(str::to_owned).collect()
}
