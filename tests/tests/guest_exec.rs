//! `cas-session exec -- COMMAND`: for tmux and scripts, which outlive the login that started them.

use std::time::Duration;

use cas_tests::{
    claude_login::new_login,
    guest::{CommandResult, Guest, Suite, VARIABLE, VaultGuest, env_file_path},
};
use serde_json::json;

const ALICE: &str = "sk-ant-oat01-alice";
const STATE: &str = "/home/alice/.local/state/claude-auth-sync";

/// The duration of starting a process and a connection on a loaded machine.
const OWN_OVERHEAD: Duration = Duration::from_millis(1500);

/// Prints the variable as the command sees it, or `unset`.
fn show() -> String {
    format!("sh -c 'echo \"[${{{VARIABLE}-unset}}]\"'")
}

/// Returns the output of this line in a session of alice.
#[track_caller]
fn output_for_alice(guest: &Guest, line: &str) -> String {
    guest.ssh("alice", line).expect_success(line).text()
}

#[test]
fn exec_passes_the_token_only_to_its_command() {
    let guest = Guest::boot_with_product(Suite::Bookworm); // no user is enrolled: no login sets the token
    guest.put_token("alice", ALICE);
    let show = show();
    let line = format!("{show}; cas-session exec -- {show}; {show}; cas-session exec --wait=0 {show}");
    assert_eq!(output_for_alice(&guest, &line), format!("[unset]\n[{ALICE}]\n[unset]\n[{ALICE}]\n"));
    // The token is not on any command line, which every user can read.
    let seen = output_for_alice(
        &guest,
        "cas-session exec -- sh -c 'cat /proc/self/cmdline /proc/$PPID/cmdline' | tr '\\0' ' '",
    );
    assert!(!seen.contains("sk-ant"), "{seen}");

    // The rest of the environment, the arguments and the streams are the caller's.
    let env = "env | grep -v -e ^_= -e ^CLAUDE_CODE | sort";
    let line = format!(
        "sh -c '{env}' >plain; cas-session exec -- sh -c '{env}' >launched; diff plain launched && echo same"
    );
    assert_eq!(output_for_alice(&guest, &line), "same\n");
    let line = "echo text | cas-session exec -- sh -c 'cat; echo \"$@\"; echo wrong >&2' name --wait=9 -- '' 'a b' 2>errors; cat errors";
    assert_eq!(output_for_alice(&guest, line), "text\n--wait=9 --  a b\nwrong\n");

    guest.put_token("bob", "sk-ant-oat01-bob");
    let bobs = guest.ssh("bob", &format!("cas-session exec -- {show}")).expect_success("exec").text();
    assert_eq!(bobs, "[sk-ant-oat01-bob]\n");
}

#[test]
fn exec_exits_with_the_status_of_its_command() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.put_token("alice", ALICE);
    guest.write("/home/alice/plain", "alice", "644", b"#!/bin/sh\n");
    let rows = [
        ("cas-session exec -- true", 0, ""),
        ("cas-session exec -- sh -c 'exit 41'", 41, ""),
        ("cas-session exec -- sh -c 'kill -PIPE $$'; [ $? = 141 ] && exit 7", 7, ""),
        ("cas-session exec -- no-such-command", 127, "no-such-command"),
        ("cas-session exec -- /no/such/command", 127, "/no/such/command"),
        ("cas-session exec -- ./plain", 126, "./plain"),
        ("cas-session exec -- /tmp", 126, "/tmp"),
        ("cas-session exec", 2, "the command to run is missing"),
        ("cas-session exec --wait=soon true", 2, "--help"),
    ];
    for (line, code, output) in rows {
        let seen = guest.ssh("alice", line);
        assert_eq!(seen.code, Some(code), "{line}");
        let errors = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert!(errors.contains(output) && !errors.contains("sk-ant"), "{line}: {errors}");
        assert_eq!(errors.is_empty(), output.is_empty(), "{line}: {errors}");
    }
}

