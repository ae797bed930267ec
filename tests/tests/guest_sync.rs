//! `cas-sync run` on a real machine: what it does, what it prints and logs, and the result of an
//! administrator's mistakes.

use std::time::Duration;

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{CommandResult, Guest, Suite, login_path},
};

const STATE: &str = "/home/alice/.local/state/claude-auth-sync";

fn errors(finished: &CommandResult) -> String {
    String::from_utf8_lossy(&finished.stderr).into_owned()
}

#[test]
fn login_without_a_backup_requests_one_sync() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.record_requests();
    let requests = || guest.recorded_requests("alice");
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(requests(), 0, "without any login there is nothing to look at");

    let login = new_login("new");
    guest.put_login("alice", &login);
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(requests(), 1);
    guest.sync("alice").expect_success("a sync");
    assert_eq!(requests(), 2, "the result of the command must be published");

    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(requests(), 2, "not requested again");
    guest.put_login("alice", &cleared_login(&login));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "the backup is good");
    assert_eq!(requests(), 3, "the restored login must be verified");
}

#[test]
fn sync_with_another_name_or_unwritable_log_succeeds() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("new"));
    guest.ssh("alice", "true").expect_success("ssh");
    let other_name =
        "systemd-run --quiet --pipe --wait --collect --uid=alice --setenv=CLAUDE_AUTH_USER=bob cas-sync run";
    guest.run(other_name).expect_success("a sync with the name in the store");
    assert!(guest.product_journal().contains("user=bob OK"), "{}", guest.product_journal());

    for obstacle in ["mkdir $l", "ln -s /etc/passwd $l", "mkfifo $l", "ln -s /dev/full $l", "mknod $l c 1 7"]
    {
        guest
            .run(&format!("l={STATE}/sync.log; rm -rf $l; {obstacle}; chown -h alice $l"))
            .expect_success(obstacle);
        let seen = guest.sync("alice");
        assert!(seen.took < Duration::from_secs(20), "{obstacle}: {:?}", seen.took);
        assert!(seen.text().starts_with("OK login complete"), "{obstacle}: {}{}", seen.text(), errors(&seen));
        assert_eq!(seen.code, Some(0), "what was looked at is fine, {obstacle}: {}", errors(&seen));
        assert!(errors(&seen).contains("cannot write "), "{obstacle}: {}", errors(&seen));
    }
    assert!(guest.run("tail -n1 /etc/passwd").text().contains("carol"), "nothing was written through a link");
}

#[test]
fn concurrent_syncs_are_one_sync_and_one_skip() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    guest.sync("alice").expect_success("a sync");
    guest.record_requests();
    guest.hold_lock(&format!("{STATE}/lock"), 60); // another sync at work
    let second = guest.sync("alice");
    assert_eq!((second.code, second.text().as_str()), (Some(0), "SKIP another run is at work\n"));
    assert_eq!(guest.recorded_requests("alice"), 1, "it requests to be started again later");
    assert!(guest.product_journal().ends_with("user=alice SKIP another run is at work\n"));
    guest.release_lock();

    let many = guest.run("for i in 1 2 3 4 5 6; do runuser -u alice -- cas-sync run & done; wait").text();
    assert!(many.lines().count() == 6 && many.contains("OK login complete"), "{many}");
    assert!(many.lines().all(|line| line.starts_with("OK ") || line.starts_with("SKIP ")), "{many}");
}

