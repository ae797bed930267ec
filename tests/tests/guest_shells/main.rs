//! The files that login shells read: the token and notice that they provide, and what they do not
//! change.

mod idle_start;
mod notice;
mod obstacles;
mod quoting;
mod token;

use cas_tests::guest::{CommandResult, Guest, Suite, VARIABLE};

/// One user per kind of shell.
const USERS: [(&str, &str); 4] =
    [("alice", "/bin/bash"), ("carol", "/usr/bin/zsh"), ("dora", "/bin/dash"), ("frida", "/usr/bin/fish")];

const ZSH_LINE: &str = "[[ -r /usr/share/claude-auth-sync/claude-auth-sync.zsh ]] && source /usr/share/claude-auth-sync/claude-auth-sync.zsh";

/// Returns a guest in which all users, including bob, are enrolled and have a token, and in which
/// no login gets one from the PAM module.
#[track_caller]
fn guest(suite: Suite) -> Guest {
    let guest = Guest::boot_with_product(suite);
    guest
        .run(&format!(
            "useradd --create-home --shell /bin/dash dora && useradd --create-home --shell /usr/bin/fish frida
             echo '{ZSH_LINE}' >>/etc/zsh/zprofile"
        ))
        .expect_success("more users");
    guest.disable_module();
    for user in ["alice", "bob", "carol", "dora", "frida"] {
        guest.enroll(user);
        guest.put_token(user, &token_of(user));
    }
    guest
}

fn token_of(user: &str) -> String {
    format!("sk-ant-oat01-{user}_A-1")
}

/// Runs these lines in a user's login shell without a terminal.
#[track_caller]
fn run_lines(guest: &Guest, user: &str, lines: &str) -> CommandResult {
    let input = format!("{lines}\nexit\n");
    guest.ssh_tool("ssh", &["-T", &format!("{user}@127.0.0.1")], input.as_bytes())
}

/// Returns the variable in a user's login shell.
#[track_caller]
fn variable(guest: &Guest, user: &str) -> String {
    let lines = format!("echo begin; printenv {VARIABLE}; echo done");
    let seen = run_lines(guest, user, &lines).expect_success(user).text();
    // Before it sshd prints its text about the machine.
    let value = seen.split_once("begin\n").and_then(|(_, rest)| rest.strip_suffix("done\n"));
    value.unwrap_or_else(|| panic!("{user}: {seen}")).trim_end().to_owned()
}