#[test]
fn exec_waits_for_a_restore_up_to_its_limit() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.put_login("alice", &new_login("first"));
    guest.sync("alice").expect_success("a sync, which makes the lock file");
    let repair = format!("{STATE}/repair.lock");
    let exec = |wait: &str| guest.ssh("alice", &format!("cas-session exec {wait} -- true"));
    let takes = |wait: &str, at_least: u64| {
        let at_least = Duration::from_secs(at_least);
        let seen =
            CommandResult::run_within(at_least + OWN_OVERHEAD, wait, || exec(wait)).expect_success("exec");
        assert!(seen.took >= at_least, "{wait}: {:?}", seen.took);
    };
    takes("--wait=20", 0); // nothing to wait for
    let to_its_end = || {
        guest.hold_lock(&repair, 2);
        exec("--wait=20")
    };
    let seen = CommandResult::run_within(
        Duration::from_secs(2) + OWN_OVERHEAD,
        "a repair of two seconds",
        to_its_end,
    );
    assert!(seen.took > Duration::from_secs(1), "{:?}", seen.took);
    guest.hold_lock(&repair, 60);
    takes("--wait=1", 1);
    takes("", 3);
    takes("--wait=0", 0);

    guest.release_lock();
    // No object in place of the lock makes the command wait.
    for obstacle in
        ["mkfifo $l", "mkdir $l", "ln -s /dev/zero $l", "ln -s $l $l", "ssh-agent -a $l >/dev/null"]
    {
        guest
            .run(&format!("l={STATE}/repair.lock; rm -rf $l; {obstacle}; chown -h alice $l"))
            .expect_success(obstacle);
        takes("--wait=20", 0);
    }
}

#[test]
fn older_tmux_session_gets_and_loses_the_setup_token() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let guest = &host.guest;
    let alice = host.enroll("alice");
    guest.put_login("alice", &new_login("whole"));
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    let start = |name: &str| {
        output_for_alice(guest, &format!("tmux -L {name} new-session -d -s work && echo started"))
    };
    // Types a line into the older session, and waits for its output.
    let in_tmux = |name: &str, line: &str| {
        let typed = format!("{line} >answer.new; mv answer.new answer").replace('\'', "'\\''");
        output_for_alice(
            guest,
            &format!(
                "rm -f answer; tmux -L {name} send-keys -l '{typed}'; tmux -L {name} send-keys Enter; for i in $(seq 200); do [ -e answer ] && break; sleep 0.05; done; cat answer"
            ),
        )
    };
    let (plain, launched) = (show(), format!("cas-session exec -- {}", show()));

    assert_eq!(start("before"), "started\n");
    assert_eq!(in_tmux("before", &launched), "[unset]\n", "no token exists yet");
    alice.put_document(&json!({ "setup_token": ALICE }));
    assert_eq!(start("with"), "started\n", "this login brought the token along");
    assert_eq!(in_tmux("before", &plain), "[unset]\n", "an old session's environment stays as it was");
    assert_eq!(in_tmux("before", &launched), format!("[{ALICE}]\n"));
    assert_eq!(in_tmux("with", &plain), format!("[{ALICE}]\n"));

    // Another token: that of the old session is outdated.
    alice.put_document(&json!({ "setup_token": "sk-ant-oat01-second" }));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(in_tmux("with", &plain), format!("[{ALICE}]\n"));
    assert_eq!(in_tmux("with", &launched), "[sk-ant-oat01-second]\n");

    // Withdrawn: a token that old sessions still have would override the login file.
    alice.put_document(&json!({ "setup_token": "" }));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(guest.read(&env_file_path("alice")), None);
    assert_eq!(in_tmux("with", &plain), format!("[{ALICE}]\n"));
    assert_eq!(
        in_tmux("with", &launched),
        "[unset]\n",
        "the first token is from the product, and is removed"
    );
    let own = format!("env {VARIABLE}=sk-ant-oat01-alices-own {launched}");
    assert_eq!(in_tmux("with", &own), "[sk-ant-oat01-alices-own]\n", "the token that alice set is kept");
    let second = format!("env {VARIABLE}=sk-ant-oat01-second {launched}");
    assert_eq!(in_tmux("with", &second), "[unset]\n");
}

#[test]
fn untrusted_env_file_is_named_and_not_used() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    let launch = format!("cas-session exec -- {}", show());
    for spoiled in
        ["chmod 666 $e", "chown bob $e; chmod 644 $e", "rm $e; mkfifo $e; chown alice $e", "echo x >>$e"]
    {
        guest.put_token("alice", ALICE);
        let e = env_file_path("alice");
        guest.run(&format!("e={e}; {spoiled}")).expect_success(spoiled);
        let (seen, _) = guest.ssh_within(OWN_OVERHEAD, "alice", &launch);
        assert_eq!(seen.text(), "[unset]\n", "{spoiled}");
        let errors = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert!(errors.contains("setup-token not used"), "{spoiled}: {errors}");
        guest.run(&format!("rm {e}")).expect_success("clearing up");
    }
}