#[test]
fn log_and_journal_contain_the_line_that_alerts_match() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    let mut output = Vec::new();
    for text in [login.clone(), cleared_login(&login), "{torn".to_owned()] {
        guest.put_login("alice", &text);
        output.push(guest.sync("alice").text());
    }
    guest
        .run(&format!("rm -r {STATE}/history.json {STATE}/ledger.json"))
        .expect_success("no backup to restore");
    guest.put_login("alice", &cleared_login(&login));
    let failed = guest.sync("alice");
    assert_eq!(failed.code, Some(79), "the user must sign in: {}", failed.text());
    output.push(failed.text());
    let words: Vec<_> = output.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(words, ["OK", "RECOVERED", "RECOVERED", "FAIL"], "{output:?}");
    assert!(output.last().is_some_and(|line| line.contains("cas-sync login")), "{output:?}");

    let journal: String = output.iter().map(|line| format!("user=alice {line}")).collect();
    assert_eq!(guest.product_journal(), journal);
    let log = String::from_utf8(guest.read(&format!("{STATE}/sync.log")).expect("a log")).expect("text");
    let without_times: String =
        log.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| format!("{rest}\n")).collect();
    assert_eq!(without_times, output.concat());
    for time in log.lines().filter_map(|line| line.split(' ').next()) {
        let shape: String =
            time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z");
        let age = guest.run(&format!("echo $(($(date +%s) - $(date -d {time} +%s)))")).text();
        assert!(age.trim().parse::<i64>().is_ok_and(|age| (0..120).contains(&age)), "{time}: {age}");
    }
    let priorities =
        guest.run("journalctl --quiet -t claude-auth-sync -o json | grep -o '\"PRIORITY\":\"[0-9]\"'").text();
    assert!(
        priorities.lines().last() == Some("\"PRIORITY\":\"3\"") && priorities.contains('6'),
        "{priorities}"
    );
}

#[test]
fn invalid_configuration_is_named_and_logins_work() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    let rows = [
        ("store = \"valt\"\n", "store must be"),
        ("login_refresh_after = 15\n", "login_refresh_after must be"),
        ("[vault]\naddress = [\"a\"]\n", "vault.address must be"),
        ("store = \n", "config.toml: line 1, column 9: "),
        ("\u{feff}store = \"local\u{0}\"\n", "config.toml"),
    ];
    for (text, output) in rows {
        guest.forget_configuration();
        guest.back_up_and_clear("alice", &login);
        guest.put_token("bob", "x");
        guest.configure(text);
        let seen = guest.sync("alice");
        assert_eq!(seen.code, Some(78), "{text}");
        assert!(
            errors(&seen).contains("/etc/claude-auth-sync/config.toml") && errors(&seen).contains(output),
            "{}",
            errors(&seen)
        );
        let journal = guest.product_journal();
        assert!(
            journal
                .lines()
                .last()
                .is_some_and(|line| line.contains("user=alice FAIL") && line.contains(output)),
            "{journal}"
        );
        guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "what this machine knows still helps");
        guest.run(&format!("rm -rf {STATE}")).expect_success("another day");
    }
    // Wrong modes and owners of the files themselves. The backup is still restored.
    for spoiled in [
        "chmod 600 $c",
        "chmod 700 $d",
        "rm $c; mkdir $c",
        "rm $c; mkfifo $c",
        "rm $c; ln -s $c $c",
        "install -d -m 700 $d/conf.d",
        "install -d $d/conf.d; mkfifo $d/conf.d/a.toml",
        "truncate -s 5G $c",
        "chown bob $c",
        "chmod 666 $c",
        "rm $c; ln -s /dev/zero $c",
    ] {
        guest.forget_configuration();
        guest.back_up_and_clear("alice", &login);
        guest.configure("store = \"local\"\n");
        guest.run(&format!("d=/etc/claude-auth-sync; c=$d/config.toml; {spoiled}")).expect_success(spoiled);
        let seen = guest.run("timeout 5 runuser -u alice -- cas-sync run");
        assert_eq!(seen.code, Some(78), "{spoiled}: {}{}", seen.text(), errors(&seen));
        assert!(errors(&seen).contains("/etc/claude-auth-sync"), "{spoiled}: {}", errors(&seen));
        guest.ssh_within(Duration::from_millis(1500), "alice", "true");
        assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "{spoiled}");
        guest.run(&format!("rm -rf {STATE}")).expect_success("another day");
    }
}

