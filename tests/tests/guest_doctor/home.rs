//! The content of a home: login, modes, locks, start files.

use cas_tests::{
    claude_login,
    guest::{Guest, Suite},
};

use super::row::{self, Row, Who, diagnosis, finding, row, run_as};

const STATE: &str = ".local/state/claude-auth-sync";

/// The order matters where a remedy leaves something for the next row.
pub(crate) const ROWS: [Row; 26] = [
    row("login-missing", "rm .claude/.credentials.json"),
    row(
        "login-cleared",
        "rm .claude/.credentials.json; runuser -u alice -- cp emptied .claude/.credentials.json",
    ),
    row("login-invalid", "echo '{' >.claude/.credentials.json"),
    row("login-scope", r#"sed -i 's/"user:inference"/"user:profile"/' .claude/.credentials.json"#),
    row(
        "login-unreadable",
        "rm .claude/.credentials.json; runuser -u alice -- mkfifo -m 600 .claude/.credentials.json",
    ),
    row(
        "login-obstructed",
        "cp good .claude/.credentials.json; chown alice: .claude/.credentials.json; chattr +i .claude/.credentials.json",
    )
    .as_root(),
    row("state-corrupt", "echo '{' >.local/state/claude-auth-sync/ledger.json"),
    // No command is printed, because any directory on the path may be a symlink that root has
    // created for a reason.
    row("wrong-owner", "chown root: .claude.json").otherwise("chown alice: .claude.json"),
    row("wrong-owner", "chown root: .claude").otherwise("chown alice: .claude"),
    row(
        "login-mode",
        "cp good .claude/.credentials.json; chown alice: .claude/.credentials.json; chmod 644 .claude/.credentials.json",
    ),
    row("claude-directory-mode", "chmod 777 .claude"),
    row("claude-directory-mode", "chmod 500 .claude"),
    row("config-mode", "chmod 755 .config/claude-auth-sync"),
    row("config-mode", "chmod 755 .config/claude-auth-sync").as_root(),
    row("state-mode", "chmod 750 .local/state/claude-auth-sync"),
    row(
        "lock-future",
        "runuser -u alice -- mkdir .claude/.storage-write.lock; touch -d '+1 day' .claude/.storage-write.lock",
    ),
    row("lock-foreign", "mkdir .claude.lock"),
    row("lock-obstructed", "echo >.claude/.oauth_refresh.lock"),
    row("override-shell-startup", "echo 'export ANTHROPIC_API_KEY=sk-ant-api03-x' >>.bashrc"),
    row(
        "override-shell-startup",
        "runuser -u alice -- sh -c 'mkdir -p .config/fish; echo set -gx ANTHROPIC_AUTH_TOKEN x >.config/fish/config.fish'",
    ),
    row(
        "env-file-malformed",
        "install -o alice -g alice -m 600 /dev/null .config/claude-auth-sync/claude-oauth.env; echo hello >.config/claude-auth-sync/claude-oauth.env",
    ),
    row("env-file-unusable", "runuser -u alice -- mkfifo -m 600 .config/claude-auth-sync/claude-oauth.env"),
    row("onboarding-pending", "rm -f .claude.json"),
    row("onboarding-pending", r#"echo '{"numStartups":{"a":1}}' >.claude.json"#),
    row("claude-json-unusable", "echo '{' >.claude.json"),
    row("claude-json-unusable", "rm -f .claude.json; runuser -u alice -- mkdir .claude.json"),
];

/// Creates a guest in which alice has a backed-up login. No unit runs, so that nothing is repaired
/// meanwhile.
fn fixture() -> Guest {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let good = claude_login::new_login("one");
    guest.put_login("alice", &good);
    guest.sync("alice").expect_success("the first backup");
    guest.write("/home/alice/good", "alice", "600", good.as_bytes());
    guest.write("/home/alice/emptied", "alice", "600", claude_login::cleared_login(&good).as_bytes());
    guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    guest
        .run("cd /home/alice && install -d -m 700 -o alice -g alice .config .config/claude-auth-sync .local")
        .expect_success("folders");
    guest
}

#[test]
fn home_problem_is_fixed_by_the_printed_remedy() {
    row::check_rows(&fixture(), &ROWS, "");
}

#[test]
fn fix_applies_safe_remedies_and_names_them_first() {
    let guest = fixture();
    let broken = format!("cd /home/alice && chmod 755 {STATE} && chmod 644 .claude/.credentials.json");
    guest.run(&broken).expect_success("breaking it");

    let dry = run_as(&guest, Who::Alice, "cas-sync doctor --fix --dry-run").text();
    assert!(dry.contains(&format!("Would set the mode of /home/alice/{STATE} to 0700.\n")), "{dry}");
    assert_eq!(guest.file_status(&format!("/home/alice/{STATE}")), "755 alice:alice directory");

    let output = run_as(&guest, Who::Alice, "cas-sync doctor --fix").text();
    assert!(
        output.starts_with("Going to set the mode of /home/alice/.claude/.credentials.json to 0600.\n"),
        "{output}"
    );
    let after = diagnosis(&guest, Who::Alice);
    for id in ["state-mode", "login-mode"] {
        assert!(finding(&after, id).is_none(), "{id}: {after}");
    }

    guest
        .run(
            "cd /home/alice && cp emptied .claude/.credentials.json; chmod 750 .local/state/claude-auth-sync",
        )
        .expect_success("again");
    let output = run_as(&guest, Who::Root, "cas-sync doctor alice --fix");
    let after = diagnosis(&guest, Who::Root);
    assert!(finding(&after, "state-mode").is_none(), "{output:?} {after}");
    assert!(finding(&after, "login-cleared").is_none(), "by the user's own service: {output:?} {after}");
    assert_eq!(
        guest.read_login("alice"),
        claude_login::parsed(&String::from_utf8(guest.read("/home/alice/good").expect("it")).expect("text"))
            .to_string()
    );
}

/// Claude Code may be writing the same file, so it is changed under its lock, or not at all.
#[test]
fn client_state_file_is_changed_under_the_client_lock() {
    let guest = fixture();
    let before = r#"{ "numStartups": {"a":1} }"#;
    guest.run(&format!("echo '{before}' >/home/alice/.claude.json; runuser -u alice -- mkdir /home/alice/.claude.json.lock")).expect_success("its first start has not completed, and it holds the lock");
    let holder = "while touch --no-create /home/alice/.claude.json.lock && test -d /home/alice/.claude.json.lock; do sleep 1; done";
    guest
        .run(&format!("systemd-run --quiet --unit=holder sh -c '{holder}'"))
        .expect_success("a client that holds it");
    let found = diagnosis(&guest, Who::Alice);
    let command =
        finding(&found, "onboarding-pending").expect("found")["command"].as_str().expect("a command");
    let held = run_as(&guest, Who::Alice, command).text();
    assert!(held.contains("Not fixed") && held.contains(".claude.json.lock"), "{held}");
    assert_eq!(guest.read("/home/alice/.claude.json"), Some(format!("{before}\n").into_bytes()));
    guest.run("rmdir /home/alice/.claude.json.lock").expect_success("it has released it");
    // Also if root runs it: the change is made by a process with the user id of alice.
    run_as(&guest, Who::Root, "cas-sync doctor --fix alice");
    let after = guest.read("/home/alice/.claude.json").expect("there");
    let after = claude_login::parsed(&String::from_utf8(after).expect("text"));
    assert_eq!(after, serde_json::json!({"hasCompletedOnboarding": true, "numStartups": {"a": 1}}));
    assert_eq!(guest.file_status("/home/alice/.claude.json"), "600 alice:alice regular file");
}

#[test]
fn doctor_checks_the_environment_of_the_calling_shell() {
    let guest = fixture();
    let script = "export ANTHROPIC_API_KEY=sk-ant-api03-x
        cas-sync doctor --json; echo
        unset ANTHROPIC_API_KEY
        cas-sync doctor --json";
    let output = run_as(&guest, Who::Alice, script).text();
    let mut report = output.lines().filter(|line| !line.is_empty()).map(claude_login::parsed);
    let (before, after) = (report.next().expect("the first"), report.next().expect("the second"));
    let found = finding(&before, "override-environment").unwrap_or_else(|| panic!("{before}"));
    assert_eq!(found["command"], "unset ANTHROPIC_API_KEY");
    assert!(finding(&after, "override-environment").is_none(), "{after}");
    assert!(!output.contains("sk-ant-api03-x"), "a value is never shown");
    // Root has another environment than the user.
    let root = run_as(&guest, Who::Root, "ANTHROPIC_API_KEY=x cas-sync doctor alice --json").text();
    assert!(finding(&claude_login::parsed(&root), "override-environment").is_none(), "{root}");
}

#[test]
fn root_accesses_no_home_and_waits_for_none() {
    let guest = fixture();
    // Root neither follows nor waits for anything that alice places where doctor looks.
    let hostile = "cd /home/alice && rm -rf .claude.json .bashrc .config/claude-auth-sync .claude/.credentials.json .claude/settings.json
        runuser -u alice -- sh -c '
            mkfifo .claude.json .bashrc .claude/.credentials.json .claude/settings.json .claude/.oauth_refresh.lock.owner
            ln -s /etc/shadow .zshrc; ln -s /root .config/claude-auth-sync; ln -s /dev/zero .profile
            mkdir \"$(printf \".claude/.oauth_refresh.lock\")\"'";
    guest.run(hostile).expect_success("a hostile home");
    let output = run_as(&guest, Who::Root, "timeout 60 cas-sync doctor alice --json");
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = claude_login::parsed(&output.text());
    assert_eq!(report["inspections"][0]["error"], serde_json::Value::Null, "{report}");
    assert!(!output.text().contains("root:"), "nothing of another's is shown: {output:?}");
    // Root runs no program of alice, and none of her text is in a command for root or on root's
    // terminal.
    let worse = r##"cd /home/alice && rm -rf .config .claude && ln -s /etc .config && runuser -u alice -- sh -c '
            mkdir -p .local/bin; printf "#!/bin/sh\ntouch /tmp/started\necho 2.1.329\n" >.local/bin/claude; chmod 755 .local/bin/claude
            odd=$(printf "x\033]0;y\007\302\233"); mkdir -p "$odd/.oauth_refresh.lock"; ln -s "$odd" .claude
            touch -d "-10 minutes" "$odd/.oauth_refresh.lock"'"##;
    guest.run(worse).expect_success("a worse home");
    for arguments in ["", "--json", "--fix --dry-run", "--verbose"] {
        let output =
            run_as(&guest, Who::Root, &format!("timeout 60 cas-sync doctor alice {arguments}")).text();
        assert!(!output.contains(|letter: char| letter.is_control() && letter != '\n'), "{output:?}");
        assert!(!output.contains("chown ") && !output.contains("runuser"), "{output}");
    }
    assert!(!guest.run("test -e /tmp/started").succeeded(), "the program of alice is not started");
    let other = run_as(&guest, Who::Alice, "cas-sync doctor bob");
    assert_eq!(other.code, Some(1));
    assert!(
        String::from_utf8_lossy(&other.stderr)
            .starts_with("cas-sync: cannot inspect another user: only root can"),
        "{other:?}"
    );
}
