//! Objects that a user can place instead of the state, and their effect: no other user is harmed,
//! and the table reports it.

use cas_tests::claude_login::new_login;
use cas_tests::guest::{Guest, Suite};

use super::{published, row, run_service, status_of_all};

const STATE: &str = ".local/state/claude-auth-sync";

/// Writes as the user, in the user's state directory, and publishes as the service of a sync does.
#[track_caller]
fn put(guest: &Guest, script: &str) {
    let script = format!("cd /home/mallory/{STATE} && rm -rf state.json && {script}");
    guest.run(&format!("runuser -u mallory -- bash -c '{script}'")).expect_success("mallory at work");
    guest.publish("mallory");
}

fn reason(guest: &Guest) -> String {
    row(&status_of_all(guest), "mallory")["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn hostile_published_state_is_shown_as_unreadable() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("useradd --create-home mallory").expect_success("mallory");
    guest.enroll("mallory");
    for user in ["alice", "mallory"] {
        guest.put_login(user, &new_login(user));
        run_service(&guest, user);
        assert_eq!(guest.file_status(&published(user)), "600 root:root regular file");
    }
    // Some guests may not set the limit; root, whom it does not bind, creates the second name
    // below.
    guest.run("sysctl --quiet fs.protected_hardlinks=0 || true").expect_success("the worst case");
    let lines = "\\x1b]0;owned\\x07\\x1b[2J\\nalice  FAIL  fake";
    let not_regular = "state.json is not a regular file";
    let cases = [
        ("mkfifo state.json", not_regular),
        ("mkdir state.json", not_regular),
        ("ln -s /etc/shadow state.json", not_regular),
        ("ln -s /dev/zero state.json", not_regular),
        ("truncate -s 1T state.json", "state.json is larger than 65536 bytes"),
        ("head -c 60000 /dev/zero | tr \"\\0\" \"[\" >state.json", "it is not JSON"),
        ("head -c 60000 /dev/zero | tr \"\\0\" \"\\377\" >state.json", "state.json is not UTF-8"),
        ("printf \"{}\" >state.json", "it has no valid time"),
        ("chmod 0 .; true", "cannot read"),
        ("chmod 700 .; echo >state.json; chmod 0 state.json", "cannot read"),
    ];
    for (script, expected) in cases {
        put(&guest, script);
        let seen = status_of_all(&guest);
        let report = row(&seen, "mallory")["reason"].as_str().expect("a reason");
        assert!(report.starts_with("unreadable: ") && report.contains(expected), "{script}: {report}");
        assert_eq!(row(&seen, "mallory")["status"], "WARN", "{script}");
        assert_eq!(row(&seen, "alice")["severity"], "ok", "{script}");
        let metrics = guest.run("cas-sync metrics").expect_success(script).text();
        assert!(metrics.contains("claude_auth_status_code{user=\"mallory\"} 7\n"), "{script}: {metrics}");
        assert!(metrics.contains("claude_auth_collector_unreadable 1\n"), "{script}: {metrics}");
        guest.run(&format!("chmod 700 /home/mallory/{STATE}")).expect_success("as before");
    }

    // Links that lead to another user's state, and a second name of it.
    let alices = format!("/home/alice/{STATE}");
    guest.run("chmod 755 /home/alice /home/alice/.local /home/alice/.local/state").expect_success("careless");
    for script in [
        format!("cd .. && rm -rf claude-auth-sync && ln -s {alices} claude-auth-sync"),
        format!("ln -s {alices}/state.json state.json"),
    ] {
        put(&guest, &script);
        assert!(reason(&guest).starts_with("unreadable: "), "{script}: {}", reason(&guest));
        guest.run("cd /home/mallory/.local/state; test ! -L claude-auth-sync || { rm claude-auth-sync; install -d -o mallory -g mallory -m 700 claude-auth-sync; }").expect_success("as before");
    }
    guest
        .run(&format!("rm -f /home/mallory/{STATE}/state.json && ln {alices}/state.json /home/mallory/{STATE}/ && chmod 644 {alices}/state.json"))
        .expect_success("a second name");
    guest.publish("mallory");
    assert!(reason(&guest).contains("belongs to user id"), "{}", reason(&guest));

    // Wrong times, and characters that a terminal would interpret.
    put(
        &guest,
        &format!(
            "printf \"{{\\\"at_ms\\\":9999999999999,\\\"status\\\":\\\"OK\\\",\\\"text\\\":\\\"{lines}\\\"}}\" >state.json"
        ),
    );
    let seen = status_of_all(&guest);
    assert_eq!(row(&seen, "mallory")["severity"], "unreadable", "raw control characters are no JSON: {seen}");
    let escaped = lines.replace("\\x1b", "\\u001b").replace("\\x07", "\\u0007").replace("\\n", "\\u000a");
    let text = format!(
        r#"{{"at_ms":9999999999999,"status":"OK","text":"{escaped}","exit_code":0,"uid":0,"unreadable":"x"}}"#
    );
    guest.write(&format!("/home/mallory/{STATE}/state.json"), "mallory", "600", text.as_bytes());
    guest.publish("mallory");
    let table = guest.run("cas-sync status").text();
    assert!(!table.contains('\x1b') && !table.contains('\x07'), "{table:?}");
    assert!(table.contains("the last sync has a time in the future (in"), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("alice")).count(), 1, "{table}");
    assert!(guest.run("cas-sync metrics").text().contains("claude_auth_status_code{user=\"mallory\"} 6\n"));

    // Their next sync publishes again, or reports why not.
    run_service(&guest, "mallory");
    assert_eq!(row(&status_of_all(&guest), "mallory")["severity"], "ok");
    put(&guest, "mkfifo state.json");
    run_service(&guest, "mallory");
    assert!(
        reason(&guest).contains("not a regular file"),
        "what is no file is left to them: {}",
        reason(&guest)
    );

    // All of it belongs to root, and it is small.
    let foreign = "find /var/lib/claude-auth-sync /run/claude-auth-requests ! -type p ! -user root -o -type f -size +64k";
    assert_eq!(guest.run(foreign).text(), "");
}
