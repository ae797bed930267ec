//! The notice: on the user's own terminal and nowhere else.

use super::*;

const SAID: &str = "Claude Code: your login is lost";

/// Creates a notice that was not shown yet.
#[track_caller]
fn put_notice(guest: &Guest, user: &str, text: &[u8]) {
    let folder = folder_of(user);
    guest
        .run(&format!(
            "install -d -m 700 -o {user} -g {user} ~{user}/.local ~{user}/.local/state {folder}; rm -f {folder}/notice.json"
        ))
        .expect_success("a folder");
    guest.write(&format!("{folder}/notice"), user, "600", text);
}

fn folder_of(user: &str) -> String {
    format!("/home/{user}/.local/state/claude-auth-sync")
}

/// Returns everything that a login at a terminal shows until the user logs out.
#[track_caller]
fn screen(guest: &Guest, user: &str) -> String {
    let mut terminal = guest.ssh_terminal(user);
    let before = terminal.at_prompt("true");
    before + &terminal.leave()
}

/// As above, from the start: includes what is printed before the first prompt.
#[track_caller]
fn shows_notice(guest: &Guest, user: &str) -> bool {
    let recorded = guest.run(&format!(
        "printf 'echo at the prompt\\nexit\\n' | timeout 60 script -qec 'su - {user}' /dev/null"
    ));
    let text = recorded.text();
    assert!(text.contains("at the prompt"), "{user}: {text}");
    text.contains(SAID)
}

#[test]
fn notice_is_shown_sanitized_until_its_file_is_removed() {
    let guest = guest(Suite::Bookworm);
    for (user, shell) in USERS {
        assert!(!shows_notice(&guest, user), "{shell}: no notice");
        put_notice(
            &guest,
            user,
            b"Claude Code: your login \x1b]0;title\x07is\x9b31m lost\r\x08\nrun \x1b[2Jthis\n",
        );
        let mut terminal = guest.ssh_terminal(user);
        terminal.wait_for("Claude Code: your login ]0;titleis31m lostrun [2Jthis");
        terminal.leave();
        put_notice(&guest, user, format!("{SAID}; do this\n").as_bytes());
        assert!(shows_notice(&guest, user), "{shell}");
        put_notice(&guest, user, &[b"y".repeat(150), SAID.as_bytes().to_vec(), b"x".repeat(60_000)].concat());
        assert!(
            shows_notice(&guest, user) && !screen(&guest, user).contains("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
            "{shell}: cut"
        );
        put_notice(&guest, user, &[SAID.as_bytes().to_vec(), b"x".repeat(100_000)].concat());
        assert!(!shows_notice(&guest, user), "{shell}: too large for a notice");
        guest.run(&format!("rm {}/notice", folder_of(user))).expect_success("removed");
        assert!(!shows_notice(&guest, user), "{shell}: removed");
    }
}

#[test]
fn notice_is_shown_once_a_day_on_all_terminals() {
    let guest = guest(Suite::Bookworm);
    for (user, shell) in USERS {
        let record = format!("{}/notice.json", folder_of(user));
        put_notice(&guest, user, format!("{SAID}; do this\n").as_bytes());
        assert!(shows_notice(&guest, user), "{shell}");
        assert_eq!(guest.file_status(&record), format!("600 {user}:{user} regular file"));
        assert!(
            !shows_notice(&guest, user) && !screen(&guest, user).contains(SAID),
            "{shell}: an hour later"
        );
        for (hours, is_daily, expected) in [(17, true, true), (12, true, false), (1000, false, false)] {
            let ago = format!("$(($(date +%s) - {hours} * 3600))000");
            guest
                .run(&format!(
                    "echo \"{{\\\"reason\\\":\\\"login-lost\\\",\\\"is_daily\\\":{is_daily},\\\"shown_at_ms\\\":{ago}}}\" >{record}"
                ))
                .expect_success("seen before");
            assert_eq!(shows_notice(&guest, user), expected, "{shell}: seen {hours} hours ago");
        }
        // If the display cannot be recorded, the notice is shown anyway.
        guest.run(&format!("rm {record}; chmod 500 {}", folder_of(user))).expect_success("read-only");
        assert!(shows_notice(&guest, user) && shows_notice(&guest, user), "{shell}: nothing can be noted");
        guest.run(&format!("chmod 700 {}", folder_of(user))).expect_success("writable");
        for content in ["{", "[]", "{\\\"shown_at_ms\\\":\\\"x\\\"}"] {
            guest.run(&format!("echo \"{content}\" >{record}")).expect_success("damaged");
            assert!(shows_notice(&guest, user), "{shell}: {content}");
        }
    }
}

#[test]
fn notice_that_is_not_a_regular_own_file_is_ignored() {
    let guest = guest(Suite::Bookworm);
    for (user, shell) in USERS {
        for obstacle in [
            "mkfifo $n".to_owned(),
            "mkdir $n".to_owned(),
            "mknod $n c 1 5".to_owned(),
            format!("echo '{SAID}' >$d/other; chown {user} $d/other; ln -s other $n"),
            format!("echo '{SAID}' >$n; OWNER=bob; chmod 644 $n"),
            format!("echo '{SAID}' >$n; chmod 000 $n"),
        ] {
            put_notice(&guest, user, b"");
            guest
                .run(&format!(
                    "d={}; n=$d/notice; rm -rf $n; OWNER={user}; {obstacle}; chown -h $OWNER $n",
                    folder_of(user)
                ))
                .expect_success(&obstacle);
            assert!(!shows_notice(&guest, user), "{shell}: {obstacle}");
        }
    }
}

#[test]
fn notice_is_not_shown_without_a_terminal() {
    let guest = guest(Suite::Bookworm);
    for (user, shell) in USERS {
        put_notice(&guest, user, format!("{SAID}\n").as_bytes());
        for command in ["true", &format!("{shell} -l -c true"), &format!("{shell} -l -i -c true </dev/null")]
        {
            let seen = guest.ssh(user, command);
            let all = seen.text() + &String::from_utf8_lossy(&seen.stderr);
            assert!(!all.contains(SAID), "{shell}: {command}: {all}");
        }
        let seen = run_lines(&guest, user, "echo in");
        assert!(
            !(seen.text() + &String::from_utf8_lossy(&seen.stderr)).contains(SAID),
            "{shell}: without a terminal"
        );
        guest.run(&format!("cas-sync unenroll {user}")).expect_success("unenrolling");
        assert!(!shows_notice(&guest, user), "{shell}: a user who is not managed gets nothing");
    }
}
