//! Files in place of a user's env file: only a regular file of the user is used.

use std::time::Duration;

use cas_tests::guest::{Guest, Suite, VARIABLE};

#[test]
fn env_file_that_is_not_regular_is_rejected_in_time() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let token = format!("{VARIABLE}=sk-ant-oat01-planted");
    let line = format!("echo {token}");
    let rows = [
        "mkfifo $e".to_owned(),
        "mkfifo $e; (exec 3<>$e; sleep 9) >/dev/null 2>&1 & sleep 0.1".to_owned(), // a writer has it open, and writes nothing
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
        let before = log_lines_about(&guest, "alice");
        let command = format!("echo in; printenv {VARIABLE} || true");
        let (seen, logins) = guest.ssh_within(Duration::from_millis(1500), "alice", &command);
        assert_eq!(seen.text(), "in\n", "{row}");
        let output = log_lines_about(&guest, "alice").split_off(before.len());
        assert_eq!(output.len(), logins, "{row}: {output:#?}");
        let line = output.concat();
        assert!(line.contains("WARN") && line.contains("env file not used"), "{row}: {line}");
        assert!(!line.contains("planted"), "{row}: {line}");
    }
    guest.run("rm -rf /home/alice/.config").expect_success("clearing up");
    guest.put_token("alice", "sk-ant-oat01-own");
    assert_eq!(
        guest.variable_over_ssh("alice").as_deref(),
        Some("sk-ant-oat01-own"),
        "and a plain one is taken"
    );
}

/// Returns what the module and the helper logged about a user.
fn log_lines_about(guest: &Guest, user: &str) -> Vec<String> {
    let output = guest
        .run(&format!("journalctl --sync; journalctl --quiet --output=cat --no-pager --grep='user={user} '"))
        .text();
    output.lines().map(str::to_owned).collect()
}
