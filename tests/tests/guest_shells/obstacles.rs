//! Invalid objects in place of an env file or a notice: nothing is run, waited for, or shown.

use cas_tests::guest::env_file_path;

use super::*;

#[test]
fn invalid_env_file_sets_nothing_and_does_not_block_a_shell() {
    let guest = guest(Suite::Bookworm);
    let line = format!("{VARIABLE}=sk-ant-oat01-planted");
    let rows = [
        "mkfifo $e".to_owned(),
        "mkfifo $e; (exec 3<>$e; sleep 600) >/dev/null 2>&1 & sleep 0.1".to_owned(),
        "mkdir $e".to_owned(),
        "mknod $e c 1 5".to_owned(),
        "ln -s /etc/shadow $e".to_owned(),
        "ln -s $e $e".to_owned(),
        format!("echo {line} >$d/own; chown $OWNER $d/own; chmod 600 $d/own; ln -s own $e"),
        format!("echo {line} >$d/own; chown $OWNER $d/own; chmod 600 $d/own; ln $d/own $e"),
        format!("echo {line} >$e; chmod 644 $e; OWNER=bob"),
        format!("echo {line} >$e; MODE=666"),
        format!("echo {line} >$e; MODE=000"),
        format!("echo {line} >$e; truncate -s 10G $e"),
        format!("printf '{line}\\0\\n' >$e"),
        format!("printf '{line}\\r\\n' >$e"),
        format!("printf '{line}\\n{line}\\n' >$e"),
        format!("printf '{line}\\nPATH=/tmp\\n' >$e"),
        format!("printf '\\n{line}\\n' >$e"),
        format!("printf 'export {line}\\n' >$e"),
        format!("echo '{line}; touch /tmp/ran' >$e"),
        format!("echo '{line}$(touch /tmp/ran)' >$e"),
        format!("echo '{line}`touch /tmp/ran`' >$e"),
        "echo 'touch /tmp/ran' >$e".to_owned(),
        format!("printf '{line}\\344\\n' >$e"),
        format!("echo {VARIABLE}= >$e"),
        ": >$e".to_owned(),
    ];
    for (user, shell) in USERS {
        let place =
            format!("d=/home/{user}/.config/claude-auth-sync; e=$d/claude-oauth.env; OWNER={user}; MODE=600");
        for row in &rows {
            guest
                .run(&format!("{place}; rm -rf $d; install -d -o {user} -g {user} -m 700 $d; {row}; chown -h $OWNER $e; [ -L $e ] || chmod $MODE $e"))
                .expect_success(row);
            assert_eq!(variable(&guest, user), "", "{shell}: {row}");
        }
        guest.run(&format!("{place}; rm -rf $d")).expect_success("clearing up");
        guest.put_token(user, &token_of(user));
        assert_eq!(variable(&guest, user), token_of(user), "{shell}: and a plain one is taken");
    }
    assert_eq!(guest.read("/tmp/ran"), None, "nothing in it was run");
}

#[test]
fn shell_checks_the_output_of_the_program() {
    let guest = guest(Suite::Bookworm);
    let good = format!("{VARIABLE}=sk-ant-oat01-good");
    for output in [
        "PATH=/tmp/evil".to_owned(),
        format!("{VARIABLE}=sk-ant-oat01-a\nPATH=/tmp/evil"),
        format!("PATH=/tmp/evil\n{VARIABLE}=sk-ant-oat01-a"),
        format!("{VARIABLE}=sk-ant-oat01-"),
        format!("{VARIABLE}=sk-ant-api03-a"),
        format!("{VARIABLE}=sk-ant-oat01-a b"),
        format!("{VARIABLE}=sk-ant-oat01-\u{e4}"),
        format!("{VARIABLE}=sk-ant-oat01-*"),
        format!("{good};touch /tmp/ran"),
    ] {
        guest.write(
            "/usr/bin/cas-session",
            "root",
            "755",
            format!("#!/bin/sh\ncat <<'END'\n{output}\nEND\n").as_bytes(),
        );
        for (user, shell) in USERS {
            assert_eq!(variable(&guest, user), "", "{shell}: {output}");
            let path = run_lines(&guest, user, "echo $PATH").text();
            assert!(!path.contains("evil"), "{shell}: {output}: {path}");
        }
    }
    guest.write("/usr/bin/cas-session", "root", "755", format!("#!/bin/sh\necho {good}\n").as_bytes());
    for (user, shell) in USERS {
        assert_eq!(variable(&guest, user), "sk-ant-oat01-good", "{shell}: this one is taken");
    }
    assert_eq!(guest.read(&env_file_path("alice")).map(|text| text.is_empty()), Some(false));
}
