//! The examples, used as documented.

use std::path::Path;

use cas_tests::{
    anthropic::fingerprint,
    claude_login::new_login,
    guest::{ClaudeGuest, Guest, Suite, VARIABLE, env_file_path},
};

const ALICE: &str = "sk-ant-oat01-alice_A-1";

/// Copies an example to this path in the guest.
#[track_caller]
fn copy(guest: &Guest, example: &str, path: &str, mode: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/examples").join(example);
    let bytes = std::fs::read(&source).unwrap_or_else(|error| panic!("{example}: {error}"));
    guest.write(path, "root", mode, &bytes);
}

/// Returns a variable in the environment of a unit's main process.
#[track_caller]
fn in_service(guest: &Guest, unit: &str) -> String {
    guest
        .run(&format!(
            "pid=$(systemctl show --property=MainPID --value {unit}); tr '\\0' '\\n' </proc/$pid/environ | grep ^{VARIABLE}= || echo none"
        ))
        .expect_success("looking at a service")
        .text()
        .trim()
        .to_owned()
}

#[track_caller]
fn restart(guest: &Guest, unit: &str) {
    guest.run(&format!("systemctl restart {unit}")).expect_success("restarting");
    // The launcher becomes the program.
    guest
        .run(&format!(
            "for i in $(seq 400); do [ \"$(cat /proc/$(systemctl show --property=MainPID --value {unit})/comm)\" = sleep ] && exit; sleep 0.05; done; exit 1"
        ))
        .expect_success("waiting for the program");
}

#[test]
fn example_service_gets_the_current_token_within_its_limits() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    copy(&guest, "t3-serve@.service", "/etc/systemd/system/t3-serve@.service", "644");
    guest.write("/usr/local/bin/t3", "root", "755", b"#!/bin/sh\nexec sleep 600\n");
    guest
        .run("mkdir -p /srv/people && usermod --home /srv/people/bob --move-home bob && systemctl daemon-reload")
        .expect_success("a home elsewhere");
    guest.put_token("alice", ALICE);
    let moved = format!(
        "d=/srv/people/bob/.config/claude-auth-sync; install -d -o bob -g bob -m 700 /srv/people/bob/.config $d
         echo {VARIABLE}=sk-ant-oat01-bob >$d/claude-oauth.env; chown bob:bob $d/claude-oauth.env; chmod 600 $d/claude-oauth.env"
    );
    guest.run(&moved).expect_success("bob's token");
    let verified = guest.run("systemd-analyze verify --man=no t3-serve@alice.service 2>&1");
    assert_eq!((verified.code, verified.text().as_str()), (Some(0), ""));

    for (user, token) in [("alice", ALICE), ("bob", "sk-ant-oat01-bob")] {
        let unit = format!("t3-serve@{user}.service");
        restart(&guest, &unit);
        assert_eq!(in_service(&guest, &unit), format!("{VARIABLE}={token}"));
        let home = guest.run(&format!("getent passwd {user} | cut -d: -f6")).text();
        let host =
            guest.run(&format!("readlink /proc/$(systemctl show --property=MainPID --value {unit})/cwd"));
        assert_eq!(host.text(), home);
        let limits = guest.run(&format!(
            "systemctl show {unit} --property=User,MemoryHigh,MemoryMax,MemorySwapMax,TasksMax,KillMode"
        ));
        let mut limits: Vec<String> = limits.text().lines().map(str::to_owned).collect();
        limits.sort();
        let user = format!("User={user}");
        let expected = [
            "KillMode=process",
            "MemoryHigh=6442450944",
            "MemoryMax=8589934592",
            "MemorySwapMax=1073741824",
            "TasksMax=2048",
            &user,
        ];
        assert_eq!(limits, expected);
    }
    guest.put_token("alice", "sk-ant-oat01-alices_next");
    restart(&guest, "t3-serve@alice.service");
    assert_eq!(in_service(&guest, "t3-serve@alice.service"), format!("{VARIABLE}=sk-ant-oat01-alices_next"));
    guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("withdrawn");
    restart(&guest, "t3-serve@alice.service");
    assert_eq!(in_service(&guest, "t3-serve@alice.service"), "none");
}