/// An unusable URL is an error of the configuration, not a refusal of the server.
#[test]
fn unconfigured_store_is_reported_by_syncs_and_logins() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    let rows = [
        ("store = \"vault\"\n", "vault.address is not set"),
        ("store = \"vault\"\n[vault]\naddress = \"vault:8200\"\n", "write it as https://HOST:PORT"),
        ("store = \"vault\"\n[vault]\naddress = \"https://127.0.0.1:1\"\npath = \"a//b\"\n", "empty segment"),
        (
            "store = \"vault\"\n[vault]\naddress = \"https://127.0.0.1:1\"\nca_cert = \"/nowhere\"\n",
            "the CA file /nowhere is missing",
        ),
    ];
    for (text, output) in rows {
        guest.forget_configuration();
        guest.configure(text);
        guest.put_vault_token("alice", "hvs.not-shown-to-anybody\n");
        guest.put_login("alice", &login);
        let seen = guest.sync("alice");
        assert_eq!(seen.code, Some(78), "{text}: {}", seen.text());
        assert!(seen.text().starts_with("FAIL ") && seen.text().contains(output), "{}", seen.text());
        assert!(seen.text().contains("store not configured: "), "{}", seen.text());
        guest.forget_state("alice");
        guest.ssh("alice", "true").expect_success("ssh");
        let journal = guest.product_journal();
        let line = journal.lines().last().unwrap_or_default();
        assert!(line.contains("store not configured: ") && line.contains(output), "{journal}");
        assert_eq!(guest.read_login("alice"), login);
    }
}

#[test]
fn run_that_cannot_start_is_logged_for_alerts() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    for obstacle in [
        "mkfifo $s/lock",
        "mkdir $s/lock",
        "ln -s /etc/passwd $s/lock",
        "rm -r $s; touch $s",
        "rm -r $s; ln -s /nowhere $s",
        "chown root $s",
    ] {
        guest.run(&format!("s={STATE}; rm -rf $s; install -d -o alice -g alice -m 700 /home/alice/.local /home/alice/.local/state $s; {obstacle}")).expect_success(obstacle);
        let seen = guest.sync("alice");
        assert_eq!(seen.code, Some(1), "{obstacle}: {}", seen.text());
        let printed = format!("{}{}", seen.text(), errors(&seen));
        assert!(printed.contains("claude-auth-sync"), "{obstacle}: {printed}");
        // A FIFO of root.
        let removes_lock = printed.contains("; remove /home/alice/.local/state/claude-auth-sync/lock");
        assert_eq!(removes_lock, obstacle == "mkfifo $s/lock", "{obstacle}: {printed}");
        let journal = guest.product_journal();
        assert!(
            journal.lines().last().is_some_and(|line| line.starts_with("user=alice FAIL")),
            "{obstacle}: {journal}"
        );
        assert!(seen.took < Duration::from_secs(20), "{obstacle}: {:?}", seen.took);
    }
}

#[test]
fn unknown_configuration_key_is_a_warning() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    guest.configure("stor = \"vault\"\nlogin_refresh_afer = \"1h\"\n");
    let seen = guest.sync("alice");
    assert_eq!(seen.code, Some(78), "{}", seen.text());
    assert!(seen.text().starts_with("WARN login complete"), "{}", seen.text());
    for output in [
        "config.toml: unknown key stor, which is ignored: did you mean store?",
        "did you mean login_refresh_after?",
    ] {
        assert!(seen.text().contains(output), "{}", seen.text());
        assert!(guest.product_journal().contains(output), "{}", guest.product_journal());
    }
}

#[test]
fn sync_as_root_names_the_command_for_a_user() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    let refused = guest.run("cas-sync run");
    assert_eq!(refused.code, Some(1));
    assert!(errors(&refused).contains("runuser -u NAME -- cas-sync run"), "{}", errors(&refused));
    assert_eq!(guest.run("ls -A /root/.local /root/.config 2>/dev/null").text(), "");
    let before = guest.file_identity(&login_path("alice"));
    guest.run("runuser -u alice -- cas-sync run").expect_success("the printed remedy");
    guest
        .run("cd /root && HOME=/root XDG_STATE_HOME=/root sudo -u alice cas-sync run")
        .expect_success("or with sudo");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
    assert_eq!(guest.run("ls -A /root/.local /root/.config 2>/dev/null").text(), "");
}
