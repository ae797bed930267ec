//! Objects that block, or never end, in place of each file that a login or a sync opens.

use std::time::Duration;

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{CommandResult, Guest, Suite, VaultGuest, login_path},
};
use serde_json::json;

const STATE: &str = ".local/state/claude-auth-sync";
const CONFIG: &str = ".config/claude-auth-sync";

/// The overhead of sshd on a loaded machine, and of a program of the product that does not wait.
const IMMEDIATE_LIMIT: Duration = Duration::from_millis(1500);

/// How long a sync waits where a login was just deleted, because a logout changes two files.
const LOGOUT_WAIT: Duration = Duration::from_secs(2);

/// The deadline of the module.
const DEADLINE: Duration = Duration::from_secs(2);

#[test]
fn fifo_in_place_of_any_file_does_not_block() {
    replace_every_file(&[
        "mkfifo $p",
        "mkfifo $p; (exec 3<>$p; sleep 6) >/dev/null 2>&1 & sleep 0.02",
        "mkdir $p; touch $p/x",
        "ssh-agent -a $p >/dev/null",
        "mknod $p c 5 0",
    ]);
}

#[test]
fn endless_file_in_place_of_any_file_does_not_block() {
    replace_every_file(&[
        "ln -s /dev/zero $p",
        "ln -s $p $p",
        "truncate -s 10G $p",
        "head -c 4000000 /dev/zero | tr '\\0' '[' >$p",
    ]);
}

#[track_caller]
fn replace_every_file(obstacles: &[&str]) {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let guest = &host.guest;
    let alice = host.enroll("alice");
    let login = new_login("alices");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    guest.put_login("alice", &login);
    guest.sync("alice").expect_success("a backup");
    guest.run("cp -a /home/alice /home/kept").expect_success("a home in order");
    let below = |folder: &str, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("{folder}/{name}")).collect()
    };
    let claudes_locks =
        [".claude/.oauth_refresh.lock", ".claude/.storage-write.lock", ".claude.lock"].map(str::to_owned);
    let mut places =
        [".claude", ".claude/.credentials.json", ".config", CONFIG, ".local", ".local/state", STATE]
            .map(str::to_owned)
            .to_vec();
    places.extend(claudes_locks.clone());
    places.extend(below(CONFIG, &["claude-oauth.env", "vault-token"]));
    places.extend(below(STATE, &["history.json", "ledger.json", "store-contact.json", "vault-token.json"]));
    places.extend(below(
        STATE,
        &["replaced-credentials.json", "repair.lock", "state.lock", "lock", "sync.log"],
    ));
    places.push(format!("{STATE}/last-request"));
    for host in &places {
        for obstacle in obstacles {
            guest
                .run(&format!("rm -rf /home/alice && cp -a /home/kept /home/alice && echo '{{\"claudeAiOauth\":null}}' >/home/alice/.claude/.credentials.json; cd /home/alice; p={host}; rm -rf $p; {obstacle}; chown -h alice:alice $p"))
                .expect_success(obstacle);
            let with = format!("{obstacle} at {host}");
            CommandResult::run_within(DEADLINE + IMMEDIATE_LIMIT, &with, || run_su_and_launcher(guest));
            // A lock of Claude Code is waited for: up to the deadline at a login, longer in a sync.
            if !claudes_locks.contains(host) {
                let limit = LOGOUT_WAIT + IMMEDIATE_LIMIT;
                CommandResult::run_within(limit, &with, || guest.sync("alice"));
            }
        }
    }
    guest.run("rm -rf /home/alice && cp -a /home/kept /home/alice").expect_success("a home in order again");
    guest.put_login("alice", &cleared_login(&login));
    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
}