/// The reason why the example has no `EnvironmentFile=`: systemd itself opens that file, and waits.
#[test]
fn fifo_as_env_file_does_not_block_the_example_service() {
    for suite in [Suite::Bookworm, Suite::Trixie] {
        let guest = Guest::with_product(suite, &["alice"]);
        copy(&guest, "t3-serve@.service", "/etc/systemd/system/t3-serve@.service", "644");
        guest.write("/usr/local/bin/t3", "root", "755", b"#!/bin/sh\nexec sleep 600\n");
        guest.put_token("alice", ALICE);
        let fifo = env_file_path("alice");
        guest.run(&format!("rm {fifo}; mkfifo {fifo}; chown alice {fifo}")).expect_success("a FIFO");
        let requests = "timeout 10 systemctl is-active ssh.service";

        guest.run("systemctl daemon-reload").expect_success("reading the unit");
        restart(&guest, "t3-serve@alice.service");
        assert_eq!(in_service(&guest, "t3-serve@alice.service"), "none");
        guest.run(requests).expect_success("systemd answers");

        guest
            .run(
                "systemctl stop t3-serve@alice; d=/etc/systemd/system/t3-serve@.service.d; mkdir $d
                 printf '[Service]\\nEnvironmentFile=-/home/%%i/.config/claude-auth-sync/claude-oauth.env\\n' >$d/former.conf
                 systemctl daemon-reload; timeout 5 systemctl start --no-block t3-serve@alice.service; true")
            .expect_success("as it used to be");
        assert_eq!(guest.run(requests).code, Some(124), "systemd waits for alice and blocks all users");
        guest.run(&format!("timeout 5 sh -c ': >{fifo}'")).expect_success("the other end");
        guest.run(requests).expect_success("and continues");
    }
}

#[test]
fn tmux_launcher_starts_claude_with_the_current_token() {
    let host = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    let guest = &host.guest;
    copy(guest, "start-claude.sh", "/usr/local/bin/start-claude", "755");
    host.anthropic.accept_setup_token(ALICE);
    // A tmux server that is older than the token.
    guest.ssh("alice", "tmux new-session -d -s old").expect_success("tmux");
    guest.put_token("alice", ALICE);

    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    terminal.type_line("export TERM=xterm; start-claude work -p 'Reply with AUTH_OK.' --model haiku");
    let request_log = |request: &cas_tests::anthropic::LoggedRequest| {
        request.is_message() && request.token == Some(fingerprint(ALICE))
    };
    let deadline = cas_protocol::deadline::Deadline::after(std::time::Duration::from_secs(60));
    assert!(host.anthropic.wait_for(&deadline, request_log), "{:?}", host.anthropic.requests());
    terminal.wait_for("[exited]");

    // An existing session is attached to, and nothing is started.
    host.anthropic.forget_requests();
    terminal.type_line("tmux new-session -d -s work 'echo already here; sleep 600'; start-claude work");
    terminal.wait_for("already here");
    assert_eq!(host.anthropic.requests().len(), 0);
}

#[test]
fn user_units_sync_a_user_who_is_not_enrolled() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.put_login("alice", &new_login("laptop"));
    let folder = "/home/alice/.config/systemd/user";
    guest
        .run(&format!("install -d -o alice -g alice ~alice/.config ~alice/.config/systemd {folder}"))
        .expect_success("a folder");
    for unit in ["claude-auth-sync.service", "claude-auth-sync.timer"] {
        copy(&guest, &format!("user/{unit}"), &format!("{folder}/{unit}"), "644");
    }
    let verified = guest.ssh("alice", &format!("systemd-analyze --user verify --man=no {folder}/* 2>&1"));
    assert_eq!((verified.code, verified.text().as_str()), (Some(0), ""));

    let seen = guest.ssh(
        "alice",
        "systemctl --user daemon-reload && systemctl --user enable --now claude-auth-sync.timer 2>/dev/null
         systemctl --user start claude-auth-sync.service && cat ~/.local/state/claude-auth-sync/sync.log
         systemctl --user list-timers --no-legend | grep -o 'claude-auth-sync.*'",
    );
    let text = seen.expect_success("a sync").text();
    assert!(text.contains(" OK login complete") && text.contains("backed up"), "{text}");
    assert!(text.ends_with("claude-auth-sync.timer claude-auth-sync.service\n"), "{text}");
}
