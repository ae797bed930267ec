//! A user's setup token is in each of the user's interactive sessions, and in no other user's.

use cas_tests::guest::{Guest, Suite, VARIABLE, env_file_path};

const ALICE: &str = "sk-ant-oat01-alice_A-1";
const BOB: &str = "sk-ant-oat01-bob_B-2";

#[test]
fn every_login_method_sets_the_setup_token_on_bookworm() {
    check_token_in_every_login(Suite::Bookworm);
}

#[test]
fn every_login_method_sets_the_setup_token_on_trixie() {
    check_token_in_every_login(Suite::Trixie);
}

fn check_token_in_every_login(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice", "carol"]);
    guest.put_token("alice", ALICE);
    guest.put_token("carol", "sk-ant-oat01-carol");
    let print = format!("printenv {VARIABLE}");
    let expected = format!("{ALICE}\n");

    let environment = guest.ssh("alice", "env").expect_success("ssh host env").text();
    assert!(environment.lines().any(|line| line == format!("{VARIABLE}={ALICE}")), "{environment}");

    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt(&print), expected, "an interactive shell by ssh");
    terminal.leave();

    let mut console = guest.console("alice");
    assert_eq!(console.at_prompt(&print), expected, "login at the console");
    console.leave();

    assert_eq!(guest.unit(&format!("su - alice -c '{print}'")).text(), expected, "su -");
    assert_eq!(guest.unit(&format!("su alice -c '{print}'")).text(), expected, "su");
    assert_eq!(guest.unit(&format!("sudo -i -u alice {print}")).text(), expected, "sudo -i");
    assert_eq!(guest.ssh("carol", &print).text(), "sk-ant-oat01-carol\n", "zsh");

    // A display manager opens its session like this: its own service name, no terminal, the same
    // stack.
    guest
        .run("printf '@include common-auth\\n@include common-account\\n@include common-session\\n' >/etc/pam.d/lightdm")
        .expect_success("a display manager's PAM file");
    let desktop = guest.run(&format!(
        "systemd-run --quiet --pipe --wait --collect --property=User=alice --property=PAMName=lightdm {print}"
    ));
    assert_eq!(desktop.text(), expected, "a desktop session");

    let tmux = "tmux new-session -d -s work 'printenv CLAUDE_CODE_OAUTH_TOKEN >tmux.out' && sleep 0.5 && cat tmux.out";
    assert_eq!(guest.ssh("alice", tmux).text(), expected, "tmux started in such a session");
}

#[test]
fn cron_jobs_and_user_services_get_no_token() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", ALICE);
    let show = format!("printenv {VARIABLE} || echo unset");
    let job = format!("* * * * * alice ({show}) >/tmp/cron.out\n");
    guest.write("/etc/cron.d/scenario", "root", "644", job.as_bytes());
    let unit = format!("systemd-run --user --quiet --pipe --wait sh -c '{show}'");
    assert_eq!(guest.ssh("alice", &unit).expect_success("a user service").text(), "unset\n");
    let waited = guest
        .run("for i in $(seq 180); do [ -s /tmp/cron.out ] && break; sleep 0.5; done; cat /tmp/cron.out");
    assert_eq!(waited.text(), "unset\n");
}

#[test]
fn su_and_sudo_never_pass_the_token_of_the_caller() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.put_token("alice", ALICE);
    let show = format!("echo \"[${{{VARIABLE}-unset}}]\"");
    // carol is not enrolled, bob is but has no token yet.
    let rows = [
        ("carol", "su -", &["[unset]", "[]"][..]),
        ("carol", "su", &["[]"]),
        ("bob", "su -", &["[unset]", "[]"]),
        ("bob", "su", &["[]"]),
        ("bob", "sudo -u", &["[unset]", "[]"]),
        ("carol", "sudo -u", &["[unset]", "[]"]),
        ("bob", "sudo -i -u", &["[unset]", "[]"]),
        ("bob", "sudo --preserve-env=PATH -u", &["[unset]", "[]"]),
    ];
    for (target, how, allowed) in rows {
        let seen = environment_in_session(&guest, how, target, &show);
        assert!(allowed.contains(&seen.as_str()), "{how} {target}: {seen}");
    }
    assert_eq!(environment_in_session(&guest, "sudo su", "root", &show), "[]");

    guest.put_token("bob", BOB);
    for how in ["su -", "su", "sudo -i -u"] {
        assert_eq!(environment_in_session(&guest, how, "bob", &show), format!("[{BOB}]"), "{how}");
    }
    let by_sudo = environment_in_session(&guest, "sudo -u", "bob", &show);
    assert!([format!("[{BOB}]"), "[unset]".into(), "[]".into()].contains(&by_sudo), "sudo -u bob: {by_sudo}");
}

/// Returns the output of a command that alice runs as another user from her interactive session,
/// which has her token.
fn environment_in_session(guest: &Guest, how: &str, target: &str, command: &str) -> String {
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt(&format!("printenv {VARIABLE}")), format!("{ALICE}\n"));
    let command = command.replace('"', "\\\"").replace('$', "\\$");
    let line = match how {
        "su" | "su -" => format!("{how} {target} -c \"{command}\""),
        "sudo su" => format!("sudo su {target} -c \"{command}\""),
        _ => format!("{how} {target} sh -c \"{command}\""),
    };
    terminal.type_line(&format!("echo 'begin''ning'; {line}"));
    terminal.wait_for("beginning\r\n");
    if how.starts_with("su ") || how == "su" {
        terminal.wait_for("Password: ");
        terminal.type_line(&format!("{target}-password"));
    }
    terminal.wait_for("[");
    let seen = terminal.wait_for("]");
    terminal.wait_for("$ ");
    terminal.leave();
    format!("[{seen}")
}

#[test]
fn token_removed_from_the_env_file_is_unset_at_next_login() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", ALICE);
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some(ALICE));
    guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("removing the env file");
    assert_eq!(guest.variable_over_ssh("alice"), None);
}

#[test]
fn env_file_can_set_only_a_well_formed_setup_token() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let before = guest.ssh("alice", "env").expect_success("ssh").text();
    let megabyte = format!("{VARIABLE}=sk-ant-oat01-{}\n", "a".repeat(1 << 20));
    let texts: [&[u8]; 14] = [
        b"",
        b"\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-api03-abc\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=hunter2\n",
        b"LD_PRELOAD=/tmp/evil.so\n",
        b"LD_PRELOAD=sk-ant-oat01-abc\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\nLD_PRELOAD=/tmp/evil.so\n",
        b"PATH=/tmp\nCLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-a\0b\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-$(id)\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc LD_PRELOAD=/tmp/evil.so\n",
        b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\xff\n",
        megabyte.as_bytes(),
    ];
    for text in texts {
        guest.put_env_file("alice", text);
        let after = guest.ssh("alice", "env").expect_success("ssh").text();
        let output = String::from_utf8_lossy(text.get(..80).unwrap_or(text)).into_owned();
        assert_eq!(normalize(&after), normalize(&before), "{output:?}");
    }
    guest.put_token("alice", ALICE);
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some(ALICE), "and a well-formed one is taken");
}

/// Returns the environment without the client's port and the number of the session.
fn normalize(environment: &str) -> Vec<&str> {
    environment
        .lines()
        .filter(|line| !line.starts_with("SSH_C") && !line.starts_with("XDG_SESSION_ID="))
        .collect()
}
