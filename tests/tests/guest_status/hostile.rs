//! What a person may put where their syncs publish, and what becomes of it: nobody is harmed, and it shows.

use std::time::{Duration, Instant};

use cas_tests::claude_login::fresh;
use cas_tests::guest::{Guest, Suite};

use super::{everybody, published, row, run_service};

/// By the person, in their own folder.
#[track_caller]
fn put(guest: &Guest, script: &str) {
    let script = format!("cd /var/lib/claude-auth-sync/people/mallory && rm -rf state.json && {script}");
    guest.run(&format!("runuser -u mallory -- bash -c '{script}'")).expect_success("mallory at work");
}

#[test]
fn whatever_somebody_publishes_harms_nobody_and_shows_as_such() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("useradd --create-home mallory").expect_success("mallory");
    guest.enroll("mallory");
    for user in ["alice", "mallory"] {
        guest.put_login(user, &fresh(user));
        run_service(&guest, user);
    }
    // Some guests may not set it; the second name below is made by root, whom it does not bind.
    guest.run("sysctl --quiet fs.protected_hardlinks=0 || true").expect_success("the worst case");
    let state = published("alice");
    let lines = "\\x1b]0;owned\\x07\\x1b[2J\\nalice  FAIL  fake";
    let cases = [
        ("mkfifo state.json", "unreadable: it is no regular file"),
        ("mkdir state.json", "unreadable: it is no regular file"),
        ("ln -s /etc/shadow state.json", "unreadable: it is a link"),
        ("truncate -s 1T state.json", "unreadable: it is larger than 64 KiB"),
        ("head -c 60000 /dev/zero | tr \"\\0\" \"[\" >state.json", "unreadable: it is no JSON"),
        ("printf \"{}\" >state.json", "unreadable: it does not say when it was"),
    ];
    for (script, reason) in cases {
        put(&guest, script);
        let began = Instant::now();
        let seen = everybody(&guest);
        assert!(began.elapsed() < Duration::from_secs(20), "{script}: something was waited for");
        assert_eq!(row(&seen, "mallory")["reason"], reason, "{script}");
        assert_eq!(row(&seen, "mallory")["status"], "WARN", "{script}");
        assert_eq!(row(&seen, "alice")["rank"], "well", "{script}");
        let figures = guest.run("cas-sync metrics").expect_success(script).text();
        assert!(figures.contains("claude_auth_status_code{user=\"mallory\"} 7\n"), "{script}: {figures}");
        assert!(figures.contains("claude_auth_collector_unreadable 1\n"), "{script}: {figures}");
    }

    // A second name of somebody else's file: the folder is on the same file system.
    guest.run(&format!("rm /var/lib/claude-auth-sync/people/mallory/state.json && ln {state} /var/lib/claude-auth-sync/people/mallory/state.json"))
        .expect_success("a second name");
    let reason = row(&everybody(&guest), "mallory")["reason"].to_string();
    assert!(reason.contains("unreadable: it belongs to user id"), "{reason}");

    // Lies about the time, and letters that a terminal would obey.
    put(
        &guest,
        &format!(
            "printf \"{{\\\"at_ms\\\":9999999999999,\\\"status\\\":\\\"OK\\\",\\\"text\\\":\\\"{lines}\\\"}}\" >state.json"
        ),
    );
    let seen = everybody(&guest);
    assert_eq!(row(&seen, "mallory")["rank"], "unreadable", "raw control characters are no JSON: {seen}");
    let escaped = lines.replace("\\x1b", "\\u001b").replace("\\x07", "\\u0007").replace("\\n", "\\u000a");
    let text = format!(r#"{{"at_ms":9999999999999,"status":"OK","text":"{escaped}","exit_code":0}}"#);
    guest.write(&published("mallory"), "mallory", "600", text.as_bytes());
    let table = guest.run("cas-sync status").text();
    assert!(!table.contains('\x1b') && !table.contains('\x07'), "{table:?}");
    assert!(table.contains("it says to be of a sync in"), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("alice")).count(), 1, "{table}");
    assert!(guest.run("cas-sync metrics").text().contains("claude_auth_status_code{user=\"mallory\"} 6\n"));

    // A file system of theirs over the folder is not even asked.
    guest
        .run("mount -t tmpfs -o uid=$(id -u mallory),mode=700 none /var/lib/claude-auth-sync/people/mallory")
        .expect_success("a mount");
    guest.run("cp /var/lib/claude-auth-sync/people/alice/state.json /var/lib/claude-auth-sync/people/mallory/ && chown mallory: /var/lib/claude-auth-sync/people/mallory/state.json").expect_success("a state in it");
    assert_eq!(row(&everybody(&guest), "mallory")["reason"], "unreadable: something is mounted there");
    guest.run("umount /var/lib/claude-auth-sync/people/mallory").expect_success("as before");

    // Their next sync publishes over it, or says why not.
    run_service(&guest, "mallory");
    assert_eq!(row(&everybody(&guest), "mallory")["rank"], "well");
    put(&guest, "mkfifo state.json");
    run_service(&guest, "mallory");
    let reason = row(&everybody(&guest), "mallory")["reason"].to_string();
    assert!(reason.contains("no regular file"), "what is no file is left to them: {reason}");
}