/// A restore that cannot be written is a failure with a remedy, in the sync, in doctor and in the
/// notice; the remedy works.
#[test]
fn obstacle_to_a_restore_is_reported_with_its_remedy() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("alices");
    guest.back_up_and_clear("alice", &login);
    let (directory, file) = ("/home/alice/.claude", login_path("alice"));
    let rows = [
        (format!("chattr +i {file}"), format!("chattr -ia {directory} {file}"), "`chattr -ia "),
        (format!("chattr +i {directory}"), format!("chattr -ia {directory} {file}"), "`chattr -ia "),
        (
            format!("cp -a {file} /home/over && mount --bind /home/over {file}"),
            format!("umount {file}"),
            "`umount /home/alice/.claude/.credentials.json`",
        ),
        (
            format!("mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}"),
            format!("mount -o remount,bind,rw {directory} && umount {directory}"),
            "`findmnt --target /home/alice/.claude`",
        ),
        // head(1) fails when the file system is full, which is the purpose.
        (
            format!(
                "cp -a {directory}/. /home/small && mount -t tmpfs -o size=32k,mode=700,uid=1000,gid=1000 small {directory} && cp -a /home/small/. {directory} && {{ head -c 64k /dev/zero >{directory}/zeros 2>/dev/null || true; }}"
            ),
            format!("rm {directory}/zeros"),
            "`df /home/alice/.claude`",
        ),
        (
            format!("chmod 500 {directory}"),
            format!("chmod 700 {directory}"),
            "owned by the user and writable",
        ),
    ];
    guest.run("install -d -o alice -g alice -m 700 /home/small").expect_success("a directory");
    for (obstruct, remedy, words) in rows {
        guest.run(&obstruct).expect_success(&obstruct);

        let failed = guest.sync("alice");
        let output = String::from_utf8_lossy(&failed.stdout).into_owned();
        assert_eq!(failed.code, Some(1), "{obstruct}: {output}");
        assert!(output.starts_with("FAIL the login was cleared"), "{obstruct}: {output}");
        assert!(output.contains(words) && !output.contains("later"), "{obstruct}: {output}");
        let doctor = guest.run("su alice -c 'cas-sync doctor'");
        let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let check = if obstruct.starts_with("chmod") { "claude-directory-mode" } else { "login-obstructed" };
        assert!(doctor.contains(check), "{obstruct}: {doctor}");
        let status = guest.run("su alice -c 'cas-sync status'");
        assert_ne!(status.code, Some(0), "{obstruct}");
        let notice = guest.run(&format!("cat /home/alice/{STATE}/notice")).text();
        assert!(
            notice.contains("cannot be restored") && notice.contains("cas-sync doctor"),
            "{obstruct}: {notice}"
        );

        guest.run(&remedy).expect_success(&remedy);
        let restored = guest.sync("alice");
        let output = String::from_utf8_lossy(&restored.stdout).into_owned();
        assert!(output.starts_with("RECOVERED "), "{remedy}: {output}");
        assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "{remedy}");
        guest.run(&format!("umount {directory} 2>/dev/null; true")).expect_success("the small disk");
        guest.put_login("alice", &cleared_login(&login));
    }
}

/// A user whose whole home cannot be written is told as well.
#[test]
fn full_home_or_read_only_home_is_a_failure_with_a_remedy() {
    for (obstruct, words) in [
        ("mount --bind /home/alice /home/alice && mount -o remount,bind,ro /home/alice", "findmnt --target"),
        // head(1) fails when the file system is full, which is the purpose.
        (
            "cp -a /home/alice /home/kept && mount -t tmpfs -o size=256k,mode=700,uid=1000,gid=1000 small /home/alice && cp -a /home/kept/. /home/alice && { head -c 1M /dev/zero >/home/alice/zeros 2>/dev/null || true; }",
            "free space",
        ),
    ] {
        let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
        guest.back_up_and_clear("alice", &new_login("alices"));
        guest.run(obstruct).expect_success(obstruct);
        let failed = guest.sync("alice");
        let output = String::from_utf8_lossy(&failed.stdout).into_owned();
        assert_eq!((failed.code, output.starts_with("FAIL ")), (Some(1), true), "{obstruct}: {output}");
        assert!(output.contains(words) && !output.contains("later"), "{obstruct}: {output}");
    }
}

#[test]
fn hostile_json_login_file_is_not_changed_in_time() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.back_up_and_clear("alice", &new_login("alices"));
    let path = login_path("alice");
    for (bomb, end) in [
        ("[", ""),
        ("{\"claudeAiOauth\":", ""),
        ("{\"claudeAiOauth\":[", ""),
        ("\"\\u0000", "\""),
        ("{\"a\":1,", "\"a\":1}"),
        ("9", ""),
    ] {
        guest
            .run_with_input(&format!("b=$(cat); yes \"$b\" | tr -d '\\n' | head -c 4190000 >{path}; printf '%s' '{end}' >>{path}; chown alice:alice {path}; chmod 600 {path}"), bomb.as_bytes())
            .expect_success(bomb);
        CommandResult::run_within(IMMEDIATE_LIMIT, bomb, || guest.ssh("alice", "true"));
        CommandResult::run_within(IMMEDIATE_LIMIT, bomb, || guest.sync("alice"));
        let output = guest
            .run("journalctl --sync; journalctl --quiet --output=cat --grep='cas-session failed|dumped core'")
            .text();
        assert_eq!(output, "", "{bomb}");
    }
}

/// Logs alice in by su, with the launcher as her first command.
fn run_su_and_launcher(guest: &Guest) -> CommandResult {
    guest.run("su alice -c 'cd && cas-session exec -- true'")
}
