//! `cas-sync doctor`: without findings, and with findings.

use cas_tests::claude_login::cleared_login;
use cas_tests::guest::{ClaudeGuest, Suite};
use serde_json::Value;

use crate::recording::Recordings;
use crate::terminal_setting::{ALL_SETTINGS, C, CommandUser, NARROW, NO_COLOR, PIPE, Setting, WIDE};

/// A guest uses the clock of its host and cannot know how it is set.
const CLOCK: &str = "#!/bin/sh\necho yes\n";

/// Breaks the files of alice in several ways, with her home as the working directory.
const BROKEN: &str = "chmod 755 .config/claude-auth-sync
    echo 'export ANTHROPIC_API_KEY=key-of-hers' >>.bashrc
    chown root: .claude.json
    rm .config/claude-auth-sync/vault-token
    systemctl disable --quiet claude-auth-sync@alice.timer
    echo 'stroe = \"local\"' >/etc/claude-auth-sync/conf.d/10-slip.toml
    sed -i 's/^session.*pam_cas_session.so/session required pam_cas_session.so/' /etc/pam.d/common-session";

/// Returns the commands to paste, from the JSON output.
fn commands(command_user: CommandUser<'_>) -> Vec<String> {
    let (_, output) = command_user.run(PIPE, &["doctor", "--json"]);
    let json: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    let about = json["inspections"].as_array().expect("the users").iter();
    about
        .flat_map(|of| of["findings"].as_array().expect("findings"))
        .filter_map(|finding| {
            let command = finding["command"].as_str()?;
            Some(match finding["run_as"].as_str() {
                Some(user) => format!("({user}, not root:) {command}"),
                None => command.to_owned(),
            })
        })
        .collect()
}

#[test]
fn doctor_output_equals_its_recordings() {
    let (host, _bao, users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let guest = &host.guest;
    guest.write("/usr/sbin/timedatectl", "root", "755", CLOCK.as_bytes());
    // A file of its own, so that the line of the mistake is the same in each Debian.
    guest.write("/home/alice/.bashrc", "alice", "644", b"umask 022\n");
    guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    host.sign_in("alice");
    guest.resume();
    guest.sync("alice").expect_success("the first sync");
    guest.wait_for_bus();
    let mut recordings = Recordings::open("doctor").with_secrets(&[&users[0].token(), "key-of-hers"]);
    let mut take =
        |scenario: &str, settings: &[Setting], command_user: CommandUser<'_>, words: &[&str], code: i32| {
            let complete = commands(command_user);
            for setting in settings {
                let (ended, output) = command_user.run(*setting, &[&["doctor"][..], words].concat());
                assert_eq!(ended, Some(code), "{output}");
                recordings.compare_with_commands(scenario, *setting, &output, &complete);
            }
        };
    let (alice, root) = (CommandUser::new(guest, "alice"), CommandUser::new(guest, "root"));
    take("healthy", &ALL_SETTINGS, alice, &[], 0);
    take("healthy-verbose", &[NARROW, WIDE], alice, &["--verbose"], 0);
    take("healthy-for-root", &[NARROW], root, &[], 0);

    let cleared = cleared_login(&guest.read_login("alice"));
    guest.run("systemctl stop claude-auth-watch@alice.service").expect_success("stopping the watcher");
    guest.forget_state("alice");
    guest.run(&format!("cd /home/alice\n{BROKEN}")).expect_success("breaking it");
    guest.put_login("alice", &cleared);
    take("findings", &[NARROW, WIDE, C, NO_COLOR, PIPE], alice, &[], 1);
    take("findings-for-root", &[NARROW, WIDE], root, &[], 1);
    take("fix-dry-run", &[NARROW], alice, &["--fix", "--dry-run"], 1);
    let (code, output) = alice.run(NARROW, &["doctor", "bob"]);
    assert_eq!(code, Some(1), "{output}");
    recordings.compare("other-user", NARROW, &output);
    recordings.end();
}
