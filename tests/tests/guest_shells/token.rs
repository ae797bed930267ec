//! The token of a user's env file, in shells that started without it.

use super::*;

#[test]
fn login_shell_gets_the_users_token_on_bookworm() {
    check_token_in_login_shells(Suite::Bookworm);
}

#[test]
fn login_shell_gets_the_users_token_on_trixie() {
    check_token_in_login_shells(Suite::Trixie);
}

fn check_token_in_login_shells(suite: Suite) {
    let guest = guest(suite);
    for (user, shell) in USERS {
        assert_eq!(variable(&guest, user), token_of(user), "{shell}");
        let set = run_lines(&guest, user, "set").expect_success("set").text();
        assert!(!set.contains("claude_auth_sync"), "{shell}: nothing is left behind: {set}");
    }
    // Debian's zsh reads nothing of the kind by itself.
    guest.run("sed -i '$d' /etc/zsh/zprofile").expect_success("removing the administrator's line");
    assert_eq!(variable(&guest, "carol"), "");

    for user in ["alice", "dora", "frida"] {
        guest.run(&format!("cas-sync unenroll {user}")).expect_success("unenrolling");
        assert_eq!(variable(&guest, user), "", "{user} is not managed any longer");
    }
}

#[test]
fn existing_token_is_kept_and_an_empty_one_replaced() {
    let guest = guest(Suite::Bookworm);
    let own = "sk-ant-oat01-of_a_pipeline";
    for (user, shell) in USERS {
        let login = format!("{shell} -l -c 'printenv {VARIABLE}'");
        let seen = guest.run(&format!("su - {user} -s /bin/sh -c \"unset {VARIABLE}; {login}\""));
        assert_eq!(seen.text().trim(), token_of(user), "{shell}: unset");
        let with = |value: &str| {
            guest
                .run(&format!("su - {user} -s /bin/sh -c \"{VARIABLE}='{value}' {login}\""))
                .text()
                .trim()
                .to_owned()
        };
        assert_eq!(with(own), own, "{shell}");
        assert_eq!(with(""), token_of(user), "{shell}: su sets it empty for a user without a token");
    }
}

#[test]
fn login_shell_never_gets_the_token_of_another_user() {
    let guest = guest(Suite::Bookworm);
    // The file can be found, but not read.
    guest
        .run("chmod 755 ~alice ~alice/.config ~alice/.config/claude-auth-sync")
        .expect_success("an open home");
    let becoming_bob = "setpriv --reuid=bob --regid=bob --init-groups";
    // `su -m` and `sudo -E` keep HOME and USER of the caller.
    for (user, shell) in USERS {
        let login = format!("{shell} -l -c 'printenv {VARIABLE}; id -un'");
        let strangers_home = format!("{becoming_bob} env HOME=/home/alice USER=alice LOGNAME=alice {login}");
        assert_eq!(guest.run(&strangers_home).text(), "bob\n", "{shell}: in alice's home");
        let roots = format!("HOME=/home/{user} USER={user} {login}");
        assert_eq!(guest.run(&roots).text(), "root\n", "{shell}: root in {user}'s home");
        let misnamed = format!("{becoming_bob} env HOME=/home/bob USER=alice LOGNAME=alice {login}");
        assert_eq!(
            guest.run(&misnamed).text(),
            format!("{}\nbob\n", token_of("bob")),
            "{shell}: it is the user id that counts"
        );
    }
    let sessions_of_alice = "su bob -s /bin/bash -c 'bash -l -c \"printenv CLAUDE_CODE_OAUTH_TOKEN\"'";
    let seen = guest.run(&format!("cd /home/alice; HOME=/home/alice USER=alice {sessions_of_alice}"));
    assert_eq!(seen.text().trim(), token_of("bob"), "su without a dash changes HOME and USER");
}

/// A user who traces the start files may show the trace to others.
#[test]
fn traced_shell_shows_no_token() {
    let guest = guest(Suite::Bookworm);
    for (user, shell) in USERS {
        let traced = match shell {
            "/usr/bin/fish" => "fish_trace=1 fish -l -c true".to_owned(),
            _ => format!("{shell} -x -l -c true"),
        };
        // The outer shell is a login shell too, and may have it.
        for set in [format!("--unset={VARIABLE}"), format!("{VARIABLE}=sk-ant-oat01-set_before")] {
            let seen = guest.run(&format!("su - {user} -s /bin/sh -c \"env {set} {traced}\" 2>&1"));
            let text = seen.expect_success(shell).text();
            assert!(!text.contains("sk-ant"), "{shell}: {text}");
            assert!(text.contains("claude-auth-sync"), "{shell}: it was traced: {text}");
        }
    }
}

#[test]
fn shell_with_errexit_starts_normally() {
    let guest = guest(Suite::Bookworm);
    let file = "/etc/profile.d/claude-auth-sync.sh";
    let rows = [
        format!("dash -euc '. {file}; echo alive'"),
        format!("bash -euc '. {file}; echo alive'"),
        format!("bash -o pipefail -euc '. {file}; echo alive'"),
        format!("bash --posix -euc '. {file}; echo alive'"),
        "zsh -euc '. /usr/share/claude-auth-sync/claude-auth-sync.zsh; echo alive'".to_owned(),
        "zsh -o ksh_arrays -o sh_word_split -o no_match -euc '. /usr/share/claude-auth-sync/claude-auth-sync.zsh; echo alive'".to_owned(),
    ];
    for user in ["alice", "nobody"] {
        for row in &rows {
            for environment in [
                "",
                "env -i ",
                "env -u HOME ",
                "env -u USER ",
                "env HOME= USER= ",
                "env HOME=/nowhere ",
                "env USER=../.. ",
            ] {
                let line = format!("runuser -u {user} -- {environment}{row}");
                let seen =
                    guest.run(&format!("USER={user} HOME=$(getent passwd {user} | cut -d: -f6) {line}"));
                assert_eq!((seen.text().as_str(), seen.stderr.len()), ("alive\n", 0), "{line}: {seen:?}");
            }
        }
    }
    // Without the program, as after a removal that kept configuration files.
    guest.run("rm /usr/bin/cas-session").expect_success("no program");
    for row in &rows {
        let seen = guest.run(&format!("USER=alice HOME=/home/alice runuser -u alice -- {row}"));
        assert_eq!((seen.text().as_str(), seen.stderr.len()), ("alive\n", 0), "{row}: {seen:?}");
    }
}
